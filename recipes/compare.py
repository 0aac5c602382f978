"""Compare activations, each at its own best learning rate: `python -m recipes.compare --help`."""

import sys
from collections.abc import Sequence
from typing import Any

from recipes.common.comparing.options import CompareOptions
from recipes.common.main import run_recipe


def main(arguments: Sequence[str] | None = None) -> int:
    def run(options: CompareOptions, *rest: Any) -> None:
        from recipes.common.comparing.job import run_comparison

        run_comparison(options, *rest)

    return run_recipe("compare", CompareOptions, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
