"""The whole job of a search recipe: load, search, retrain, summarize, write the page."""

from collections.abc import Callable, Sequence

from rich.console import Console

from recipes.common import page
from recipes.common.oracles import n_trials_and_epochs
from recipes.common.run_arms import run_arms
from recipes.common.run_folder import RunFolder
from recipes.common.search import best_trial
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
    with start(recipe, given, command, console, on_start) as started:
        if started is not None:
            _search_and_compare(started, console)


def _search_and_compare(started: Started[SearchOptions], console: Console) -> None:
    """Each arm's search, the retrainings, the summary and the page."""
    run, options = started.run, started.options
    assert options.epochs is not None
    arm_list = arms(options)
    numbers = " and ".join(
        f"{n_trials_and_epochs(arm, options.epochs)[0]} of {arm.name}" for arm in arm_list
    )
    console.print(f"Trials: {numbers} ({options.tuner}), then {options.seeds} retrainings of each")
    run_arms(arm_list, started, console, saves_model=True)
    chosen = [best_trial(run, arm.name) for arm in arm_list]
    summary = make_summary(run, chosen, started.arrays)
    run.write_json("summary", summary)
    page.write_page(run)
    finish(console, run, page.result_table(summary))
