"""Search alpha and learning rate on MNIST: `python -m recipes.mnist --help`."""

import sys

from recipes.common.main import main
from recipes.common.search_options import MnistOptions

if __name__ == "__main__":
    sys.exit(main(MnistOptions, "mnist"))
