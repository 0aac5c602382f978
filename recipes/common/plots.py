"""The pictures of a run, drawn from what its folder holds."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from keras_leaky.rectifiers import entry_of
from recipes.common.drawing import (
    FAILED_COLOR,
    accuracy_ticks,
    draw_png,
    error_norm,
    errors,
    percent_axis,
)
from recipes.common.outcome import ArmOutcome, Outcome
from recipes.common.run_folder import TrialRow
from recipes.common.statistics import summarize


def draw_plots(outcome: Outcome) -> dict[str, bytes]:
    """Draws every plot of a run: its name and its PNG, in the order of the page."""
    draw: dict[str, Callable[[Figure, Outcome], None]] = {
        "trials": _trials,
        "learning_rate": _learning_rate,
        "learning_curves": _learning_curves,
        "test_accuracy": _test_accuracy,
    }
    if outcome.summary["activation"] == "relu":
        del draw["trials"]  # there is no alpha
    if any(arm.layers for arm in outcome.arms):
        draw["dead_units"] = _dead_units
    return {name: draw_png(function, outcome) for name, function in draw.items()}


def _trials(figure: Figure, outcome: Outcome) -> None:
    """Where the trials of the activation lie in the space, and how well each did."""
    arm, options = outcome.arms[0], outcome.config["options"]
    axes = figure.add_subplot()
    axes.set_xscale("log" if options["alpha_range"][0] > 0 else "linear")
    axes.set_yscale("log")
    norm = error_norm(arm.scored)
    if options["tuner"] == "grid":
        mappable = _grid_cells(axes, arm, norm)
    else:
        # Hyperband visits a point once a rung; the one trained longest comes last, on top.
        mappable = axes.scatter(
            *_points(arm.scored),
            c=errors(arm.scored, norm),
            norm=norm,
            cmap="viridis_r",
            s=70,
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
        )
        # The whole space, so that what was not visited shows.
        _span(axes.set_xlim, options["alpha_range"])
        _span(axes.set_ylim, options["learning_rate_range"])
    if arm.failed:
        label = f"failed ({len(arm.failed)})"
        axes.scatter(*_points(arm.failed), marker="x", color=FAILED_COLOR, s=60, label=label)
    axes.scatter(
        arm.best["alpha"],
        arm.best["learning_rate"],
        s=220,
        facecolors="none",
        edgecolors=FAILED_COLOR,
        linewidths=1.8,
        zorder=5,
        label="chosen point",
    )
    axes.set_xlabel(f"alpha ({entry_of(arm.name).alpha_title})")
    axes.set_ylabel("learning rate")
    title = f"{arm.title} on {outcome.summary['data_title']}: {len(arm.trials)} trials"
    axes.set_title(title, loc="left")
    bar = figure.colorbar(mappable, ax=axes, label="validation accuracy")
    accuracy_ticks(bar.ax, norm)
    figure.legend(loc="outside lower left", ncols=2)
    axes.grid(alpha=0.25)


def _points(rows: Sequence[TrialRow]) -> tuple[list[float], list[float]]:
    """Alphas and learning rates of rows that have an alpha."""
    return [row.alpha or 0.0 for row in rows], [row.learning_rate for row in rows]


def _grid_cells(axes: Axes, arm: ArmOutcome, norm: LogNorm) -> Any:
    """Fills one cell a grid point; a failed one stays empty."""
    alphas, rates = (sorted(set(values)) for values in _points(arm.trials))
    cells = np.full((len(rates), len(alphas)), np.nan)
    for row, error in zip(arm.scored, errors(arm.scored, norm), strict=True):
        cells[rates.index(row.learning_rate), alphas.index(row.alpha or 0.0)] = error
    edges = cell_edges(alphas, axes.get_xscale() == "log"), cell_edges(rates, log=True)
    return axes.pcolormesh(*edges, cells, norm=norm, cmap="viridis_r")


def cell_edges(points: Sequence[float], log: bool) -> np.ndarray:
    """Borders halfway between neighbours on the axis's scale; the outer cells are symmetric."""
    values = np.log(points) if log else np.asarray(points)
    if len(values) == 1:
        edges = values[0] + np.array([-0.5, 0.5])
    else:
        middles = (values[1:] + values[:-1]) / 2
        edges = np.array([2 * values[0] - middles[0], *middles, 2 * values[-1] - middles[-1]])
    return np.exp(edges) if log else edges


def _span(set_limits: Callable[[float, float], Any], bounds: Sequence[float]) -> None:
    """Sets the limits of an axis to `bounds` and a little more."""
    low, high = bounds
    if low > 0:
        margin = (high / low) ** 0.04
        set_limits(low / margin, high * margin)
    else:
        set_limits(low - 0.04 * high, 1.04 * high)


def _learning_rate(figure: Figure, outcome: Outcome) -> None:
    """Validation accuracy against learning rate, both arms: whose region of good rates is wider?"""
    axes = figure.add_subplot()
    norm = error_norm([row for arm in outcome.arms for row in arm.scored])
    for arm in outcome.arms:
        axes.scatter(
            [row.learning_rate for row in arm.scored],
            errors(arm.scored, norm),
            color=entry_of(arm.name).color,
            marker="s" if arm.name == "relu" else "o",
            s=38,
            alpha=0.85,
            label=arm.title,
        )
        failed = [row.learning_rate for row in arm.failed]
        bottom = axes.get_xaxis_transform()
        axes.plot(
            failed, [0.02] * len(failed), "x", color=entry_of(arm.name).color, transform=bottom
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    accuracy_ticks(axes, norm)
    axes.set_xlabel("learning rate (crosses on the axis: failed trials)")
    axes.set_ylabel("validation accuracy")
    title = f"{outcome.summary['data_title']}: every trial against its learning rate"
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25)
    axes.legend()


def _learning_curves(figure: Figure, outcome: Outcome) -> None:
    """Training loss and validation accuracy of the retrainings: each seed thin, the mean thick."""
    left, right = figure.subplots(1, 2)
    for arm in outcome.arms:
        color = entry_of(arm.name).color
        for axes, column in ((left, "loss"), (right, "val_accuracy")):
            for seed in dict.fromkeys(row.seed for row in arm.epochs):
                curve = [row for row in arm.epochs if row.seed == seed]
                values = [getattr(row, column) for row in curve]
                axes.plot([row.epoch for row in curve], values, color=color, lw=0.7, alpha=0.45)
            epochs = sorted({row.epoch for row in arm.epochs})
            means = [
                np.mean([getattr(row, column) for row in arm.epochs if row.epoch == epoch])
                for epoch in epochs
            ]
            axes.plot(epochs, means, "o-", color=color, markersize=4, label=arm.title)
    figure.suptitle(f"{outcome.summary['data_title']}: retrainings of the chosen points")
    left.set_title("Training loss", loc="left")
    right.set_title("Validation accuracy", loc="left")
    left.set_yscale("log")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend()


def _test_accuracy(figure: Figure, outcome: Outcome) -> None:
    """One dot a seed, pairs joined, and the mean with its 95 % interval beside them."""
    axes = figure.add_subplot()
    arms = outcome.arms[::-1]  # the baseline to the left
    accuracies = [[row.test_accuracy for row in arm.retrainings] for arm in arms]
    for pair in zip(*accuracies, strict=True):
        axes.plot(range(len(arms)), pair, "-", color="#bbbbbb", linewidth=1, zorder=1)
    for i, (arm, values) in enumerate(zip(arms, accuracies, strict=True)):
        color = entry_of(arm.name).color
        axes.scatter([i] * len(values), values, color=color, s=36, zorder=3)
        result = summarize(values)
        side = 0.12 if i else -0.12
        error = 0.0 if result.ci95 is None else result.ci95[1] - result.mean
        axes.errorbar(i + side, result.mean, error, fmt="D", color=color, capsize=5, markersize=6)
    axes.set_xticks(range(len(arms)), [arm.title for arm in arms])
    axes.set_xlim(-0.6, len(arms) - 0.4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2%}"))
    axes.set_ylabel("accuracy on the held-out test split")
    axes.set_title(f"{outcome.summary['data_title']}: retrainings, tested", loc="left")
    axes.grid(alpha=0.25, axis="y")


def _dead_units(figure: Figure, outcome: Outcome) -> None:
    """Shares of dead and inactive units by layer, and how active each unit is."""
    left, right = figure.subplots(1, 2)
    arms = [arm for arm in outcome.arms[::-1] if arm.layers]
    names = [layer.layer.replace("_", " ") for layer in arms[0].layers]
    width = 0.8 / len(arms)
    for i, arm in enumerate(arms):
        color = entry_of(arm.name).color
        places = np.arange(len(names)) + (i - (len(arms) - 1) / 2) * width
        bars: dict[str, Any] = {"width": 0.9 * width, "color": color}
        inactive = [layer.inactive_fraction for layer in arm.layers]
        left.bar(places, inactive, alpha=0.4, label=f"{arm.title}: inactive", **bars)
        dead = [layer.dead_fraction for layer in arm.layers]
        left.bar(places, dead, hatch="///", label=f"{arm.title}: dead", **bars)
        drawn = right.boxplot(
            [layer.active_fraction for layer in arm.layers],
            positions=places.tolist(),
            widths=0.8 * width,
            whis=(0, 100),
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": "white"},
        )
        for box in drawn["boxes"]:
            box.set(facecolor=color, edgecolor=color, alpha=0.8)
    figure.suptitle(f"{outcome.summary['data_title']}: units of the retrained nets")
    left.set_title("Share of units", loc="left")
    right.set_title("Active fraction of the units", loc="left")
    for axes in (left, right):
        axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 4 else 30)
        axes.grid(alpha=0.25, axis="y")
        percent_axis(axes.yaxis)
    left.set_ylim(0, max(0.01, 1.1 * left.get_ylim()[1]))
    right.set_ylim(0, 1)
    figure.legend(loc="outside lower left", ncols=2 * len(arms), fontsize="small")
