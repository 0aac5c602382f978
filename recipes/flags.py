"""The flags that recipes add to those of every study."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from keras_leaky.study.flags import CountOrDefault, Folder, Range, StudyFlags, require

MAX_RATE = 1e6  # far beyond use: where numbers overflow it is too late to say so


@dataclass(frozen=True)
class ImageFlags(StudyFlags):
    """The flags of every recipe on images.

    Attributes:
        learning_rate_range: Range of learning rates to search, on a log scale.
        optimizer: adam, or sgd with momentum 0.9.
        train_limit: Use only this many training images, stratified. Validation and test images
            stay the same.
        augment: Shift the training images by up to 2 pixels, and flip those of CIFAR. auto does so
            with the vgg nets, which train for longer.
        precision: Keras dtype policy. auto takes mixed_bfloat16 if the machine multiplies it
            natively and it is faster for this net. Otherwise, and with --scheduler, auto takes
            float32.
        data_dir: Folder that holds mnist.npz, cifar10.npz or cifar100.npz with the arrays x_train,
            y_train, x_test, y_test. Without it, Keras's cache or a download.
    """

    learning_rate_range: Range = (1e-4, 1e-1)
    optimizer: Literal["adam", "sgd"] = "adam"
    train_limit: CountOrDefault = None
    augment: Literal["auto", "yes", "no"] = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    model: str = "cnn"
    data: str = "auto"
    data_dir: Folder = None

    def check(self) -> None:
        super().check()
        limit = self.train_limit
        require(limit is None or limit >= 1, "train_limit", "a whole number >= 1", limit)
        low, high = self.learning_rate_range
        rule = f"0 < LOW < HIGH <= {MAX_RATE:g}"
        holds = 0 < low < high <= MAX_RATE
        require(holds, "learning_rate_range", rule, f"{low} {high}")
        if self.data_dir is not None:
            rule = "left out with --data digits or synthetic, which are not read from a folder"
            require(self.data not in ("digits", "synthetic"), "data_dir", rule, self.data_dir)

    def augments(self, model: str) -> bool:
        """Whether the training images are shifted and flipped."""
        return self.augment == "yes" or (self.augment == "auto" and model.startswith("vgg"))


@dataclass(frozen=True)
class _Searched:
    """The flags for the activation and its range.

    Attributes:
        activation: The rectifier to search. ReLU is searched too, under the same budget.
        alpha_range: Range of alpha to search. leaky_relu: the negative slope, 0.001 0.5 by default,
            log scale. prelu: the initial slope, 0.01 0.5, log. elu: the saturation value, 0.1 2,
            linear. celu: the saturation value, 0.1 4, log. relu has none.
    """

    # Written out, because the table of rectifiers imports Keras, for which `--help` does not wait.
    activation: Literal["relu", "leaky_relu", "prelu", "elu", "celu"] = "leaky_relu"
    alpha_range: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LOW HIGH")] = None


# A dataclass takes the fields of its last base first: what is searched leads the help.
@dataclass(frozen=True)
class SearchFlags(ImageFlags, _Searched):
    """The flags of a recipe that searches one activation.

    Attributes:
        model: mlp has two hidden layers of 100 units, cnn is a small convolutional net for a CPU,
            vgg is a larger net of six convolutions for a GPU. cnn_bn and vgg_bn have batch
            normalization, which hides much of what a rectifier does.
    """

    model: Literal["mlp", "cnn", "cnn_bn", "vgg", "vgg_bn"] = "cnn"

    def check(self) -> None:
        super().check()
        if self.alpha_range is not None:
            rule = "left out: relu has no alpha"
            require(self.activation != "relu", "alpha_range", rule, self.alpha_range)
            low, high = self.alpha_range
            # `Arm` checks the rectifier's other rules for alpha.
            require(low < high < math.inf, "alpha_range", "LOW < HIGH", f"{low} {high}")
