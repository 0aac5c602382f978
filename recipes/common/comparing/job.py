"""The whole job of a comparison: every arm searched and retrained, the summary, the page."""

from collections.abc import Callable, Sequence

from rich.console import Console

from recipes.common.comparing.arms import arms, nets
from recipes.common.comparing.options import CompareOptions
from recipes.common.comparing.page import result_tables, write_page
from recipes.common.comparing.summary import make_summary
from recipes.common.errors import NoTrialCompletedError
from recipes.common.run_arms import run_arms
from recipes.common.run_folder import RunFolder
from recipes.common.space import Arm
from recipes.common.start import Recipe, Started, finish, start, warn


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
    with start(recipe, given, command, console, on_start) as started:
        if started is not None:
            _compare(started, console)


def _compare(started: Started[CompareOptions], console: Console) -> None:
    """Every arm's search and retrainings, the summary and the page."""
    run, options = started.run, started.options
    net_list, arm_list = nets(options), arms(options)
    console.print(
        f"{len(net_list)} nets with {len(arm_list) // len(net_list)} arms each: "
        f"{options.trials} trials and {options.seeds} retrainings an arm"
    )
    failed: list[str] = []

    def leave_out(error: NoTrialCompletedError, arm: Arm) -> None:
        if arm.activation == "relu":
            raise error  # there is nothing to compare with
        warn(console, str(error))
        failed.append(arm.name)

    run_arms(arm_list, started, console, saves_model=False, on_failure=leave_out)
    summary = make_summary(run, [net.without(failed) for net in net_list], started.arrays, failed)
    run.write_json("summary", summary)
    write_page(run)
    finish(console, run, result_tables(summary))
