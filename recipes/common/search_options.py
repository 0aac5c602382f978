"""The flags of a search: what its recipes add to those that all have."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from recipes.common.options import RunOptions, require
from recipes.common.quiet_start import start_quietly

MAX_ALPHA = 1000.0  # far beyond use; where Keras's initializers underflow it is too late to say so
DEFAULT_N_TRIALS = 10
DEFAULT_HYPERBAND_EPOCHS = 9


@dataclass(frozen=True)
class Searched:
    """What is searched, and how.

    Attributes:
        activation: The rectifier to search. ReLU is searched beside it under the same budget.
        alpha_range: Alpha to search. leaky_relu: the negative slope, 0.001 0.5 by default, log
            scale. prelu: the initial slope, 0.01 0.5, log. elu: the saturation value, 0.1 2,
            linear. celu: the saturation value, 0.1 4, log. relu has none.
        tuner: Which KerasTuner oracle proposes the trials. Hyperband trains a promoted trial again
            from the start with more epochs.
    """

    # Written out, because the table of rectifiers imports Keras, for which `--help` does not wait.
    activation: Literal["relu", "leaky_relu", "prelu", "elu", "celu"] = "leaky_relu"
    alpha_range: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LOW HIGH")] = None
    tuner: Literal["random", "bayesian", "hyperband", "grid"] = "random"


# A dataclass takes the fields of its last base first: what is searched leads the help.
@dataclass(frozen=True)
class SearchOptions(RunOptions, Searched):
    """The settings of a search; a command line becomes one by `parse_options`.

    Attributes:
        trials: Trials of each arm: the activation's, then ReLU's with the learning rate alone; 10
            by default. A grid takes the largest k x k that fits. Hyperband refuses this flag: its
            number of trials follows from the epochs.
        epochs: Epochs of a trial and of a retraining; by default what suits the data (the dry run
            shows it). With hyperband the largest number of epochs: 9 by default, at least 3.
        model: mlp has two hidden layers of 100 units, cnn is a small convolutional net for a CPU,
            vgg a full one of six convolutions for a GPU. cnn_bn and vgg_bn have batch
            normalization, which hides much of what a rectifier does.
    """

    model: Literal["mlp", "cnn", "cnn_bn", "vgg", "vgg_bn"] = "cnn"

    def resolve_own(self) -> dict[str, Any]:
        trials, epochs = self.trials, self.epochs
        if self.tuner == "hyperband":
            rule = "left out: hyperband derives the number of trials from --epochs"
            require(trials is None, "trials", rule, trials)
            epochs = epochs or DEFAULT_HYPERBAND_EPOCHS
            rule = ">= 3 with hyperband, which starts with a third of them"
            require(epochs >= 3, "epochs", rule, epochs)
        else:
            trials = trials or DEFAULT_N_TRIALS
        return {"alpha_range": self._resolve_alpha_range(), "trials": trials, "epochs": epochs}

    def _resolve_alpha_range(self) -> tuple[float, float] | None:
        given = self.alpha_range
        if self.activation == "relu":
            require(given is None, "alpha_range", "left out: relu has no alpha", given)
            return None
        start_quietly()  # what follows imports Keras, so it is checked last
        from keras_leaky.rectifiers import entry_of

        entry = entry_of(self.activation)
        alpha_range = given or entry.alpha_range
        assert alpha_range is not None, self.activation
        low, high = alpha_range
        if entry.alpha_scale == "linear":
            holds, rule = 0 <= low < high <= MAX_ALPHA, f"0 <= LOW < HIGH <= {MAX_ALPHA}"
        else:
            holds = 0 < low < high <= MAX_ALPHA
            rule = (
                f"0 < LOW < HIGH <= {MAX_ALPHA} (log scale; alpha = 0 is the ReLU arm, which "
                "always runs)"
            )
        require(holds, "alpha_range", rule, f"{low} {high}")
        return alpha_range


@dataclass(frozen=True)
class MnistOptions(SearchOptions):
    """Which alpha, which learning rate, and does it help? Searched on MNIST.

    Searches the activation's alpha and the learning rate, searches ReLU's learning rate under the
    same budget, retrains both winners with several seeds, evaluates them once on the held-out test
    split, and writes a page with pictures and a verdict.

    Attributes:
        data: auto takes MNIST, or scikit-learn's 1,797 digits where MNIST cannot be had. synthetic
            takes made-up images, to try the machinery.
    """

    data: Literal["auto", "mnist", "digits", "synthetic"] = "auto"


@dataclass(frozen=True)
class Cifar10Options(SearchOptions):
    """Which alpha, which learning rate, and does it help? Searched on CIFAR-10.

    Searches the activation's alpha and the learning rate, searches ReLU's learning rate under the
    same budget, retrains both winners with several seeds, evaluates them once on the held-out test
    split, and writes a page with pictures and a verdict.

    Attributes:
        data: auto takes CIFAR-10, synthetic takes made-up images, to try the machinery.
    """

    data: Literal["auto", "cifar10", "synthetic"] = "auto"


@dataclass(frozen=True)
class Cifar100Options(SearchOptions):
    """Which alpha, which learning rate, and does it help? Searched on CIFAR-100.

    Searches the activation's alpha and the learning rate, searches ReLU's learning rate under the
    same budget, retrains both winners with several seeds, evaluates them once on the held-out test
    split, and writes a page with pictures and a verdict.

    Attributes:
        data: auto takes CIFAR-100, synthetic takes made-up images, to try the machinery.
    """

    data: Literal["auto", "cifar100", "synthetic"] = "auto"
