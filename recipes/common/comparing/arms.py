"""The nets of a comparison, and the arms in each."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from recipes.common.comparing.options import CompareOptions
from recipes.common.search_options import DEFAULT_ALPHA_RANGES
from recipes.common.space import Arm, Axis

# Activation and alpha of every arm, in the order in which they are run and shown.
_POINTS: dict[str, tuple[str, Axis | float | None]] = {
    "relu": ("relu", None),
    "leaky_relu_0.01": ("leaky_relu", 0.01),
    "leaky_relu_0.1": ("leaky_relu", 0.1),
    "leaky_relu_0.3": ("leaky_relu", 0.3),
    "leaky_relu_tuned": ("leaky_relu", Axis(*DEFAULT_ALPHA_RANGES["leaky_relu"], log=True)),
    "prelu": ("prelu", 0.25),
    "elu": ("elu", 1.0),
    "celu": ("celu", 0.5),
    "selu": ("selu", None),
    "rrelu": ("rrelu", None),
}


@dataclass(frozen=True)
class Net:
    """One net, and what is compared in it: ReLU's arm first."""

    name: str
    title: str
    arms: dict[str, Arm]  # by what they are called in every net

    def without(self, names: Collection[str]) -> "Net":
        """The net less the arms of these names."""
        left = {key: arm for key, arm in self.arms.items() if arm.name not in names}
        return dataclasses.replace(self, arms=left)


def nets(options: CompareOptions) -> list[Net]:
    """The nets that the options name, the shallowest first, each without normalization first."""
    norms = {"no": [False], "yes": [True], "both": [False, True]}[options.batch_norm]
    return [_net(options, depth, norm) for depth in sorted(options.depths or ()) for norm in norms]


def arms(options: CompareOptions) -> list[Arm]:
    """The arms of all nets, in the order in which they are run."""
    return [arm for net in nets(options) for arm in net.arms.values()]


def _net(options: CompareOptions, depth: int, norm: bool) -> Net:
    name = f"{options.model}{depth}{'_bn' if norm else ''}"
    unit = "hidden layer" if options.model == "mlp" else "convolution a resolution"
    unit = unit if depth == 1 else unit.replace("layer", "layers").replace("ion a", "ions a")
    title = f"{depth} {unit}, {'batch norm' if norm else 'no batch norm'}"
    learning_rate = Axis(*options.learning_rate_range, log=True)
    chosen = {
        key: Arm(f"{name}/{key}", *point, learning_rate, name, "spread", options.trials)
        for key, point in _POINTS.items()
        if key == "relu" or key in options.activations
    }
    return Net(name, title, chosen)
