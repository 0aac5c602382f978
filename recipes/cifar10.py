"""Search alpha and learning rate on CIFAR-10: `python -m recipes.cifar10 --help`."""

import sys

from recipes.common.main import main
from recipes.common.search_options import Cifar10Options

if __name__ == "__main__":
    sys.exit(main(Cifar10Options, "cifar10"))
