"""What every recipe's job does first: from options to a run folder in which work can begin."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic

from rich.console import Console, RenderableType

from recipes.common.data import DATASETS, Arrays, Split, load, split
from recipes.common.environment import describe_environment
from recipes.common.errors import InputError
from recipes.common.fingerprint import additions, check_resumable, make_fingerprint
from recipes.common.options import OptionsT, resolve, settings
from recipes.common.output_folder import output_lock
from recipes.common.plan import print_plan
from recipes.common.precision import choose_precision
from recipes.common.run_config import check_output
from recipes.common.run_folder import RunFolder
from recipes.common.space import Arm


@dataclass(frozen=True)
class Recipe(Generic[OptionsT]):
    """What tells one recipe from another before the work.

    Attributes:
        name: As in `python -m recipes.NAME`.
        dataset: Its name in `DATASETS`.
        folder: What the name of a run folder starts with, unless the user gives one.
        arms: Returns what is searched and retrained.
    """

    name: str
    dataset: str
    folder: str
    arms: Callable[[OptionsT], list[Arm]]


@dataclass(frozen=True)
class Started(Generic[OptionsT]):
    """A run that work can begin in, with every option settled."""

    run: RunFolder
    options: OptionsT
    arrays: Arrays
    data: Split


@contextmanager
def start(
    recipe: Recipe[OptionsT],
    given: OptionsT,
    command: Sequence[str],
    console: Console,
    on_start: Callable[[RunFolder], None],
) -> Iterator[Started[OptionsT] | None]:
    """Loads the data, settles the options, makes or opens the run folder, and holds its lock.

    Args:
        given: The options as the user gave them; what was left out is filled in here.
        command: The command line, for the record.
        on_start: Called with the run folder once there is one to go on with.

    Yields:
        None in a dry run, which leaves the folder alone.

    Raises:
        InputError: The options, the data or the folder cannot be used as asked.
        DiskFullError: There is no room for the first files.
    """
    options = resolve(given)
    path = options.output or Path("runs", f"{recipe.folder}-{_now()}")
    if not options.resume:
        check_output(path, options.overwrite)  # before a minute of work, not after
    with nullcontext() if options.dry_run else output_lock(path):
        yield _start(recipe, given, options, path, command, console, on_start)


def _start(
    recipe: Recipe[OptionsT],
    given: OptionsT,
    options: OptionsT,
    path: Path,
    command: Sequence[str],
    console: Console,
    on_start: Callable[[RunFolder], None],
) -> Started[OptionsT] | None:
    arrays = load(DATASETS[recipe.dataset], options.data, options.data_dir)
    data = split(arrays, options.train_limit)
    options = resolve(options, arrays)
    if options.batch_size > len(data.x_train):
        raise InputError(
            f"`--batch-size` must not exceed the {len(data.x_train)} training images. "
            f"Received: --batch-size {options.batch_size}"
        )
    if arrays.warning:
        warn(console, arrays.warning)
    arms = recipe.arms(options)
    options, reason = choose_precision(options, data, arms[0])
    fingerprint = make_fingerprint(options, arms, arrays)
    run = None
    if options.resume:
        run = RunFolder.open(path, repair=not options.dry_run)
        for note in run.damage:
            warn(console, note)
        check_resumable(run, fingerprint, options, arms)
        for addition in additions(run, options):
            console.print(addition, markup=False)
        reason = run.config.get("precision_reason", reason)
    console.print(f"Precision: {options.precision} ({reason})", markup=False)
    if options.dry_run:
        print_plan(console, options, arms, arrays, data, path)
        return None

    config = {
        "recipe": recipe.name,
        "given": settings(given),
        "options": settings(options),
        "arms": [arm.name for arm in arms],
        "precision_reason": reason,
        "fingerprint": fingerprint,
        "data_source": arrays.source,
    }
    environment = describe_environment(command)
    if run is None:
        run = RunFolder.create(path, config, options.overwrite)
    else:
        # What the run began with stays as it was given: it is what `--config` takes over.
        run.write_config({**config, "given": run.config["given"]})
        environment = _add_session(run, environment, console)
    run.write_json("environment", environment)
    on_start(run)
    console.print(f"Run folder: {run.path}", markup=False)
    console.print(f"Data: {arrays.source}", markup=False)
    return Started(run, options, arrays, data)


def _add_session(run: RunFolder, now: dict[str, Any], console: Console) -> dict[str, Any]:
    """The environment the run began with, and this one in its list of resumes.

    Trials of two versions of a library, or of the code, need not be comparable: that is said.
    """
    began = run.read_environment()
    if began is None:  # killed before it was written, or damaged: nothing to compare with
        return now
    for name in ("versions", "git_revision"):
        if began.get(name) != now[name]:
            warn(console, f"the run began with other {name}: {began.get(name)}.")
    return {**began, "resumes": [*began.get("resumes", []), now]}


def finish(console: Console, run: RunFolder, table: RenderableType) -> None:
    """Prints what came out of a finished run, and where its page is."""
    summary = run.read_json("summary")
    console.print()
    console.print(table, width=max(console.width, 80))
    console.print()
    if summary["warning"]:
        warn(console, summary["warning"])
    console.print(summary["verdict"], style="bold", markup=False)
    console.print(f"Page: {run.page.resolve()}", markup=False)


def warn(console: Console, text: str) -> None:
    """Says what must not be overlooked."""
    console.print(f"Note: {text}", style="bold yellow", markup=False)


def _now() -> str:
    return datetime.now().strftime("%Y%m%d-%H%M%S")
