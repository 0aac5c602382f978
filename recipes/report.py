"""Draw the plots and the page of a finished run again: `python -m recipes.report RUN`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from recipes.common.main import exit_code
from recipes.common.quiet_start import start_quietly


def report(run: Annotated[Path, tyro.conf.Positional]) -> None:
    """Draw the plots and report.html of a finished run again, without training.

    Args:
        run: The run folder, as the recipe printed it.
    """
    start_quietly()
    from recipes.common.dying.folder import DyingFolder, is_run

    if is_run(run):
        from recipes.common.dying.redraw import redraw

        folder = DyingFolder.open(run)
        redraw(folder)
    else:
        from recipes.common import page
        from recipes.common.comparing import page as comparison_page
        from recipes.common.run_folder import RunFolder

        folder = RunFolder.open(run, repair=False)
        is_comparison = folder.config.get("recipe") == "compare"
        (comparison_page if is_comparison else page).write_page(folder)
    print(f"Page: {folder.page.resolve()}")


def main(arguments: Sequence[str] | None = None) -> int:
    return exit_code(lambda: tyro.cli(report, args=arguments, prog="python -m recipes.report"))


if __name__ == "__main__":
    sys.exit(main())
