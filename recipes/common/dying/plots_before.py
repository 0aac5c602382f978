"""The pictures of part 1: nets that are dead before training."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from recipes.common.dying.born_dead import CHECKED, BornDeadRow, RemedyRow
from recipes.common.dying.results import BornDead, BoundsRow
from recipes.common.dying.style import percent_axis, sequence

CONSTANT_COLOR, INACTIVE_COLOR = "#c0392b", "#0b6fb8"


def draw_born_dead(figure: Figure, part: BornDead) -> None:
    """Probability of being born dead against depth, a color a width, with the band of theory."""
    figure.set_size_inches(8.4, 5)
    axes = figure.add_subplot()
    widths = list(dict.fromkeys(row.width for row in part.nets))
    for width, color in zip(widths, sequence(len(widths)), strict=True):
        bounds = [row for row in part.bounds if row.width == width]
        _band(axes, bounds, color)
        nets = [row for row in part.nets if row.width == width]
        _points(axes, nets, color)
        # The two narrowest end at nearly 1 and their names would lie on each other.
        height = {widths[0]: 5, widths[1]: -7}.get(width, 0)
        axes.annotate(
            f"width {width}",
            (nets[-1].depth, nets[-1].dead_fraction),
            xytext=(9, height),
            textcoords="offset points",
            color=color,
            va="center",
        )
    checked = [row for row in part.nets if (row.depth, row.width) in CHECKED]
    axes.scatter(
        [row.depth for row in checked],
        [row.dead_fraction for row in checked],
        s=130,
        facecolors="none",
        edgecolors="black",
        linewidths=1,
        zorder=4,
    )
    deepest = max(row.depth for row in part.nets)
    axes.set_xlim(1.5, deepest * 1.14)
    axes.set_ylim(-0.02, 1.07)
    axes.set_xlabel("depth L: weight layers, L - 1 of them hidden")
    axes.set_ylabel("born dead")
    axes.set_title("ReLU nets that output 0 for every input, before any training", loc="left")
    axes.set_xticks([2, *dict.fromkeys(row.depth for row in part.nets)])
    percent_axis(axes.yaxis)
    handles = [
        Line2D([], [], color="gray", marker="o", linestyle="", label="counted, 95 % interval"),
        Line2D([], [], color="gray", alpha=0.25, linewidth=9, label="what theory allows"),
        Line2D(
            *([], []),
            marker="o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor="black",
            linestyle="",
            label="checked against the bounds",
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    axes.grid(alpha=0.25)


def _band(axes: Axes, bounds: list[BoundsRow], color: str) -> None:
    axes.fill_between(
        [row.depth for row in bounds],
        [row.lower_bound for row in bounds],
        [row.upper_bound for row in bounds],
        color=color,
        alpha=0.2,
        linewidth=0,
    )


def _points(axes: Axes, rows: list[BornDeadRow], color: str) -> None:
    errors = [
        [row.dead_fraction - row.ci95_low for row in rows],
        [row.ci95_high - row.dead_fraction for row in rows],
    ]
    depths, fractions = [row.depth for row in rows], [row.dead_fraction for row in rows]
    axes.errorbar(
        depths, fractions, errors, color=color, marker="o", markersize=5, linestyle="", capsize=3
    )


def draw_remedies(figure: Figure, part: BornDead) -> None:
    """Constant nets, and nets with a wholly inactive layer, for each activation."""
    depths = list(dict.fromkeys(row.depth for row in part.remedies))
    widths = list(dict.fromkeys(row.width for row in part.remedies))
    figure.set_size_inches(9.2, 2.6 * len(depths) + 0.6)
    grid = figure.subplots(len(depths), len(widths), sharex=True, sharey=True, squeeze=False)
    for line, depth in zip(grid, depths, strict=True):
        for axes, width in zip(line, widths, strict=True):
            rows = [row for row in part.remedies if (row.depth, row.width) == (depth, width)]
            _remedy_panel(axes, rows)
            axes.set_title(f"{depth} layers of width {width}", loc="left", fontsize=10)
    handles = [
        Line2D([], [], color=CONSTANT_COLOR, marker="o", linestyle="", label="output is constant"),
        Line2D(
            *([], []),
            color=INACTIVE_COLOR,
            marker="D",
            markerfacecolor="white",
            linestyle="",
            label="a hidden layer is inactive for every input",
        ),
    ]
    figure.supxlabel("share of the nets before training", fontsize=10)
    figure.legend(handles=handles, loc="outside upper center", ncols=2)


def _remedy_panel(axes: Axes, rows: list[RemedyRow]) -> None:
    places = range(len(rows))
    axes.hlines(places, 0, 1, color="#dddddd", linewidth=0.8, zorder=1)
    axes.scatter(
        [row.inactive_layer_fraction for row in rows],
        places,
        marker="D",
        s=42,
        facecolors="white",
        edgecolors=INACTIVE_COLOR,
        linewidths=1.5,
        zorder=2,
    )
    constant = [row.constant_fraction for row in rows]
    axes.scatter(constant, places, s=24, color=CONSTANT_COLOR, zorder=3)
    axes.set_yticks(places, [row.remedy for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)  # in the order of the table
    axes.set_xlim(-0.04, 1.04)
    percent_axis(axes.xaxis)
