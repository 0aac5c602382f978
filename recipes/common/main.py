"""From a command line to an exit code."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence

from rich.console import Console

from recipes.common.errors import InputError, RunError
from recipes.common.options import SearchOptions, parse_options
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
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not for our users
    program = f"python -m recipes.{dataset}"
    given = list(sys.argv[1:] if arguments is None else arguments)
    running: list[RunFolder] = []

    def work() -> None:
        options = parse_options(options_class, given, program)
        from recipes.common.job import run_search

        console = SteadyConsole(highlight=False, soft_wrap=True)
        run_search(options, dataset, [*program.split(), *given], console, running.append)

    code = exit_code(work)
    if code == EXIT_INTERRUPTED and running:
        run = running[0]
        print(
            f"{len(run.trials)} finished trials are kept. Go on with:\n"
            f"  {program} --output {shlex.quote(str(run.path))} --resume",
            file=sys.stderr,
        )
    return code
