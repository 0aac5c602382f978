"""The flags of a comparison: what it adds to those that all recipes have."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import tyro

from recipes.common.options import Count, RunOptions, require

ArmName = Literal[
    "relu",
    "leaky_relu_0.01",
    "leaky_relu_0.1",
    "leaky_relu_0.3",
    "leaky_relu_tuned",
    "prelu",
    "elu",
    "celu",
    "selu",
    "rrelu",
]
DEFAULT_MODELS: dict[str, Literal["mlp", "cnn"]] = {"mnist": "mlp", "cifar10": "cnn"}
DEFAULT_DEPTHS = {"mlp": (2, 8), "cnn": (1, 2), "vgg": (1, 2)}
MAX_DEPTH = 100


@dataclass(frozen=True)
class Compared:
    """What is compared, and in which nets.

    Attributes:
        dataset: The images.
        activations: Arms to compare with relu, which is always among them. prelu starts from a
            slope of 0.25; elu has alpha 1 and celu 0.5 (with 1 it would be elu); rrelu draws slopes
            from 1/8 to 1/3; leaky_relu_tuned searches its slope from 0.001 to 0.5 on a log scale,
            with as many trials as the others have for their learning rate alone.
        depths: Depths of the nets. mlp: hidden layers of 100 units, 2 8 by default. cnn and vgg:
            convolutions at each resolution, 1 2 by default.
        batch_norm: Nets without batch normalization, with it, or both.
    """

    dataset: Literal["mnist", "cifar10"]
    activations: tuple[ArmName, ...] = get_args(ArmName)
    depths: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="N [N ...]")] = None
    batch_norm: Literal["no", "yes", "both"] = "both"


# A dataclass takes the fields of its last base first: what is compared leads the help.
@dataclass(frozen=True)
class CompareOptions(RunOptions, Compared):
    """Which activation is best, each at its own best learning rate? Compared with ReLU.

    Searches the learning rate of every activation in every net under the same number of trials and
    with the same proposals, retrains the best point of each with several seeds, evaluates it once
    on the held-out test split, and writes a page with pictures and a verdict.

    Attributes:
        trials: Trials of each arm in each net.
        model: mlp has hidden layers of 100 units, cnn is a small convolutional net for a CPU, vgg a
            wider one for a GPU. auto takes mlp for mnist and cnn for cifar10.
        data: auto takes the data set, or for mnist scikit-learn's 1,797 digits where it cannot be
            had. synthetic takes made-up images, to try the machinery.
    """

    trials: Count = 6
    seeds: Count = 8
    model: Literal["auto", "mlp", "cnn", "vgg"] = "auto"
    data: Literal["auto", "mnist", "cifar10", "digits", "synthetic"] = "auto"

    def resolve_own(self) -> dict[str, Any]:
        known = ["auto", self.dataset, "synthetic"]
        if self.dataset == "mnist":
            known.append("digits")
        rule = f"one of {', '.join(known)} with --dataset {self.dataset}"
        require(self.data in known, "data", rule, self.data)
        model = DEFAULT_MODELS[self.dataset] if self.model == "auto" else self.model
        depths = self.depths or DEFAULT_DEPTHS[model]
        rule = f"different whole numbers from 1 to {MAX_DEPTH}"
        holds = len(set(depths)) == len(depths) and all(1 <= n <= MAX_DEPTH for n in depths)
        require(holds, "depths", rule, " ".join(map(str, depths)))
        return {"model": model, "depths": depths}
