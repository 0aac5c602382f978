"""Draw the plots and the page of a run again: `python -m recipes.report RUN`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from keras_leaky.storage import read_unverified_json
from keras_leaky.study import InputError
from keras_leaky.study.command_line import draw_again, exit_code
from keras_leaky.study.flags import ReportFlags, parse_plain


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments

    def work() -> None:
        run = parse_plain(ReportFlags, given, "python -m recipes.report").run
        page = _draw_dying(run) if _is_dying(run) else draw_again(run)
        print(f"Page: {page.resolve()}")

    return exit_code(work)


def _is_dying(run: Path) -> bool:
    """Whether a folder holds a run of recipes.dying_relu."""
    try:
        content = read_unverified_json(run / "config.json")
    except (OSError, ValueError):
        return False
    return str(content.get("format")).startswith("keras_leaky dying_relu")


def _draw_dying(run: Path) -> Path:
    from recipes.common.dying.folder import DyingFolder
    from recipes.common.dying.redraw import redraw
    from recipes.common.errors import InputError as DyingInputError

    try:
        folder = DyingFolder.open(run)
        redraw(folder)
    except DyingInputError as error:
        raise InputError(str(error)) from error
    return folder.page


if __name__ == "__main__":
    sys.exit(main())
