"""The whole job of a search recipe: load, search, retrain, summarize, write the page."""

from collections.abc import Callable, Sequence

from rich.console import Console

from keras_leaky.tuning import Trainer
from recipes.common import page
from recipes.common.plan import n_runs_and_epochs
from recipes.common.progress import Progress
from recipes.common.retrain import retrain
from recipes.common.run_folder import RunFolder
from recipes.common.search import n_trials_and_epochs, search_arm
from recipes.common.search_options import SearchOptions
from recipes.common.space import arms
from recipes.common.start import Recipe, Started, finish, start
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
        given, command, on_start: As of `start`.

    Raises:
        InputError: The options, the data or the folder cannot be used as asked.
        RunError: The run failed.
    """
    recipe = Recipe(dataset, dataset, f"{dataset}-{given.activation}", arms)
    started = start(recipe, given, command, console, on_start)
    if started is not None:
        _search_and_compare(started, console)


def _search_and_compare(started: Started[SearchOptions], console: Console) -> None:
    """Each arm's search, the retrainings, the summary and the page."""
    run, options, data = started.run, started.options, started.data
    assert options.epochs is not None
    arm_list = arms(options)
    numbers = " and ".join(
        f"{n_trials_and_epochs(arm, options.epochs)[0]} of {arm.name}" for arm in arm_list
    )
    console.print(f"Trials: {numbers} ({options.tuner}), then {options.seeds} retrainings of each")
    trainer = Trainer()
    with Progress(console, *n_runs_and_epochs(arm_list, options)) as progress:
        chosen = [search_arm(arm, options, data, run, progress, trainer) for arm in arm_list]
        for i, (arm, row) in enumerate(zip(arm_list, chosen, strict=True)):
            retrain(arm, row, options, data, run, progress, trainer, save_model=i == 0)
    summary = make_summary(run, chosen, started.arrays)
    run.write_json("summary", summary)
    page.write_page(run)
    finish(console, run, page.result_table(summary))
