"""Pictures of dead units."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Shares that add up to 1, worst first.
_STATES = {
    "dead": "#c0392b",
    "inactive, not dead": "#e59866",
    "at times active": "#0b6fb8",
    "always on": "#9fb8cc",
}


def draw_report(report):
    """Left: the fraction of units in each state. Right: the active fraction of every unit."""
    layers = report.layers
    figure = Figure(figsize=(9, 1.6 + 0.5 * len(layers)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(layers))
    ends = np.zeros(len(layers))
    for state, color in _STATES.items():
        shares = np.array([_share(units, state) for units in layers])
        left.barh(rows, shares, left=ends, color=color, label=state, height=0.62)
        ends += shares
    for row, units in zip(rows, layers, strict=True):
        fractions = np.sort(units.active_fraction.ravel())
        # The order of units means nothing: sorted, a layer is a curve, and no dot hides another.
        heights = row + np.linspace(0.31, -0.31, len(fractions))
        colors = _colors(units)
        right.scatter(fractions, heights, s=9, color=colors, linewidths=0, zorder=3)
        n_inactive = units.count("inactive")  # in front, or their neighbours would hide them
        right.scatter(
            fractions[:n_inactive],
            heights[:n_inactive],
            s=16,
            color=colors[:n_inactive],
            zorder=4,
        )
        left.annotate(
            f"{units.count('dead'):,} of {units.n_units:,} dead",
            (0.99, row),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.8},
        )
    left.set_yticks(rows, [f"{units.layer}\n{units.kind}" for units in layers])
    left.invert_yaxis()
    left.set_xlim(0, 1)
    left.xaxis.set_major_formatter(PercentFormatter(1))
    left.set_xlabel("fraction of units")
    right.set_xlim(-0.02, 1.02)
    right.xaxis.set_major_formatter(PercentFormatter(1))
    right.set_xlabel("active fraction: one dot per unit, sorted")
    right.grid(alpha=0.25)
    figure.suptitle(f"Units on {report.n_samples:,} samples", x=0.01, ha="left")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=4)
    return figure


def _share(units, state):
    return float(np.mean(_states(units) == state))


def _states(units):
    """The state of every unit: the worst one, if several hold."""
    states = np.full(units.n_units, "at times active", dtype=object)
    states[units.is_always_on.ravel()] = "always on"
    states[units.is_inactive.ravel()] = "inactive, not dead"
    states[units.is_dead.ravel()] = "dead"
    return states


def _colors(units):
    order = np.argsort(units.active_fraction.ravel(), kind="stable")
    return [_STATES[state] for state in _states(units)[order]]


def draw_epochs(reports, alphas):
    """Fractions of every layer over epochs, and the slopes of PReLU if there are some."""
    has_alphas = any(alphas.values())
    figure = Figure(figsize=(11 if has_alphas else 7.6, 4.2), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(1, 3 if has_alphas else 2)))
    known = {epoch: report for epoch, report in reports.items() if report is not None}
    names = list(dict.fromkeys(units.layer for r in known.values() for units in r.layers))
    for panel, state in zip(axes, ("dead", "inactive"), strict=False):
        for name in names:
            shares = [r[name].count(state) / r[name].n_units for r in known.values()]
            panel.plot(list(known), shares, "o-", markersize=3.5, label=name)
        panel.set_title(f"{state.capitalize()} units", loc="left")
        panel.yaxis.set_major_formatter(PercentFormatter(1))
        panel.set_ylim(bottom=0)
        if names:
            panel.legend(fontsize=8)
    if has_alphas:
        for name in next(iter(alphas.values())):
            values = np.array([alphas[epoch][name].ravel() for epoch in alphas])
            (line,) = axes[2].plot(list(alphas), values.mean(1), "o-", markersize=3.5, label=name)
            low, high = values.min(1), values.max(1)
            axes[2].fill_between(list(alphas), low, high, alpha=0.18, color=line.get_color())
        axes[2].set_title("PReLU: mean alpha, and its range", loc="left")
        axes[2].legend(fontsize=8)
    for panel in axes:
        panel.set_xlabel("finished epochs")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.25)
    return figure
