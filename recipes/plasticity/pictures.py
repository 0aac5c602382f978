"""The pictures of docs/evidence/plasticity.md."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recipes.plasticity.claims import Runs, mean_interval, slope_of, title

COLORS = {
    "relu": "#111111",
    "leaky_relu_0.01": "#7f7f7f",
    "leaky_relu_0.1": "#9ecae1",
    "leaky_relu_0.3": "#3182bd",
    "leaky_relu_0.7": "#08306b",
    "prelu": "#e6550d",
    "elu": "#31a354",
}


def draw_all(regression: Runs, permuted: Runs, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in {
        "plasticity-courses": draw_courses(regression, permuted),
        "plasticity-slopes": draw_slopes(regression),
        "plasticity-units": draw_units(regression, permuted),
    }.items():
        # Without matplotlib's own stamp equal numbers make equal pictures.
        figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})


def draw_courses(regression: Runs, permuted: Runs) -> Figure:
    """Error and accuracy over time, each arm at the step size that it chose."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for arm, color in COLORS.items():
        size = regression.choose(arm)
        mean = regression.course(arm, size).mean(0)
        left.plot(0.04 * np.arange(1, 1 + len(mean)), mean, color=color, lw=1.6)
        label_end(left, 3.0, mean[-8:].mean(), f"{title(arm)} ({size:g})", color)
        size = permuted.choose(arm)
        mean = 100 * permuted.course(arm, size).mean(0).reshape(-1, 10).mean(1)
        right.plot(10 * np.arange(len(mean)) + 5, mean, color=color, lw=1.6)
        label_end(right, 400, mean[-4:].mean(), f"{title(arm)} ({size:g})", color)
    size = regression.choose("leaky_relu_1")
    linear = regression.late("leaky_relu_1", size).mean()
    left.axhline(linear, color="#aaaaaa", ls=":", lw=1)
    left.text(0.03, linear, "linear net, late", color="#777777", fontsize=8, va="bottom")
    left.set(
        title="Slowly-Changing Regression: squared error",
        xlabel="examples, millions",
        xlim=(0, 3.9),
        ylim=(0.4, 1.0),
        xticks=range(4),
    )
    right.set(
        title="Permuted MNIST in small: accuracy, %",
        xlabel="task",
        xlim=(0, 520),
        xticks=range(0, 401, 100),
    )
    spread_labels(left)
    spread_labels(right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("Mean over all runs (100; 30). In brackets: the step size chosen.", fontsize=9)
    return figure


def label_end(axes, x, y, text, color):
    axes.text(x, y, f" {text}", color=color, fontsize=8.5, va="center", gid="end")


def spread_labels(axes) -> None:
    """Moves the labels at the ends of curves apart, from the lowest up."""
    labels = sorted((t for t in axes.texts if t.get_gid() == "end"), key=lambda t: t.get_position())
    labels.sort(key=lambda t: t.get_position()[1])
    low, high = axes.get_ylim()
    least, last = (high - low) / 24, -np.inf
    for label in labels:
        x, y = label.get_position()
        last = max(y, last + least)
        label.set_position((x, last))


def draw_slopes(runs: Runs) -> Figure:
    """Early and late error over slopes, a panel a step size."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panels = figure.subplots(1, len(runs.step_sizes), sharey=True)
    fixed = [arm for arm in runs.arms if slope_of(arm) is not None]
    x = np.array([slope_of(arm) for arm in fixed])
    for axes, size in zip(panels, runs.step_sizes, strict=True):
        for part, color in (("early", "#9ecae1"), ("late", "#08519c")):
            for init, style in (("rectifier", "-"), ("he", "--")):
                numbers = [getattr(runs, part)(arm, size, init) for arm in fixed]
                means = [values.mean() for values in numbers]
                own = init == "rectifier"
                label = f"{part}, {'own gain' if own else 'He'}"
                axes.plot(x, means, style, marker="o" if own else "", ms=3.5, color=color)
                axes.lines[-1].set_label(label)
                if own:
                    low, high = zip(*map(mean_interval, numbers), strict=True)
                    axes.fill_between(x, low, high, color=color, alpha=0.25, lw=0)
        for arm, mark in (("prelu", "#e6550d"), ("elu", "#31a354")):
            late = np.nanmean(runs.late(arm, size))
            text = f"{title(arm)}, late"
            axes.axhline(late, color=mark, ls=":", lw=1.2, label=text)
        axes.set(title=f"step size {size:g}", xlabel="slope below 0")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("squared error")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def draw_units(regression: Runs, permuted: Runs) -> Figure:
    """Shares of inactive units over time at the chosen step sizes."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for arm, color in COLORS.items():
        style = "-" if arm == "relu" else "--" if arm == "leaky_relu_0.01" else "-"
        share = 100 / 5 * regression.course(arm, regression.choose(arm), quantity="inactive")
        mean = share.mean(0)
        left.plot(0.04 * np.arange(1, 1 + len(mean)), mean, style, color=color, label=title(arm))
        share = 100 / 64 * permuted.course(arm, permuted.choose(arm), quantity="inactive_3")
        mean = share.mean(0).reshape(-1, 10).mean(1)
        right.plot(10 * np.arange(len(mean)) + 5, mean, style, color=color)
    left.set(title="Regression, hidden layer: inactive units, %", xlabel="examples, millions")
    right.set(title="Permuted MNIST, third layer: inactive units, %", xlabel="task")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure
