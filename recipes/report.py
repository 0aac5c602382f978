"""Draw the plots and the page of a run again: `python -m recipes.report RUN`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from keras_leaky.study.command_line import draw_again, exit_code, start_keras
from keras_leaky.study.flags import ReportFlags, parse_plain
from recipes.dying_relu.folder import is_run


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments

    def work() -> None:
        run = parse_plain(ReportFlags, given, "python -m recipes.report").run
        start_keras()
        page = _draw_dying(run) if is_run(run) else draw_again(run)
        print(f"Page: {page.resolve()}")

    return exit_code(work)


def _draw_dying(run: Path) -> Path:
    from recipes.dying_relu.page import draw_again  # it imports Keras

    return draw_again(run)


if __name__ == "__main__":
    sys.exit(main())
