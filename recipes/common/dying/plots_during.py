"""The pictures of part 3: units that die during training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from recipes.common.dying.comparison import BASELINE
from recipes.common.dying.results import TrainingDeath
from recipes.common.dying.revival import LAYERS, CellRow, DeathRow, RevivalRow
from recipes.common.dying.style import (
    accuracy_axis,
    log_rate_axis,
    percent_axis,
    sequence,
    small_fraction_axis,
)

MIN_UNITS = 30  # fewer give no share worth a line
ALPHA_COLORS = ("#555555", "#7fb8e6", "#0b6fb8", "#08306b")


def alpha_label(alpha: float) -> str:
    return "ReLU" if alpha == 0 else f"leak of {alpha:g}"


def _alpha_colors(part: TrainingDeath) -> dict[float, str]:
    alphas = sorted({row.alpha for row in part.cells})
    return dict(zip(alphas, ALPHA_COLORS, strict=False))


def draw_over_epochs(figure: Figure, part: TrainingDeath) -> None:
    """Inactive fraction over epochs: a row an alpha, a column a momentum, a color a rate."""
    momenta = list(dict.fromkeys(row.momentum for row in part.nets))
    alphas = list(dict.fromkeys(row.alpha for row in part.nets))
    rates = sorted({row.learning_rate for row in part.nets})
    figure.set_size_inches(8.6, 2.1 * len(alphas) + 1)
    grid = figure.subplots(len(alphas), len(momenta), sharex=True, sharey=True, squeeze=False)
    colors = sequence(len(rates))
    for line, alpha in zip(grid, alphas, strict=True):
        for axes, momentum in zip(line, momenta, strict=True):
            for rate, color in zip(rates, colors, strict=True):
                nets = [
                    row
                    for row in part.nets
                    if (row.momentum, row.alpha, row.learning_rate) == (momentum, alpha, rate)
                ]
                _curve(axes, nets, color)
            small_fraction_axis(axes)
            axes.grid(alpha=0.25)
            axes.set_title(f"{alpha_label(alpha)}, momentum {momentum:g}", fontsize=10, loc="left")
        line[0].set_ylabel("dead" if alpha == 0 else "inactive")
    for axes in grid[-1]:
        axes.set_xlabel("epoch (0: before training)")
    handles = [
        Line2D([], [], color=color, marker="o", markersize=3, label=f"{rate:g}")
        for rate, color in zip(rates, colors, strict=True)
    ]
    handles.append(Line2D([], [], color="black", marker="x", linestyle="", label="all diverged"))
    figure.legend(handles=handles, loc="outside right upper", title="learning rate")


def _curve(axes: Axes, nets: list[DeathRow], color: str) -> None:
    """Mean over the seeds that have not diverged; a cross where the last of them has."""
    by_epoch: dict[int, list[float]] = {}
    for row in nets:
        found = by_epoch.setdefault(row.epoch, [])
        if row.inactive_fraction is not None:
            found.append(row.inactive_fraction)
    alive = {epoch: float(np.mean(found)) for epoch, found in by_epoch.items() if found}
    axes.plot(list(alive), list(alive.values()), color=color, marker="o", markersize=3)
    if len(alive) < len(by_epoch):
        last = max(alive, default=0)
        axes.plot(last, alive.get(last, 0), color=color, marker="x", markersize=9, clip_on=False)


def draw_comparison(figure: Figure, part: TrainingDeath) -> None:
    """Inactive fraction and accuracy against the learning rate, a color an alpha."""
    momenta = list(dict.fromkeys(row.momentum for row in part.cells))
    figure.set_size_inches(4.4 * len(momenta), 6.6)
    grid = figure.subplots(2, len(momenta), sharex=True, sharey="row", squeeze=False)
    colors = _alpha_colors(part)
    rates = sorted({row.learning_rate for row in part.cells})
    best = max(row.val_accuracy or 0.0 for row in part.nets)
    for column, momentum in enumerate(momenta):
        upper, lower = grid[0][column], grid[1][column]
        for i, (alpha, color) in enumerate(colors.items()):
            shift = 1.05 ** (i - (len(colors) - 1) / 2)  # side by side, not on each other
            cells = [r for r in part.cells if (r.momentum, r.alpha) == (momentum, alpha)]
            _against_rate(upper, lower, part, cells, color, shift)
        small_fraction_axis(upper)
        accuracy_axis(lower, 1 - best)
        for axes in (upper, lower):
            log_rate_axis(axes, rates)
            axes.grid(alpha=0.25)
        _ring(upper, lower, part, momentum, shift=1.05 ** (-(len(colors) - 1) / 2))  # as ReLU
        upper.set_title(f"momentum {momentum:g}", loc="left")
        lower.set_xlabel("learning rate")
    grid[0][0].set_ylabel("units inactive in the end (ReLU: dead)")
    grid[1][0].set_ylabel("validation accuracy in the end")
    handles = [
        Line2D([], [], color=color, marker="o", label=alpha_label(alpha))
        for alpha, color in colors.items()
    ]
    handles += [
        Line2D([], [], color="black", marker="x", linestyle="", label="a net that diverged"),
        Line2D(
            *([], []),
            marker="o",
            markersize=12,
            markerfacecolor="none",
            markeredgecolor="#c0392b",
            linestyle="",
            label="ReLU that loses most units and learns",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _against_rate(
    upper: Axes,
    lower: Axes,
    part: TrainingDeath,
    cells: list[CellRow],
    color: str,
    shift: float,
) -> None:
    """One alpha: a dot a net, a line through the means, a cross for each net that diverged."""
    last = max(row.epoch for row in part.nets)
    keys = {(cell.momentum, cell.learning_rate, cell.alpha) for cell in cells}
    nets = [
        row
        for row in part.nets
        if row.epoch == last and (row.momentum, row.learning_rate, row.alpha) in keys
    ]
    alive = [row for row in nets if not row.diverged]
    x = [row.learning_rate * shift for row in alive]
    upper.scatter(x, [row.inactive_fraction or 0 for row in alive], s=9, color=color, alpha=0.6)
    lower.scatter(x, [1 - (row.val_accuracy or 0) for row in alive], s=9, color=color, alpha=0.6)
    means = [cell for cell in cells if cell.val_accuracy is not None]
    rates = [cell.learning_rate * shift for cell in means]
    upper.plot(rates, [cell.inactive_fraction or 0 for cell in means], color=color)
    lower.plot(rates, [1 - (cell.val_accuracy or 0) for cell in means], color=color)
    lost = [row.learning_rate * shift for row in nets if row.diverged]
    lower.scatter(lost, [1.1] * len(lost), marker="x", s=28, color=color, clip_on=False)


def _ring(upper: Axes, lower: Axes, part: TrainingDeath, momentum: float, shift: float) -> None:
    for row in part.comparison:
        if row.momentum == momentum and row.setting == BASELINE:
            ring = {"s": 190, "facecolors": "none", "edgecolors": "#c0392b", "linewidths": 1.8}
            rate = row.learning_rate * shift
            upper.scatter(rate, row.inactive_fraction or 0, **ring)
            lower.scatter(rate, 1 - (row.val_accuracy or 0), **ring)


def draw_revival(figure: Figure, part: TrainingDeath) -> None:
    """Of the units inactive after epoch 1, how many have been active again since."""
    figure.set_size_inches(8.6, 3.9)
    panels = figure.subplots(1, len(LAYERS), sharex=True, sharey=True)
    for axes, layers in zip(panels, LAYERS, strict=True):
        for i, (alpha, color) in enumerate(_alpha_colors(part).items()):
            rows = [r for r in part.revival if (r.alpha, r.layers) == (alpha, layers)]
            _revival_curve(axes, rows, alpha_label(alpha), color, 0.12 * (i - 1.5))
        axes.set_title(layers, loc="left")
        axes.set_xlabel("epoch")
        axes.set_ylim(-0.02, 1.02)
        percent_axis(axes.yaxis)
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(
                title="inactive after epoch 1", fontsize=8, title_fontsize=8, loc="upper left"
            )
    panels[0].set_ylabel("active again since")


def _revival_curve(axes: Axes, rows: list[RevivalRow], name: str, color: str, shift: float) -> None:
    """One alpha, with its interval at the end, moved aside from the others'."""
    n = rows[0].n_inactive if rows else 0
    if n < MIN_UNITS:
        axes.plot([], [], " ", label=f"{name}, n = {n}: too few to draw")
        return
    shares = [row.active_again_fraction for row in rows]
    epochs = [row.epoch for row in rows]
    label = f"{name}, n = {n:,}"
    axes.plot(epochs, shares, color=color, marker="o", markersize=4, label=label)
    last = rows[-1]
    middle = (last.ci95_low + last.ci95_high) / 2
    half = (last.ci95_high - last.ci95_low) / 2
    axes.errorbar(last.epoch + shift, middle, half, color=color, capsize=3, linestyle="")
