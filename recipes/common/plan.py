"""What `--dry-run` prints: the run as it would be, with nothing written."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recipes.common.data import Arrays, Split
from recipes.common.models import build_model
from recipes.common.options import RunOptions
from recipes.common.oracles import n_trials_and_epochs
from recipes.common.space import Arm, Axis


def n_runs_and_epochs(arms: Sequence[Arm], options: RunOptions) -> tuple[int, int]:
    """How many trials and retrainings there will be, and how many epochs they train in all."""
    assert options.epochs is not None
    planned = [n_trials_and_epochs(arm, options.epochs) for arm in arms]
    n_retrainings = options.seeds * len(arms)
    n_epochs = sum(n for _, n in planned) * options.executions + n_retrainings * options.epochs
    return sum(n for n, _ in planned) + n_retrainings, n_epochs


def print_plan(
    console: Console,
    options: RunOptions,
    arms: Sequence[Arm],
    arrays: Arrays,
    data: Split,
    path: Path,
) -> None:
    """Prints data, arms, trials, epochs and the folder of a run that is not started."""
    assert options.epochs is not None
    table = Table(title="Dry run: nothing is trained or written", title_justify="left")
    for column in ("arm", "alpha", "learning rate", "trials", "epochs in all", "parameters"):
        table.add_column(column, no_wrap=column == "arm")
    for arm in arms:
        n_trials, n_epochs = n_trials_and_epochs(arm, options.epochs)
        model = build_model(options, data, arm, arm.some_alpha, 1e-3)
        table.add_row(
            arm.name,
            _describe(arm.alpha),
            _describe(arm.learning_rate),
            f"{n_trials} ({arm.tuner})",
            str(n_epochs * options.executions),
            f"{model.count_params():,}",
        )
    console.print(table)
    n_images = [f"{len(x):,}" for x in (data.x_train, data.x_validation, data.x_test)]
    console.print(
        f"Data: {arrays.source}: {n_images[0]} training, {n_images[1]} validation, "
        f"{n_images[2]} test images",
        markup=False,
    )
    console.print(f"Then {options.seeds} retrainings an arm of {options.epochs} epochs each.")
    n_trials = sum(n_trials_and_epochs(arm, options.epochs)[0] for arm in arms)
    n_trainings = n_trials * options.executions + options.seeds * len(arms)
    console.print(f"In all: {n_trainings} trainings.")
    console.print(f"Run folder: {path}", markup=False)


def _describe(axis: Axis | float | None) -> str:
    if not isinstance(axis, Axis):
        return "none" if axis is None else f"{axis:g}"
    return f"{axis.low:g} to {axis.high:g}, {'log' if axis.log else 'linear'}"
