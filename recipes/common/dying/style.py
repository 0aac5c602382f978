"""What the pictures share: colors and axes."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter


def sequence(n: int) -> list[str]:
    """`n` colors in an order that the eye sees, all dark enough for lines and text."""
    return [to_hex(color) for color in colormaps["viridis"](np.linspace(0, 0.82, n))]


def percent_axis(axis: Axis) -> None:
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def small_fraction_axis(axes: Axes) -> None:
    """Fractions from 0 to 1 on the y axis, linear up to 1 % and logarithmic beyond."""
    axes.set_yscale("symlog", linthresh=0.01, linscale=0.6)
    axes.set_ylim(-0.0015, 1.25)
    ticks = [0, 0.01, 0.03, 0.1, 0.3, 1]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def accuracy_axis(axes: Axes, lowest_error: float) -> None:
    """Accuracies crowd together near their best; their errors on a log scale stay apart.

    The y values drawn are errors; the labels are the accuracies they stand for, the best on top.
    """
    low = min(lowest_error * 0.85, 0.5)
    axes.set_yscale("log")
    axes.set_ylim(1.25, low)
    errors = [e for e in (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01) if e >= low]
    axes.yaxis.set_major_locator(FixedLocator(errors))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.0f} %"))


def log_rate_axis(axes: Axes, rates: list[float]) -> None:
    """Learning rates on the x axis, each with its own tick."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
