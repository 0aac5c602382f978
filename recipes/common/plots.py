"""The pictures of a run, drawn from what its folder holds."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from recipes.common.run_folder import EpochRow, RunFolder, TrialRow, write_atomically
from recipes.common.statistics import TITLES, summarize

COLORS = {"relu": "#555555", "leaky_relu": "#0b6fb8", "prelu": "#c2570c", "elu": "#0a7d4f"}
ALPHA_LABELS = {
    "leaky_relu": "alpha (negative slope)",
    "prelu": "alpha (initial negative slope)",
    "elu": "alpha (saturation value)",
}


def draw_plots(run: RunFolder, config: dict[str, Any], summary: dict[str, Any]) -> list[str]:
    """Draws every plot of a run into its folder and returns their names, in order."""
    draw: dict[str, Callable[[Figure], None]] = {}
    activation = summary["activation"]
    if activation != "relu":
        draw["trials"] = lambda figure: _trials(figure, run, config, summary)
    draw["learning_rate"] = lambda figure: _learning_rate(figure, run, summary)
    draw["learning_curves"] = lambda figure: _learning_curves(figure, run, summary)
    draw["test_accuracy"] = lambda figure: _test_accuracy(figure, run, summary)
    for name, function in draw.items():
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        function(figure)
        png = io.BytesIO()
        # Without matplotlib's own stamp equal runs make equal pictures.
        figure.savefig(png, dpi=130, metadata={"Software": None})
        write_atomically(run.plot(name), png.getvalue())
    return list(draw)


def _arms(summary: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys((summary["activation"], "relu")))


def _trials(
    figure: Figure, run: RunFolder, config: dict[str, Any], summary: dict[str, Any]
) -> None:
    """Where the trials of the activation lie in the space, and how well each did."""
    activation = summary["activation"]
    axes = figure.add_subplot()
    rows = [row for row in run.trials if row.arm == activation]
    failed = [row for row in rows if row.score is None]
    # Hyperband visits a point once a rung: the one trained longest is drawn last, on top.
    scored = [row for row in rows if row.score is not None]
    norm = _error_norm(scored)
    if config["options"]["tuner"] == "grid":
        mappable = _grid_cells(axes, rows, norm)
    else:
        mappable = axes.scatter(
            *_points(scored),
            c=_errors(scored, norm),
            norm=norm,
            cmap="viridis_r",
            s=70,
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
        )
    axes.scatter(
        *_points(failed),
        marker="x",
        color="#c0392b",
        s=60,
        zorder=4,
        label=f"failed ({len(failed)})",
    )
    best = summary["best"]
    axes.scatter(
        best["alpha"],
        best["learning_rate"],
        s=220,
        facecolors="none",
        edgecolors="#c0392b",
        linewidths=1.8,
        zorder=5,
        label="chosen point",
    )
    options = config["options"]
    if options["alpha_range"][0] > 0:
        axes.set_xscale("log")
    axes.set_yscale("log")
    if options["tuner"] != "grid":  # the whole space, so that what was not visited shows
        _span(axes.set_xlim, options["alpha_range"])
        _span(axes.set_ylim, options["learning_rate_range"])
    axes.set_xlabel(ALPHA_LABELS[activation])
    axes.set_ylabel("learning rate")
    axes.set_title(f"{TITLES[activation]}: {len(rows)} trials", loc="left")
    bar = figure.colorbar(mappable, ax=axes, label="validation accuracy")
    _accuracy_ticks(bar.ax, norm)
    handles, labels = axes.get_legend_handles_labels()
    wanted = [i for i, label in enumerate(labels) if failed or not label.startswith("failed")]
    figure.legend(
        [handles[i] for i in wanted], [labels[i] for i in wanted], loc="outside lower left", ncols=2
    )
    axes.grid(alpha=0.25)


def _points(rows: Sequence[TrialRow]) -> tuple[list[float], list[float]]:
    """Alphas and learning rates of rows that have an alpha."""
    return [row.alpha or 0.0 for row in rows], [row.learning_rate for row in rows]


def _grid_cells(axes: Axes, rows: Sequence[TrialRow], norm: LogNorm) -> Any:
    """Fills one cell a grid point; a failed one stays empty."""
    alphas = sorted({row.alpha for row in rows if row.alpha is not None})
    rates = sorted({row.learning_rate for row in rows})
    cells = np.full((len(rates), len(alphas)), np.nan)
    for row in rows:
        if row.score is not None and row.alpha is not None:
            cells[rates.index(row.learning_rate), alphas.index(row.alpha)] = 1 - row.score
    cells = np.maximum(cells, norm.vmin or 0.0)
    return axes.pcolormesh(_edges(alphas), _edges(rates), cells, norm=norm, cmap="viridis_r")


def _edges(points: Sequence[float]) -> np.ndarray:
    """Cell borders halfway between neighbours on the axis's own scale."""
    log = points[0] > 0
    values = np.log(points) if log else np.asarray(points)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    edges = np.append(values - step / 2, values[-1] + step / 2)
    return np.exp(edges) if log else edges


def _error_norm(rows: Sequence[TrialRow]) -> LogNorm:
    """Accuracies crowd together near their best; their errors on a log scale stay apart."""
    errors = [1 - (row.score or 0.0) for row in rows]
    low = max(min(errors), 1e-4)  # an error of 0 has no logarithm
    return LogNorm(low, max(*errors, low * 1.01))


def _errors(rows: Sequence[TrialRow], norm: LogNorm) -> list[float]:
    return [max(1 - (row.score or 0.0), norm.vmin or 0.0) for row in rows]


def _accuracy_ticks(axes: Axes, norm: LogNorm) -> None:
    """Labels a log axis of errors with the accuracies they stand for, the best one on top."""
    low, high = norm.vmin or 1e-4, norm.vmax or 1.0
    n_ticks = 6
    axes.yaxis.set_major_locator(FixedLocator(np.geomspace(low, high, n_ticks).tolist()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{1 - error:.2%}"))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.invert_yaxis()


def _span(set_limits: Callable[[float, float], Any], bounds: Sequence[float]) -> None:
    """Sets the limits of an axis to `bounds` and a little more."""
    low, high = bounds
    if low > 0:
        margin = (high / low) ** 0.04
        set_limits(low / margin, high * margin)
    else:
        set_limits(low - 0.04 * high, 1.04 * high)


def _learning_rate(figure: Figure, run: RunFolder, summary: dict[str, Any]) -> None:
    """Validation accuracy against learning rate, both arms: whose region of good rates is wider?"""
    axes = figure.add_subplot()
    norm = _error_norm([row for row in run.trials if row.score is not None])
    for arm in _arms(summary):
        rows = [row for row in run.trials if row.arm == arm]
        scored = [row for row in rows if row.score is not None]
        axes.scatter(
            [row.learning_rate for row in scored],
            _errors(scored, norm),
            color=COLORS[arm],
            marker="s" if arm == "relu" else "o",
            s=38,
            alpha=0.85,
            label=TITLES[arm],
        )
        failed = [row.learning_rate for row in rows if row.score is None]
        bottom = axes.get_xaxis_transform()
        axes.plot(failed, [0.02] * len(failed), "x", color=COLORS[arm], transform=bottom)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _accuracy_ticks(axes, norm)
    axes.set_xlabel("learning rate (crosses on the axis: failed trials)")
    axes.set_ylabel("validation accuracy")
    axes.set_title("Every trial against its learning rate", loc="left")
    axes.grid(alpha=0.25)
    axes.legend(loc="center left")  # where trials are rare: low rates are seldom this bad


def _learning_curves(figure: Figure, run: RunFolder, summary: dict[str, Any]) -> None:
    """Training loss and validation accuracy of the retrainings: each seed thin, the mean thick."""
    left, right = figure.subplots(1, 2)
    for arm in _arms(summary):
        rows = [row for row in run.epochs if row.arm == arm and not row.trial_id]
        for axes, column in ((left, "loss"), (right, "val_accuracy")):
            for seed in dict.fromkeys(row.seed for row in rows):
                curve = [row for row in rows if row.seed == seed]
                axes.plot(
                    [row.epoch for row in curve],
                    [getattr(row, column) for row in curve],
                    color=COLORS[arm],
                    linewidth=0.7,
                    alpha=0.45,
                )
            epochs, means = _mean_curve(rows, column)
            axes.plot(epochs, means, "o-", color=COLORS[arm], markersize=4, label=TITLES[arm])
    left.set_title("Training loss", loc="left")
    right.set_title("Validation accuracy", loc="left")
    left.set_yscale("log")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend()


def _mean_curve(rows: Sequence[EpochRow], column: str) -> tuple[list[int], list[float]]:
    epochs = sorted({row.epoch for row in rows})
    values = [[getattr(row, column) for row in rows if row.epoch == epoch] for epoch in epochs]
    return epochs, [float(np.mean(value)) for value in values]


def _test_accuracy(figure: Figure, run: RunFolder, summary: dict[str, Any]) -> None:
    """One dot a seed, pairs joined, and the mean with its 95 % interval beside them."""
    axes = figure.add_subplot()
    arms = _arms(summary)[::-1]  # the baseline to the left
    accuracies = {
        arm: [row.test_accuracy for row in run.retrainings if row.arm == arm] for arm in arms
    }
    for pair in zip(*accuracies.values(), strict=True):
        axes.plot(range(len(arms)), pair, "-", color="#bbbbbb", linewidth=1, zorder=1)
    for i, arm in enumerate(arms):
        values = accuracies[arm]
        axes.scatter([i] * len(values), values, color=COLORS[arm], s=36, zorder=3)
        result = summarize(values)
        side = 0.12 if i else -0.12
        error = 0.0 if result.ci95 is None else result.ci95[1] - result.mean
        axes.errorbar(
            i + side, result.mean, error, fmt="D", color=COLORS[arm], capsize=5, markersize=6
        )
    axes.set_xticks(range(len(arms)), [TITLES[arm] for arm in arms])
    axes.set_xlim(-0.6, len(arms) - 0.4)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2%}"))
    axes.set_ylabel("accuracy on the held-out test split")
    axes.set_title("One dot a seed, same seeds joined; mean and 95 % interval", loc="left")
    axes.grid(alpha=0.25, axis="y")
