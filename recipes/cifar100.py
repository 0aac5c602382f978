"""Search alpha and learning rate on CIFAR-100: `python -m recipes.cifar100 --help`."""

import sys

from recipes.common.main import main
from recipes.common.search_options import Cifar100Options

if __name__ == "__main__":
    sys.exit(main(Cifar100Options, "cifar100"))
