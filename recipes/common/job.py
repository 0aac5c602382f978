"""The whole job of a search recipe: load, search, retrain, summarize, write the page."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_leaky.tuning import Trainer
from recipes.common import data as data_module
from recipes.common import page
from recipes.common.environment import describe_environment
from recipes.common.errors import InputError
from recipes.common.fingerprint import check_resumable, make_fingerprint
from recipes.common.options import SearchOptions, resolve, settings
from recipes.common.plan import print_plan
from recipes.common.precision import choose_precision
from recipes.common.progress import Progress
from recipes.common.retrain import retrain
from recipes.common.run_folder import RunFolder, check_output
from recipes.common.search import n_trials_and_epochs, search_arm
from recipes.common.space import arms
from recipes.common.summary import make_summary


def run_search(
    given: SearchOptions,
    dataset: str,
    command: Sequence[str],
    console: Console,
    on_start: Callable[[RunFolder], None],
) -> None:
    """Runs a search from its options to its page.

    Args:
        given: The options as the user gave them; what was left out is filled in here.
        command: The command line, for the record.
        on_start: Called with the run folder once there is one to go on with.

    Raises:
        InputError: The options, the data or the folder cannot be used as asked.
        RunError: The run failed.
    """
    options = resolve(given)
    path = options.output or Path("runs", f"{dataset}-{options.activation}-{_now()}")
    if not options.resume:
        check_output(path, options.overwrite)  # before a minute of work, not after
    arrays = data_module.load(data_module.DATASETS[dataset], options.data, options.data_dir)
    data = data_module.split(arrays, options.train_limit)
    options = resolve(options, arrays)
    if options.batch_size > len(data.x_train):
        raise InputError(
            f"`--batch-size` must not exceed the {len(data.x_train)} training images. "
            f"Received: --batch-size {options.batch_size}"
        )
    if arrays.warning:
        _warn(console, arrays.warning)
    options, reason = choose_precision(options, data)
    fingerprint = make_fingerprint(options, arrays)
    run = None
    if options.resume:
        run = RunFolder.open(path)
        check_resumable(run, fingerprint, options)
        reason = run.config.get("precision_reason", reason)
    console.print(f"Precision: {options.precision} ({reason})", markup=False)
    if options.dry_run:
        print_plan(console, options, arrays, data, path)
        return

    config = {
        "recipe": dataset,
        "given": settings(given),
        "options": settings(options),
        "precision_reason": reason,
        "fingerprint": fingerprint,
        "data_source": arrays.source,
    }
    environment = describe_environment(command)
    if run is None:
        run = RunFolder.create(path, config, options.overwrite)
    else:
        run.remove_leftovers()
        # What the run began with stays as it was given: it is what `--config` takes over.
        run.write_config({**config, "given": run.config["given"]})
        environment = _add_session(run, environment, console)
    run.write_json("environment", environment)
    on_start(run)
    _search_and_compare(options, arrays, data, run, console)


def _search_and_compare(
    options: SearchOptions,
    arrays: data_module.Arrays,
    data: data_module.Split,
    run: RunFolder,
    console: Console,
) -> None:
    """Each arm's search, the retrainings, the summary and the page."""
    assert options.epochs is not None
    arm_list = arms(options)
    planned = [n_trials_and_epochs(arm, options.epochs) for arm in arm_list]
    n_retrainings = options.seeds * len(arm_list)
    n_epochs = sum(n for _, n in planned) * options.executions + n_retrainings * options.epochs
    progress = Progress(console, sum(n for n, _ in planned) + n_retrainings, n_epochs)
    console.print(f"Run folder: {run.path}", markup=False)
    console.print(f"Data: {arrays.source}", markup=False)
    numbers = " and ".join(
        f"{n} of {arm.activation}" for arm, (n, _) in zip(arm_list, planned, strict=True)
    )
    console.print(f"Trials: {numbers} ({options.tuner}), then {options.seeds} retrainings of each")
    trainer = Trainer()
    with progress:
        chosen = [search_arm(arm, options, data, run, progress, trainer) for arm in arm_list]
        for i, row in enumerate(chosen):
            retrain(row, options, data, run, progress, trainer, save_model=i == 0)
    summary = make_summary(run, chosen, arrays)
    run.write_json("summary", summary)
    page.write_page(run)
    console.print()
    console.print(page.result_table(summary), width=max(console.width, 80))
    console.print()
    if summary["warning"]:
        _warn(console, summary["warning"])
    console.print(summary["verdict"], style="bold", markup=False)
    console.print(f"Page: {run.page.resolve()}", markup=False)


def _add_session(run: RunFolder, now: dict[str, Any], console: Console) -> dict[str, Any]:
    """The environment the run began with, and this one in its list of resumes.

    Trials of two versions of a library, or of the code, need not be comparable: that is said.
    """
    try:
        began = run.read_json("environment")
    except InputError:  # killed before it was written, or damaged: nothing to compare with
        return now
    for name in ("versions", "git_revision"):
        if began.get(name) != now[name]:
            _warn(console, f"the run began with other {name}: {began.get(name)}.")
    return {**began, "resumes": [*began.get("resumes", []), now]}


def _warn(console: Console, text: str) -> None:
    console.print(f"Note: {text}", style="bold yellow", markup=False)


def _now() -> str:
    return datetime.now().strftime("%Y%m%d-%H%M%S")
