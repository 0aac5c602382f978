"""Search alpha and learning rate on CIFAR-10: `python -m recipes.cifar10 --help`."""

import sys
from dataclasses import dataclass
from typing import ClassVar, Literal

from keras_leaky.study.command_line import run_program
from recipes.flags import SearchFlags


@dataclass(frozen=True)
class Cifar10Flags(SearchFlags):
    """Which alpha, which learning rate, and does it help? Searched on CIFAR-10.

    Searches the activation's alpha and the learning rate, and ReLU's learning rate under the same
    budget. Retrains the best points of both with new seeds. Evaluates them once on the held-out
    test split. Writes a page with pictures and a verdict.

    Example: python -m recipes.cifar10 --activation leaky_relu --trials 20 --output runs/cifar10

    Attributes:
        data: auto takes CIFAR-10. synthetic takes made-up images, to try the machinery.
    """

    program: ClassVar[str] = "python -m recipes.cifar10"
    data: Literal["auto", "cifar10", "synthetic"] = "auto"


def main(arguments: list[str] | None = None) -> int:
    def work(flags: Cifar10Flags) -> None:
        from recipes.image_search import search  # after the flags: it waits for Keras

        search("cifar10", flags)

    return run_program(Cifar10Flags, work, arguments)


if __name__ == "__main__":
    sys.exit(main())
