"""From a command line to an exit code."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from recipes.common.errors import InputError, NoTrialCompletedError, RunError
from recipes.common.options import OptionsT, parse_options
from recipes.common.quiet_start import start_quietly
from recipes.common.search_options import SearchOptions

if TYPE_CHECKING:
    from recipes.common.run_folder import RunFolder

# TensorFlow and KerasTuner take seconds to import, so `--help` and a mistyped flag do not wait
# for them: they are imported where they are first needed.

EXIT_FAILED, EXIT_WRONG_INPUT, EXIT_INTERRUPTED = 1, 2, 130


def exit_code(work: Callable[[], None]) -> int:
    """Runs `work`; our own errors become one sentence and a code, others keep their traceback."""
    try:
        work()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


class SteadyConsole(Console):
    """A console that falls silent when its reader goes away (`| head`): the run goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(
    options_class: type[SearchOptions], dataset: str, arguments: Sequence[str] | None = None
) -> int:
    """Runs the search recipe for `dataset` and returns the exit code."""

    def run(options: SearchOptions, *rest: Any) -> None:
        from recipes.common.job import run_search

        run_search(options, dataset, *rest)

    return run_recipe(dataset, options_class, run, arguments)


def run_recipe(
    recipe: str,
    options_class: type[OptionsT],
    run: "Callable[[OptionsT, list[str], Console, Callable[[RunFolder], None]], None]",
    arguments: Sequence[str] | None,
) -> int:
    """Runs a recipe that can be resumed and returns the exit code.

    Args:
        recipe: As in `python -m recipes.RECIPE`.
        run: Called with the options, the command line, the console, and what to call with the run
            folder once there is one to go on with.
        arguments: Of the command line; None for those of this process.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not for our users
    program = f"python -m recipes.{recipe}"
    given = list(sys.argv[1:] if arguments is None else arguments)
    running: list[RunFolder] = []

    def work() -> None:
        options = parse_options(options_class, given, program)
        start_quietly()
        console = SteadyConsole(highlight=False, soft_wrap=True)
        try:
            run(options, [*program.split(), *given], console, running.append)
        except NoTrialCompletedError:
            running.clear()  # going on as before would end there again
            raise

    code = None
    try:
        code = exit_code(work)
        return code
    finally:
        if code != 0:  # None: a bug, whose traceback follows
            _say_how_to_go_on(program, running, "--insecure" in given)


def _say_how_to_go_on(program: str, running: "Sequence[RunFolder]", insecure: bool) -> None:
    for folder in running:
        if not folder.config_file.exists():
            continue  # somebody has moved or deleted it
        consent = " --insecure" if insecure else ""  # which a run does not keep
        print(
            f"{len(folder.trials)} finished trials are kept. Go on with:\n"
            f"  {program} --output {shlex.quote(str(folder.path))} --resume{consent}",
            file=sys.stderr,
        )
