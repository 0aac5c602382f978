"""Search alpha and learning rate on MNIST: `python -m recipes.mnist --help`."""

import sys
from dataclasses import dataclass
from typing import ClassVar, Literal

from keras_leaky.study.command_line import run_program
from recipes.flags import SearchFlags


@dataclass(frozen=True)
class MnistFlags(SearchFlags):
    """Which alpha, which learning rate, and does it help? Searched on MNIST.

    Searches the activation's alpha and the learning rate, and ReLU's learning rate under the same
    budget. Retrains the best points of both with new seeds. Evaluates them once on the held-out
    test split. Writes a page with pictures and a verdict.

    Example: python -m recipes.mnist --activation leaky_relu --trials 20 --output runs/mnist

    Attributes:
        data: auto takes MNIST, or scikit-learn's 1,797 digits if MNIST cannot be loaded. synthetic
            takes made-up images, to try the machinery.
    """

    program: ClassVar[str] = "python -m recipes.mnist"
    data: Literal["auto", "mnist", "digits", "synthetic"] = "auto"


def main(arguments: list[str] | None = None) -> int:
    def work(flags: MnistFlags) -> None:
        from recipes.image_search import search  # after the flags: it waits for Keras

        search("mnist", flags)

    return run_program(MnistFlags, work, arguments)


if __name__ == "__main__":
    sys.exit(main())
