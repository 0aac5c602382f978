"""From a command line to a page: the whole job of a search recipe, and its exit codes."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from recipes.common.errors import InputError, RunError
from recipes.common.options import SearchOptions, command_line, parse_options
from recipes.common.run_folder import RunFolder, check_output

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
    return 0


def main(
    options_class: type[SearchOptions], dataset: str, arguments: Sequence[str] | None = None
) -> int:
    """Runs the search recipe for `dataset` and returns the exit code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not for our users
    program = f"python -m recipes.{dataset}"
    given = command_line(arguments)
    running: list[RunFolder] = []

    def work() -> None:
        options = parse_options(options_class, given, program)
        run_search(options, dataset, [*program.split(), *given], running.append)

    try:
        return exit_code(work)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        if running:
            run = running[0]
            print(
                f"{len(run.trials)} finished trials are kept. Go on with:\n"
                f"  {program} --output {shlex.quote(str(run.path))} --resume",
                file=sys.stderr,
            )
        return EXIT_INTERRUPTED


def run_search(
    options: SearchOptions,
    dataset: str,
    command: Sequence[str],
    on_start: Callable[[RunFolder], None] = lambda run: None,
) -> None:
    """Loads, searches, retrains, and writes the page.

    Raises:
        InputError: The options, the data or the folder cannot be used as asked.
        RunError: The run failed.
    """
    console = Console(highlight=False, soft_wrap=True)
    path = options.output or Path("runs", f"{dataset}-{options.activation}-{_now()}")
    if not options.resume:
        check_output(path, options.overwrite)  # before a minute of work, not after

    from recipes.common import data as data_module
    from recipes.common.environment import describe_environment
    from recipes.common.fingerprint import check_resumable, make_fingerprint
    from recipes.common.plan import print_plan

    arrays = data_module.load(data_module.DATASETS[dataset], options.data, options.data_dir)
    data = data_module.split(arrays, options.train_limit)
    options = dataclasses.replace(
        options, data=arrays.kind, epochs=options.epochs or arrays.n_epochs
    )
    if options.batch_size > len(data.x_train):
        raise InputError(
            f"`--batch-size` must not exceed the {len(data.x_train)} training images. "
            f"Received: --batch-size {options.batch_size}"
        )
    if arrays.warning:
        console.print(f"[bold yellow]Note:[/] {arrays.warning}")
    if options.dry_run:
        print_plan(console, options, arrays, data, path)
        return

    config = {
        "recipe": dataset,
        "options": {**dataclasses.asdict(options), "output": path.resolve()},
        "fingerprint": make_fingerprint(options, arrays),
        "data_source": arrays.source,
        "warning": arrays.warning,
    }
    environment = describe_environment(command)
    if options.resume:
        run = RunFolder.open(path)
        check_resumable(run, run.read_json("config")["fingerprint"], config["fingerprint"], options)
        earlier = run.read_json("environment")
        if earlier["versions"] != environment["versions"]:
            console.print("[bold yellow]Note:[/] the run began with other package versions:")
            console.print(f"  {earlier['versions']}", markup=False)
        environment["resumed_from"] = earlier
        run.write_config(config)
    else:
        run = RunFolder.create(path, config, options.overwrite)
    run.write_json("environment", environment)
    on_start(run)
    search_and_compare(options, dataset, arrays.source, data, run, console)


def search_and_compare(
    options: SearchOptions,
    dataset: str,
    data_source: str,
    data: Any,
    run: RunFolder,
    console: Console,
) -> None:
    """The work itself: each arm's search, the retrainings, the summary and the page."""
    from recipes.common import page
    from recipes.common.progress import Progress
    from recipes.common.retrain import retrain
    from recipes.common.search import n_trials_and_epochs, search_arm
    from recipes.common.space import arms
    from recipes.common.summary import make_summary

    assert options.epochs is not None
    arm_list = arms(options)
    planned = [n_trials_and_epochs(arm, options.epochs) for arm in arm_list]
    n_retrainings = options.seeds * len(arm_list)
    n_epochs = sum(n for _, n in planned) * options.executions + n_retrainings * options.epochs
    progress = Progress(console, sum(n for n, _ in planned) + n_retrainings, n_epochs)
    console.print(f"Run folder: {run.path}", markup=False)
    console.print(f"Data: {data_source}", markup=False)
    with progress:
        chosen = [search_arm(arm, options, data, run, progress) for arm in arm_list]
        for i, row in enumerate(chosen):
            retrain(row, options, data, run, progress, save_first=i == 0)
    summary = make_summary(run, chosen, dataset, data_source)
    run.write_json("summary", summary)
    page.write_page(run)
    console.print()
    console.print(page.result_table(summary))
    console.print(f"\n[bold]{summary['verdict']}[/]")
    console.print(f"Page: {run.page.resolve()}", markup=False)


def _now() -> str:
    return datetime.now().strftime("%Y%m%d-%H%M%S")
