"""The pictures, as PNG."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from recipes.dying_relu.born_dead import BornDead
from recipes.dying_relu.collapse import Collapse
from recipes.dying_relu.dead_units import BASELINE, LAYERS, CellRow, RevivalRow, TrainingDeath

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.labelsize": 10,
    "figure.constrained_layout.use": True,
}
RED, BLUE = "#c0392b", "#0b6fb8"
STATES = {
    "collapsed": ("collapsed: a constant", RED),
    "diverged": ("diverged", "#222222"),
    "partial": ("in between: misses a part", "#e3b04b"),
    "learned": ("learned |x|", "#0a7d4f"),
}
ALPHA_COLORS = ("#555555", "#7fb8e6", BLUE, "#08306b")
MIN_UNITS = 30  # fewer give no useful share


def draw_part(part: BornDead | Collapse | TrainingDeath) -> dict[str, bytes]:
    """The pictures of one part: name and PNG."""
    if isinstance(part, BornDead):
        draw = {"born_dead": draw_born_dead, "born_dead_remedies": draw_remedies}
    elif isinstance(part, Collapse):
        draw = {"collapse": draw_collapse, "collapse_functions": draw_functions}
    else:
        draw = {
            "dead_over_epochs": draw_over_epochs,
            "remedies": draw_comparison,
            "revival": draw_revival,
        }
    drawn = {}
    with matplotlib.rc_context(STYLE):
        for name, function in draw.items():
            figure, png = Figure(), io.BytesIO()
            function(figure, part)  # pyright: ignore[reportArgumentType]
            # Without matplotlib's own stamp equal runs make equal pictures.
            figure.savefig(png, dpi=130, metadata={"Software": None})
            drawn[name] = png.getvalue()
    return drawn


def draw_born_dead(figure: Figure, part: BornDead) -> None:
    """Probability of being born dead against depth, a color a width, with the band of theory."""
    figure.set_size_inches(8.4, 5)
    axes = figure.add_subplot()
    widths = _values(part.nets, "width")
    for width, color in zip(widths, _sequence(len(widths)), strict=True):
        bounds, nets = _where(part.bounds, width=width), _where(part.nets, width=width)
        lower, upper = _column(bounds, "lower_bound"), _column(bounds, "upper_bound")
        band = {"color": color, "alpha": 0.2, "linewidth": 0}
        axes.fill_between(_column(bounds, "depth"), lower, upper, **band)
        shares = _column(nets, "dead_fraction")
        ends = shares - _column(nets, "ci95_low"), _column(nets, "ci95_high") - shares
        dots = {"color": color, "marker": "o", "markersize": 5, "linestyle": "", "capsize": 3}
        axes.errorbar(_column(nets, "depth"), shares, ends, **dots)
        # The two narrowest end at nearly 1 and their names would lie on each other.
        place = (9, {widths[0]: 5, widths[1]: -7}.get(width, 0))
        name = {"xytext": place, "textcoords": "offset points", "color": color, "va": "center"}
        axes.annotate(f"width {width}", (nets[-1].depth, nets[-1].dead_fraction), **name)
    checked = _column(part.checked, "depth"), _column(part.checked, "dead_fraction")
    axes.scatter(*checked, s=130, facecolors="none", edgecolors="black", linewidths=1, zorder=4)
    depths = _values(part.nets, "depth")
    axes.set(xlim=(1.5, max(depths) * 1.14), ylim=(-0.02, 1.07), xticks=[2, *depths])
    axes.set_xlabel("depth L: weight layers, L - 1 of them hidden")
    axes.set_ylabel("born dead")
    axes.set_title("ReLU nets that output 0 for every input, before any training")
    _percents(axes.yaxis)
    handles = [
        _mark("counted, 95 % interval", color="gray"),
        _mark("theory allows", color="gray", marker="", alpha=0.25, linestyle="-", linewidth=9),
        _mark("checked against the bounds", color="black", markersize=11, markerfacecolor="none"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


def draw_remedies(figure: Figure, part: BornDead) -> None:
    """Constant nets, and nets with a wholly inactive layer, for each activation."""
    depths, widths = _values(part.remedies, "depth"), _values(part.remedies, "width")
    figure.set_size_inches(9.2, 2.6 * len(depths) + 0.6)
    grid = figure.subplots(len(depths), len(widths), sharex=True, sharey=True, squeeze=False)
    hollow = {"facecolors": "white", "edgecolors": BLUE, "linewidths": 1.5}
    for line, depth in zip(grid, depths, strict=True):
        for axes, width in zip(line, widths, strict=True):
            rows = _where(part.remedies, depth=depth, width=width)
            places, inactive = range(len(rows)), _column(rows, "inactive_layer_fraction")
            axes.scatter(inactive, places, marker="D", s=42, zorder=2, **hollow)
            axes.scatter(_column(rows, "constant_fraction"), places, s=24, color=RED, zorder=3)
            axes.set_yticks(places, [row.remedy for row in rows])
            axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-0.04, 1.04))  # in the table's order
            axes.set_title(f"{depth} layers of width {width}")
            _percents(axes.xaxis)
    handles = [
        _mark("output is constant", color=RED),
        _mark(
            "no unit of some hidden layer is positive for any input",
            color=BLUE,
            marker="D",
            markerfacecolor="white",
        ),
    ]
    figure.supxlabel("share of the nets before training")
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def draw_collapse(figure: Figure, part: Collapse) -> None:
    """The outcomes of the nets of each arm, as one bar of 100 %."""
    figure.set_size_inches(8.4, 0.55 * len(part.arms) + 1.7)
    axes, arms = figure.add_subplot(), part.arms
    places, left = np.arange(len(arms)), np.zeros(len(arms))
    for state, (label, color) in STATES.items():
        shares = _column(arms, f"n_{state}") / _column(arms, "n_nets")
        if shares.any():
            axes.barh(places, shares, 0.62, left, color=color, label=label)
        left += shares
    shares = _column(arms, "collapsed_fraction")
    ends = shares - _column(arms, "collapsed_ci95_low"), _column(arms, "collapsed_ci95_high")
    bars = {"color": "black", "capsize": 4, "linewidth": 1.4, "linestyle": ""}
    label = "95 % interval of collapsed"
    axes.errorbar(shares, places, xerr=(ends[0], ends[1] - shares), label=label, **bars)
    published = [(row.published_fraction, i) for i, row in enumerate(arms)]
    stars = {"marker": "*", "s": 150, "color": "white", "edgecolors": "black", "zorder": 5}
    known = [point for point in published if point[0] is not None]
    axes.scatter(*zip(*known, strict=True), label="collapsed, Lu et al. 2019", **stars)
    axes.set_yticks(places, [row.arm for row in arms])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    _percents(axes.xaxis)
    axes.set_xlabel(f"share of {arms[0].n_nets:,} nets after training")
    axes.set_title("10 layers of width 2 learn |x|")
    figure.legend(loc="outside lower center", ncols=3)


def draw_functions(figure: Figure, part: Collapse) -> None:
    """The first trained nets of each arm as functions, over the target."""
    figure.set_size_inches(11, 2.9)
    panels = figure.subplots(1, len(part.arms), sharex=True, sharey=True)
    end = max(row.x for row in part.functions)
    for axes, arm in zip(panels, part.arms, strict=True):
        states = {row.net: row.state for row in _where(part.nets, arm=arm.arm)}
        functions = _where(part.functions, arm=arm.arm)
        nets = _values(functions, "net")
        for net in nets:
            line = _where(functions, net=net)
            _, color = STATES[states[net]]
            axes.plot(_column(line, "x"), _column(line, "y"), color=color, alpha=0.45, linewidth=1)
        axes.plot([-end, 0, end], [end, 0, end], "k--", linewidth=1, label="target |x|")
        axes.set_title(f"{arm.arm}\n{len(nets)} nets", fontsize=9)
        axes.set_ylim(-0.35, 2.1)
    panels[0].set_ylabel("output")
    figure.supxlabel("input x")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right")


def draw_over_epochs(figure: Figure, part: TrainingDeath) -> None:
    """Inactive fraction over epochs: a row an alpha, a column a momentum, a color a rate."""
    momenta, alphas = _values(part.nets, "momentum"), _values(part.nets, "alpha")
    rates = sorted(_values(part.nets, "learning_rate"))
    colors = dict(zip(rates, _sequence(len(rates)), strict=True))
    figure.set_size_inches(8.6, 2.1 * len(alphas) + 1)
    grid = figure.subplots(len(alphas), len(momenta), sharex=True, sharey=True, squeeze=False)
    for line, alpha in zip(grid, alphas, strict=True):
        for axes, momentum in zip(line, momenta, strict=True):
            panel = _where(part.nets, momentum=momentum, alpha=alpha)
            for rate, color in colors.items():
                _curve(axes, _where(panel, learning_rate=rate), color)
            _small_fractions(axes)
            axes.set_title(f"{_alpha_label(alpha)}, momentum {momentum:g}")
        line[0].set_ylabel("dead" if alpha == 0 else "inactive")
    for axes in grid[-1]:
        axes.set_xlabel("epoch (0: before training)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [
        _mark(f"{rate:g}", color=color, markersize=3, linestyle="-")
        for rate, color in colors.items()
    ]
    handles.append(_mark("all diverged", color="black", marker="x"))
    figure.legend(handles=handles, loc="outside right upper", title="learning rate")


def _curve(axes: Axes, nets: Sequence[Any], color: str) -> None:
    """Mean over the seeds that have not diverged; a cross where the last of them has."""
    epochs = _values(nets, "epoch")
    finite = [row for row in nets if not row.diverged]
    alive = {
        epoch: float(np.mean(_column(_where(finite, epoch=epoch), "inactive_fraction")))
        for epoch in _values(finite, "epoch")
    }
    axes.plot(list(alive), list(alive.values()), color=color, marker="o", markersize=3)
    if len(alive) < len(epochs):
        last = max(alive, default=0)
        axes.plot(last, alive.get(last, 0), color=color, marker="x", markersize=9, clip_on=False)


def draw_comparison(figure: Figure, part: TrainingDeath) -> None:
    """Inactive fraction and accuracy against the learning rate, a color an alpha."""
    momenta = _values(part.cells, "momentum")
    rates = sorted(_values(part.cells, "learning_rate"))
    colors = _alpha_colors(part)
    figure.set_size_inches(4.4 * len(momenta), 6.6)
    grid = figure.subplots(2, len(momenta), sharex=True, sharey="row", squeeze=False)
    best = max(row.val_accuracy or 0.0 for row in part.nets)
    for momentum, upper, lower in zip(momenta, *grid, strict=True):
        for i, (alpha, color) in enumerate(colors.items()):
            shift = 1.05 ** (i - (len(colors) - 1) / 2)  # side by side, not on each other
            cells = _where(part.cells, momentum=momentum, alpha=alpha)
            _against_rate(upper, lower, part, cells, color, shift)
            if alpha == 0:
                for row in _where(part.comparison, momentum=momentum, setting=BASELINE):
                    x = row.learning_rate * shift
                    ring = {"s": 190, "facecolors": "none", "edgecolors": RED, "linewidths": 1.8}
                    upper.scatter(x, row.inactive_fraction, **ring)
                    lower.scatter(x, 1 - row.val_accuracy, **ring)
        _small_fractions(upper)
        _accuracies(lower, 1 - best)
        for axes in (upper, lower):
            _log_rates(axes, rates)
        upper.set_title(f"momentum {momentum:g}")
        lower.set_xlabel("learning rate")
    grid[0][0].set_ylabel("units inactive in the end (ReLU: dead)")
    grid[1][0].set_ylabel("validation accuracy in the end")
    label = "ReLU that loses most units and learns"
    handles = [
        *(_mark(_alpha_label(a), color=color, linestyle="-") for a, color in colors.items()),
        _mark("a net that diverged", color="black", marker="x"),
        _mark(label, markersize=12, markerfacecolor="none", markeredgecolor=RED),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _against_rate(
    upper: Axes,
    lower: Axes,
    part: TrainingDeath,
    cells: Sequence[CellRow],
    color: str,
    shift: float,
) -> None:
    """One alpha: a dot a net, a line through the means, a cross for each net that diverged."""
    last = max(row.epoch for row in part.nets)
    nets = _where(part.nets, epoch=last, momentum=cells[0].momentum, alpha=cells[0].alpha)
    means = [cell for cell in cells if cell.val_accuracy is not None]
    for rows, dots in ((_where(nets, diverged=False), True), (means, False)):
        x = _column(rows, "learning_rate") * shift
        inactive = _column(rows, "inactive_fraction")
        errors = 1 - _column(rows, "val_accuracy")
        for axes, y in ((upper, inactive), (lower, errors)):
            if dots:
                axes.scatter(x, y, s=9, color=color, alpha=0.6)
            else:
                axes.plot(x, y, color=color)
    lost = _column(_where(nets, diverged=True), "learning_rate") * shift
    lower.scatter(lost, [1.1] * len(lost), marker="x", s=28, color=color, clip_on=False)


def draw_revival(figure: Figure, part: TrainingDeath) -> None:
    """Of the units inactive after epoch 1, how many have been active again since."""
    figure.set_size_inches(8.6, 3.9)
    panels = figure.subplots(1, len(LAYERS), sharex=True, sharey=True)
    for axes, layers in zip(panels, LAYERS, strict=True):
        for i, (alpha, color) in enumerate(_alpha_colors(part).items()):
            rows = _where(part.revival, alpha=alpha, layers=layers)
            _revival_curve(axes, rows, _alpha_label(alpha), color, 0.12 * (i - 1.5))
        axes.set(title=layers, xlabel="epoch", ylim=(-0.02, 1.02))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _percents(axes.yaxis)
        small = {"fontsize": 8, "title_fontsize": 8, "loc": "upper left"}
        axes.legend(title="inactive after epoch 1", **small)
    panels[0].set_ylabel("active again since")


def _revival_curve(
    axes: Axes, rows: Sequence[RevivalRow], name: str, color: str, shift: float
) -> None:
    """One alpha, with its interval at the end, moved aside from the others'."""
    n = rows[0].n_inactive if rows else 0
    if n < MIN_UNITS:
        axes.plot([], [], " ", label=f"{name}, n = {n}: too few to draw")
        return
    curve = _column(rows, "epoch"), _column(rows, "active_again_fraction")
    axes.plot(*curve, color=color, marker="o", markersize=4, label=f"{name}, n = {n:,}")
    low, high = rows[-1].ci95_low, rows[-1].ci95_high
    if low is not None and high is not None:
        bar = {"color": color, "capsize": 3, "linestyle": ""}
        axes.errorbar(rows[-1].epoch + shift, (low + high) / 2, (high - low) / 2, **bar)


def _where(rows: Sequence[Any], **values: Any) -> list[Any]:
    """The rows whose fields have these values."""
    return [row for row in rows if all(getattr(row, k) == v for k, v in values.items())]


def _column(rows: Sequence[Any], name: str) -> np.ndarray:
    return np.array([getattr(row, name) for row in rows], float)


def _values(rows: Sequence[Any], name: str) -> list[Any]:
    """The values of a field, each once, in their order."""
    return list(dict.fromkeys(getattr(row, name) for row in rows))


def _mark(label: str, **style: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **{"marker": "o", "linestyle": "", **style})


def _sequence(n: int) -> list[str]:
    """`n` colors in an order that the eye sees, all dark enough for lines and text."""
    return [to_hex(color) for color in colormaps["viridis"](np.linspace(0, 0.82, n))]


def _alpha_label(alpha: float) -> str:
    return "ReLU" if alpha == 0 else f"leak of {alpha:g}"


def _alpha_colors(part: TrainingDeath) -> dict[float, str]:
    return dict(zip(sorted(_values(part.cells, "alpha")), ALPHA_COLORS, strict=False))


def _percents(axis: Axis) -> None:
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _ticks(axis: Axis, ticks: Sequence[float]) -> None:
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())


def _small_fractions(axes: Axes) -> None:
    """Fractions from 0 to 1 on the y axis, linear up to 1 % and logarithmic beyond."""
    axes.set_yscale("symlog", linthresh=0.01, linscale=0.6)
    axes.set_ylim(-0.0015, 1.25)
    _ticks(axes.yaxis, [0, 0.01, 0.03, 0.1, 0.3, 1])
    _percents(axes.yaxis)


def _accuracies(axes: Axes, lowest_error: float) -> None:
    """Accuracies crowd together near their best; their errors on a log scale stay apart.

    The y values drawn are errors; the labels are the accuracies they stand for, the best on top.
    """
    low = min(max(lowest_error, 1e-4) * 0.85, 0.5)
    axes.set_yscale("log")
    axes.set_ylim(1.25, low)
    _ticks(axes.yaxis, [e for e in (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01) if e >= low])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 * (1 - error):.0f} %"))


def _log_rates(axes: Axes, rates: Sequence[float]) -> None:
    """Learning rates on the x axis, each with its own tick."""
    axes.set_xscale("log")
    _ticks(axes.xaxis, rates)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
