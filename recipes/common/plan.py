"""What `--dry-run` prints: the run as it would be, with nothing written."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from recipes.common.data import Arrays, Split
from recipes.common.models import build_model
from recipes.common.options import SearchOptions
from recipes.common.search import n_trials_and_epochs
from recipes.common.space import Axis, arms


def print_plan(
    console: Console, options: SearchOptions, arrays: Arrays, data: Split, path: Path
) -> None:
    """Prints data, arms, trials, epochs and the folder of a run that is not started."""
    assert options.epochs is not None
    table = Table(title="Dry run: nothing is trained or written", title_justify="left")
    for column in ("arm", "alpha", "learning rate", "trials", "epochs in all", "parameters"):
        table.add_column(column)
    for arm in arms(options):
        n_trials, n_epochs = n_trials_and_epochs(arm, options.epochs)
        alpha = arm.alpha.low if arm.alpha else None
        model = build_model(options, data, arm.activation, alpha, 1e-3)
        table.add_row(
            arm.activation,
            _describe(arm.alpha),
            _describe(arm.learning_rate),
            f"{n_trials} ({options.tuner})",
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
    console.print(f"Run folder: {path}", markup=False)


def _describe(axis: Axis | None) -> str:
    if axis is None:
        return "none"
    return f"{axis.low:g} to {axis.high:g}, {'log' if axis.log else 'linear'}"
