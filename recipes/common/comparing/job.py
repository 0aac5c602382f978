"""The whole job of a comparison: every arm searched and retrained, the summary, the page."""

from collections.abc import Callable, Sequence

from rich.console import Console

from keras_leaky.tuning import Trainer
from recipes.common.comparing.arms import arms, nets
from recipes.common.comparing.options import CompareOptions
from recipes.common.comparing.page import result_tables, write_page
from recipes.common.comparing.summary import make_summary
from recipes.common.errors import NoTrialCompletedError
from recipes.common.plan import n_runs_and_epochs
from recipes.common.progress import Progress
from recipes.common.retrain import retrain
from recipes.common.run_folder import RunFolder
from recipes.common.search import search_arm
from recipes.common.start import Recipe, finish, start, warn


def run_comparison(
    given: CompareOptions,
    command: Sequence[str],
    console: Console,
    on_start: Callable[[RunFolder], None],
) -> None:
    """Runs a comparison from its options to its page.

    Args:
        given, command, on_start: As of `start`.

    Raises:
        InputError: The options, the data or the folder cannot be used as asked.
        RunError: The run failed.
    """
    recipe = Recipe("compare", given.dataset, f"compare-{given.dataset}", arms)
    started = start(recipe, given, command, console, on_start)
    if started is None:
        return
    run, options, data = started.run, started.options, started.data
    net_list, arm_list = nets(options), arms(options)
    console.print(
        f"{len(net_list)} nets with {len(arm_list) // len(net_list)} arms each: "
        f"{options.trials} trials and {options.seeds} retrainings an arm"
    )
    trainer, failed = Trainer(), []
    with Progress(console, *n_runs_and_epochs(arm_list, options)) as progress:
        for arm in arm_list:  # one after the other, so that an arm's programs are still there
            try:
                chosen = search_arm(arm, options, data, run, progress, trainer)
            except NoTrialCompletedError as error:
                if arm.activation == "relu":
                    raise  # there is nothing to compare with
                warn(console, str(error))
                failed.append(arm.name)
                continue
            retrain(arm, chosen, options, data, run, progress, trainer, save_model=False)
    summary = make_summary(run, [net.without(failed) for net in net_list], started.arrays, failed)
    run.write_json("summary", summary)
    write_page(run)
    finish(console, run, result_tables(summary))
