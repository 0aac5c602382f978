"""What the pictures of the recipes share: from a figure to PNG, and accuracies as log errors."""

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, PercentFormatter

from recipes.common.run_folder import TrialRow

FAILED_COLOR = "#c0392b"


def draw_png(
    draw: Callable[..., None], *what: Any, width: float = 7.2, height: float = 4.4
) -> bytes:
    """Calls `draw(figure, *what)` with an empty figure, in inches, and returns the PNG."""
    figure = Figure(figsize=(width, height), layout="constrained")
    draw(figure, *what)
    png = io.BytesIO()
    # Without matplotlib's own stamp equal runs make equal pictures.
    figure.savefig(png, dpi=130, metadata={"Software": None})
    return png.getvalue()


def error_norm(rows: Iterable[TrialRow]) -> LogNorm:
    """Accuracies crowd together near their best; their errors on a log scale stay apart."""
    errors = [1 - (row.score or 0.0) for row in rows]
    low = max(min(errors), 1e-4)  # an error of 0 has no logarithm
    return LogNorm(low, max(*errors, low * 1.01))


def errors(rows: Sequence[TrialRow], norm: LogNorm) -> list[float]:
    return [max(1 - (row.score or 0.0), norm.vmin or 0.0) for row in rows]


def accuracy_ticks(axes: Axes, norm: LogNorm) -> None:
    """Labels a log axis of errors with the accuracies they stand for, the best one on top."""
    low, high = norm.vmin or 1e-4, norm.vmax or 1.0
    n_ticks = 6
    axes.yaxis.set_major_locator(FixedLocator(np.geomspace(low, high, n_ticks).tolist()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{1 - error:.2%}"))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.invert_yaxis()


def percent_axis(axis: Axis) -> None:
    """Labels fractions as percents."""
    axis.set_major_formatter(PercentFormatter(1))
