"""All arms of a run, searched and retrained."""

from collections.abc import Callable, Sequence

from rich.console import Console

from recipes.common.errors import NoTrialCompletedError
from recipes.common.lanes import Source, open_lanes, run_jobs
from recipes.common.plan import n_runs_and_epochs
from recipes.common.progress import Progress
from recipes.common.retrain import ArmRetraining
from recipes.common.search import ArmSearch
from recipes.common.space import Arm
from recipes.common.start import Started
from recipes.common.work import Workplace


def run_arms(
    arms: Sequence[Arm],
    started: Started,
    console: Console,
    saves_model: bool,
    on_failure: Callable[[NoTrialCompletedError, Arm], None] | None = None,
) -> None:
    """Runs the trials and the retrainings of every arm, in this process or on workers.

    Args:
        saves_model: Save a retraining of the first arm as best.keras.
        on_failure: As of `ArmRetraining`.

    Raises:
        InputError: The scheduler cannot be reached.
        RunError: An arm failed, the disk is full, or the scheduler has gone away.
    """
    run, options, data = started.run, started.options, started.data
    place = Workplace(options, data, {arm.name: arm for arm in arms})
    with (
        Progress(console, *n_runs_and_epochs(arms, options)) as progress,
        open_lanes(options, place, progress) as lanes,
    ):
        sources: list[Source] = []  # arm after arm, so that an arm's programs are still there
        for i, arm in enumerate(arms):
            search = ArmSearch(arm, options, run, progress)
            saves = saves_model and i == 0
            sources += [search, ArmRetraining(search, options, run, progress, saves, on_failure)]
        run_jobs(sources, lanes)
