"""The pictures of part 2: nets that are constant functions after training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recipes.common.dying.collapse import CollapseRow
from recipes.common.dying.results import Collapse
from recipes.common.dying.style import percent_axis

STATES = {"collapsed": "#c0392b", "diverged": "#222222", "partial": "#e3b04b", "learned": "#0a7d4f"}
STATE_LABELS = {
    "collapsed": "collapsed: a constant",
    "diverged": "diverged",
    "partial": "in between: misses a part",
    "learned": "learned |x|",
}


def draw_collapse(figure: Figure, part: Collapse) -> None:
    """What became of the nets of each arm, as one bar of 100 %."""
    figure.set_size_inches(8.4, 0.55 * len(part.arms) + 1.7)
    axes = figure.add_subplot()
    places = np.arange(len(part.arms))
    left = np.zeros(len(part.arms))
    for state, color in STATES.items():
        shares = np.array([_count(row, state) / row.n_nets for row in part.arms])
        if shares.any():
            axes.barh(places, shares, 0.62, left, color=color, label=STATE_LABELS[state])
        left += shares
    for place, row in zip(places, part.arms, strict=True):
        axes.errorbar(
            row.collapsed_fraction,
            place,
            xerr=[
                [row.collapsed_fraction - row.collapsed_ci95_low],
                [row.collapsed_ci95_high - row.collapsed_fraction],
            ],
            color="black",
            capsize=4,
            linewidth=1.4,
            label="95 % interval of collapsed" if place == 0 else None,
        )
    published = [(p, row) for p, row in zip(places, part.arms, strict=True) if _published(row)]
    axes.scatter(
        [_published(row) for _, row in published],
        [place for place, _ in published],
        marker="*",
        s=150,
        color="white",
        edgecolors="black",
        zorder=5,
        label="collapsed, Lu et al. 2019",
    )
    axes.set_yticks(places, [row.arm for row in part.arms])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    percent_axis(axes.xaxis)
    axes.set_xlabel(f"share of {part.arms[0].n_nets:,} nets after training")
    axes.set_title("10 layers of width 2 learn |x|", loc="left")
    figure.legend(loc="outside lower center", ncols=3)


def _count(row: CollapseRow, state: str) -> int:
    return {
        "collapsed": row.n_collapsed,
        "diverged": row.n_diverged,
        "partial": row.n_partial,
        "learned": row.n_learned,
    }[state]


def _published(row: CollapseRow) -> float:
    return row.published_fraction or 0.0


def draw_functions(figure: Figure, part: Collapse) -> None:
    """The first trained nets of each arm as functions, over the target."""
    arms = [row.arm for row in part.arms]
    figure.set_size_inches(11, 2.9)
    panels = figure.subplots(1, len(arms), sharex=True, sharey=True)
    for axes, arm in zip(panels, arms, strict=True):
        _function_panel(axes, part, arm)
    panels[0].set_ylabel("output")
    figure.supxlabel("input x", fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right")


def _function_panel(axes: Axes, part: Collapse, arm: str) -> None:
    states = {row.net: row.state for row in part.nets if row.arm == arm}
    points: dict[int, list[tuple[float, float]]] = {}
    for row in part.functions:
        if row.arm == arm:
            points.setdefault(row.net, []).append((row.x, row.y))
    for net, line in points.items():
        x, y = zip(*line, strict=True)
        axes.plot(x, y, color=STATES[states[net]], alpha=0.45, linewidth=1)
    ends = [min(row.x for row in part.functions), max(row.x for row in part.functions)]
    axes.plot(
        [ends[0], 0, ends[1]],
        [-ends[0], 0, ends[1]],
        color="black",
        linestyle="--",
        linewidth=1,
        label="target |x|",
    )
    axes.set_title(f"{arm}\n{len(points)} nets", fontsize=9, loc="left")
    axes.set_ylim(-0.35, 2.1)
