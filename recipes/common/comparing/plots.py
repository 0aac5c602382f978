"""The pictures of a comparison, one panel a net."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from keras_leaky.rectifiers import entry_of
from recipes.common.comparing.arms import CANDIDATES
from recipes.common.comparing.outcome import ComparedArm, Comparison, NetOutcome
from recipes.common.drawing import accuracy_ticks, draw_png, error_norm, errors, percent_axis

N_COLUMNS = 2


def draw_plots(comparison: Comparison) -> dict[str, bytes]:
    """Draws every plot: its name and its PNG, in the order of the page."""
    draw: dict[str, Callable[[Axes, NetOutcome], None]] = {"learning_rate": _learning_rate}
    if len(comparison.nets[0].arms) > 1:
        draw = {"forest": _forest, **draw}
    if any(arm.outcome.layers for net in comparison.nets for arm in net.arms):
        draw["dead_units"] = _dead_units
    n_rows = -(-len(comparison.nets) // N_COLUMNS)
    height = 0.8 + n_rows * max(2.6, 0.33 * len(comparison.nets[0].arms))
    return {
        name: draw_png(_panels, comparison, panel, width=9.6, height=height)
        for name, panel in draw.items()
    }


def _panels(
    figure: Figure, comparison: Comparison, draw: Callable[[Axes, NetOutcome], None]
) -> None:
    """One panel a net, the titles of the columns and rows in reading order."""
    n_rows = -(-len(comparison.nets) // N_COLUMNS)
    n_columns = min(N_COLUMNS, len(comparison.nets))
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=draw is _dead_units)
    for axes, net in zip(panels.flat, comparison.nets, strict=False):
        draw(axes, net)
        axes.set_title(net.title, loc="left", fontsize="medium")
        axes.grid(alpha=0.25)
        axes.tick_params(labelbottom=True)
    for axes in panels.flat[len(comparison.nets) :]:
        axes.set_visible(False)
    if draw is _dead_units:
        arms = [arm.result for net in comparison.nets for arm in net.arms]
        largest = max(arm["inactive_fraction"] or 0.0 for arm in arms)
        panels.flat[0].set_xlim(0, 1.4 * max(largest, 0.01))  # room for the text
    figure.suptitle(comparison.summary["data_title"])
    if draw is _learning_rate:
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=5, fontsize="small")


def _forest(axes: Axes, net: NetOutcome) -> None:
    """Difference to ReLU: the mean with its interval, and every pair of seeds."""
    relu = np.array([row.test_accuracy for row in net.arms[0].outcome.retrainings])
    compared = net.arms[1:]
    axes.axvline(0, color=entry_of("relu").color, linewidth=1)
    for i, arm in enumerate(compared):
        color, difference = CANDIDATES[arm.key].color, arm.result["difference"]
        pairs = 100 * (np.array([r.test_accuracy for r in arm.outcome.retrainings]) - relu)
        axes.plot(pairs, [i + 0.28] * len(pairs), "|", color=color, alpha=0.6, markersize=5)
        low, high = difference["ci95"] or (difference["mean"], difference["mean"])
        axes.plot([100 * low, 100 * high], [i, i], color=color, linewidth=2)
        face = color if difference["direction"] else "white"
        axes.plot(100 * difference["mean"], i, "o", color=color, markerfacecolor=face, markersize=7)
    _label_arms(axes, compared)
    axes.set_xlabel("points of test accuracy above ReLU")


def _learning_rate(axes: Axes, net: NetOutcome) -> None:
    """Validation accuracy of every trial against its learning rate."""
    norm = error_norm(row for arm in net.arms for row in arm.outcome.scored)
    for arm in net.arms:
        rows = sorted(arm.outcome.scored, key=lambda row: row.learning_rate)
        axes.plot(
            [row.learning_rate for row in rows],
            errors(rows, norm),
            # Trials of a searched slope differ in more than the learning rate: no line.
            ":" if arm.key == "leaky_relu_tuned" else "-",
            marker="s" if arm.key == "relu" else "o",
            color=CANDIDATES[arm.key].color,
            markersize=4,
            linewidth=1.2,
            label=arm.outcome.title,
        )
        failed = [row.learning_rate for row in arm.outcome.failed]
        bottom = axes.get_xaxis_transform()
        axes.plot(
            failed, [0.02] * len(failed), "x", color=CANDIDATES[arm.key].color, transform=bottom
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    accuracy_ticks(axes, norm)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("validation accuracy")


def _dead_units(axes: Axes, net: NetOutcome) -> None:
    """Shares of inactive units, and of those that are dead."""
    counted = [arm for arm in net.arms if arm.outcome.layers]
    for i, arm in enumerate(counted):
        color = CANDIDATES[arm.key].color
        inactive, dead = arm.result["inactive_fraction"], arm.result["dead_fraction"]
        axes.barh(i, inactive, 0.7, color=color, alpha=0.4)
        axes.barh(i, dead, 0.7, color=color, hatch="///", edgecolor="white")
        text = f"{inactive:.1%}" + (", all dead" if 0 < dead == inactive else "")
        axes.annotate(text, (inactive, i), (4, 0), textcoords="offset points", va="center", size=8)
    _label_arms(axes, counted)
    percent_axis(axes.xaxis)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("share of the units inactive (hatched: dead)")


def _label_arms(axes: Axes, arms: list[ComparedArm]) -> None:
    axes.set_yticks(range(len(arms)), [arm.outcome.title for arm in arms])
    axes.set_ylim(len(arms) - 0.4, -0.6)  # the first on top
