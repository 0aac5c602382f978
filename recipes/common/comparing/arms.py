"""The nets of a comparison, and the arms in each."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from keras_leaky.rectifiers import TABLE, entry_of
from recipes.common.comparing.options import CompareOptions
from recipes.common.space import Arm, Axis

_LEAKY = entry_of("leaky_relu")
assert _LEAKY.alpha_range is not None


@dataclass(frozen=True)
class Candidate:
    """A rectifier as it stands in a comparison.

    Attributes:
        activation: Its name.
        alpha: Searched, or a number that stays, or None for the default where it is no number.
        note: Follows the name of the rectifier in its title.
        shade: Its color, where the rectifier is there more than once.
    """

    activation: str
    alpha: Axis | float | None
    note: str = ""
    shade: str | None = None

    @property
    def title(self) -> str:
        return f"{entry_of(self.activation).title} {self.note}".rstrip()

    @property
    def color(self) -> str:
        return self.shade or entry_of(self.activation).color


# Rectifiers that are compared more than once, or with an alpha or title of its own, by what the
# arms are called. Every other of the table is one arm.
_SPECIAL = {
    "leaky_relu_0.01": Candidate("leaky_relu", 0.01, "0.01", "#8fc1e8"),
    "leaky_relu_0.1": Candidate("leaky_relu", 0.1, "0.1", "#3d8fd1"),
    "leaky_relu_0.3": Candidate("leaky_relu", 0.3, "0.3", "#12538f"),
    "leaky_relu_tuned": Candidate(
        "leaky_relu", Axis(*_LEAKY.alpha_range, log=True), "tuned", "#0b2f55"
    ),
    "elu": Candidate("elu", 1.0, "1"),
    "celu": Candidate("celu", 0.5, "0.5"),  # with 1 it would be ELU
}


def _candidates_of(name: str) -> dict[str, Candidate]:
    """The arms of a rectifier."""
    default = TABLE[name].default
    alpha = default if isinstance(default, float) else None
    special = {key: arm for key, arm in _SPECIAL.items() if arm.activation == name}
    return special or {name: Candidate(name, alpha)}


CANDIDATES = {key: arm for name in TABLE for key, arm in _candidates_of(name).items()}


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
        key: Arm(
            *(f"{name}/{key}", arm.activation, arm.alpha, learning_rate),
            *(name, "spread", options.trials),
        )
        for key, arm in CANDIDATES.items()
        if key == "relu" or key in options.activations
    }
    return Net(name, title, chosen)
