"""Nets and units that die, counted: `python -m recipes.dying_relu --help`."""

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.common import data
from recipes.common.dying.folder import DyingFolder, check_output
from recipes.common.dying.options import PROGRAM, DyingOptions, parse_options
from recipes.common.main import EXIT_FAILED, EXIT_INTERRUPTED, SteadyConsole, exit_code
from recipes.common.output_folder import output_lock
from recipes.common.quiet_start import start_quietly

if TYPE_CHECKING:  # at run time it would bring in Keras, for which `--help` does not wait
    from recipes.common.dying.job import Job


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the recipe and returns the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not for our users
    given = list(sys.argv[1:] if arguments is None else arguments)
    running: list[tuple[DyingFolder, Job]] = []

    def work() -> None:
        options = parse_options(given)
        path = options.output or Path("runs", f"dying_relu-{datetime.now():%Y%m%d-%H%M%S}")
        check_output(path, options.overwrite)  # before minutes of work, not after
        arrays = data.load(data.DATASETS["mnist"], options.data, options.data_dir)
        with output_lock(path):
            run(options, path, arrays)

    def run(options: DyingOptions, path: Path, arrays: data.Arrays) -> None:
        start_quietly()
        from recipes.common.dying.job import Job, make_config

        console = SteadyConsole(highlight=False, soft_wrap=True)
        if arrays.warning:
            console.print(f"Note: {arrays.warning}", style="bold yellow", markup=False)
        config = make_config(options, arrays)
        folder = DyingFolder.create(path, config, options.overwrite)
        console.print(f"Run folder: {folder.path}", markup=False)
        job = Job(options, arrays, folder, config, console)
        running.append((folder, job))
        job.run([*PROGRAM.split(), *given])

    code = exit_code(work)
    if code in (EXIT_FAILED, EXIT_INTERRUPTED) and running:
        folder, job = running[0]
        # A folder that the user named is no longer empty.
        named = any(argument.split("=")[0] == "--output" for argument in given)
        again = [*given, "--overwrite"] if named and "--overwrite" not in given else given
        print(
            f"Parts that are finished: {', '.join(job.finished) or 'none'}. Their tables and plots "
            f"are in {folder.path}.\nThere is no page yet. Start again with:\n"
            f"  {PROGRAM} {shlex.join(again)}",
            file=sys.stderr,
        )
    return code


if __name__ == "__main__":
    sys.exit(main())
