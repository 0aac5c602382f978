"""The pictures of the final retrainings, each with a text that says what it shows."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_leaky.study.outcome import ArmOutcome, Difference, Metric, Outcome, Summary
from keras_leaky.study.report.svg import WIDTH, Panel, Scale, linear_scale, log_scale, shorten
from keras_leaky.study.report.view import (
    Picture,
    View,
    final_results,
    format_score,
    format_spread,
    percent_scale,
    score_scale,
)
from keras_leaky.study.rows import DeadUnitRow, EpochRow
from keras_leaky.study.statistics import is_finite
from keras_leaky.study.wording import (
    capitalize,
    format_change,
    format_interval,
    metric_title,
    tell_change,
)

_MAX_CURVE_POINTS = 12_000
_MAX_LAYERS = 24
_ROW = 44  # pixels of a row with its label above


def draw_differences(view: View) -> Picture | None:
    """Every arm against the baseline: mean, intervals, and each pair of seeds."""
    outcome, metric = view.outcome, view.metric
    compared = [arm for arm in view.arms if arm.name in outcome.differences]
    if not compared:
        return None
    factor = 100.0 if metric.is_fraction else 1.0
    pairs = {arm.name: _pairs(outcome, view.baseline.name, arm.name) for arm in compared}
    reach = [
        max(abs(v) for v in [d.mean, *(d.ci95 or ()), *(d.ci95_examples or ()), *pairs[name]])
        for name, d in outcome.differences.items()
    ]
    limit = factor * min(max(reach), 6 * float(np.median(reach)) or 1.0)
    kind = "test" if outcome.has_test else "validation"
    unit = (
        f"points of {kind} {metric_title(metric)}"
        if metric.is_fraction
        else f"{kind} {metric_title(metric)}"
    )
    panel = Panel(
        f"Difference from {view.baseline.title}",
        linear_scale(-limit, limit),
        f"difference in {unit}",
        height=100 + _ROW * len(compared),
        left=14,
    )
    better, worse = "arm is better →", f"← {shorten(view.baseline.title, 130)} is better"
    if metric.direction == "min":
        better, worse = f"{shorten(view.baseline.title, 130)} is better →", "← arm is better"
    panel.text(panel.left, 42, worse, css="quiet")
    panel.text(panel.right, 42, better, "end", css="quiet")
    zero = panel.to_x(0.0)
    panel.line([(zero, 48), (zero, panel.bottom)], "zero")
    for i, arm in enumerate(compared):
        difference, y = outcome.differences[arm.name], 84 + _ROW * i
        _draw_difference(view, panel, arm, difference, pairs[arm.name], y, factor)
    alt = " ".join(
        f"{arm.title}: {tell_change(d, metric, outcome.has_test)}, "
        + {1: "helps.", -1: "hurts.", 0: "no difference shown."}[d.direction]
        for arm in compared
        for d in [outcome.differences[arm.name]]
    )
    return view.picture("differences", panel, f"Difference from {view.baseline.title}. {alt}")


def _draw_difference(
    view: View,
    panel: Panel,
    arm: ArmOutcome,
    difference: Difference,
    pairs: Sequence[float],
    y: float,
    factor: float,
) -> None:
    told = f"{arm.title}: {tell_change(difference, view.metric, view.outcome.has_test)}"
    numbers = format_change(difference, view.metric)
    numbers += " points" if view.metric.is_fraction else ""
    if difference.ci95:
        numbers += f" ({format_interval(difference.ci95, view.metric)})"
    panel.text(panel.left, y - 14, shorten(arm.title, WIDTH - 50 - 7.5 * len(numbers)))
    panel.text(panel.right, y - 14, numbers, "end")
    for value in pairs:
        panel.mark(panel.to_x(factor * value), y + 9, "tick", 4, view.css("thin", arm))
    if difference.ci95_examples:
        ends = [(panel.to_x(factor * end), y) for end in difference.ci95_examples]
        interval = format_interval(difference.ci95_examples, view.metric)
        panel.line(ends, view.css("thin", arm), f"{arm.title}: with test examples {interval}")
    if difference.ci95:
        ends = [(panel.to_x(factor * end), y) for end in difference.ci95]
        panel.line(ends, view.css("line", arm), told)
    css = "dot" if difference.direction else "open"
    x = panel.to_x(factor * difference.mean)
    panel.mark(x, y, view.shape(arm), 5.5, view.css(css, arm), told)


def draw_seeds(view: View) -> Picture | None:
    """The result of every seed, and the mean with its interval."""
    outcome, metric = view.outcome, view.metric
    results = {arm.name: final_results(outcome, arm.name) for arm in view.arms}
    shown = [arm for arm in view.arms if results[arm.name]]
    if not shown:
        return None
    summaries = {arm.name: arm.test if outcome.has_test else arm.validation for arm in shown}
    ends = [v for arm in shown for v in results[arm.name].values()]
    ends += [
        end for summary in summaries.values() if summary and summary.ci95 for end in summary.ci95
    ]
    label = (lambda value: f"{100 * value:.4g} %") if metric.is_fraction else None
    kind = "test" if outcome.has_test else "validation"
    panel = Panel(
        f"{capitalize(kind)} {metric_title(metric)} of every seed",
        linear_scale(min(ends), max(ends), label),
        f"{kind} {metric_title(metric)}",
        height=86 + _ROW * len(shown),
        left=14,
    )
    sentences = [f"{capitalize(kind)} {metric_title(metric)} of the final retrainings."]
    for i, arm in enumerate(shown):
        y, summary = 66 + _ROW * i, summaries[arm.name]
        panel.text(panel.left, y - 14, shorten(arm.title, WIDTH - 170))
        for seed, value in results[arm.name].items():
            told = f"{arm.title}, seed {seed}: {format_score(value, metric)}"
            panel.mark(panel.to_x(value), y + 9, view.shape(arm), 3.5, view.css("dot", arm), told)
        if summary is None:
            continue
        told = f"{arm.title}: {_tell_summary(summary, metric)}"
        panel.text(panel.right, y - 14, _tell_summary(summary, metric, short=True), "end")
        if summary.ci95:
            panel.line([(panel.to_x(end), y) for end in summary.ci95], view.css("line", arm), told)
        panel.mark(panel.to_x(summary.mean), y, view.shape(arm), 5.5, view.css("open", arm), told)
        sentences.append(f"{told}.")
    return view.picture("seeds", panel, " ".join(sentences))


def draw_curves(view: View, column: str) -> Picture | None:
    """A logged number of the final retrainings by epoch: each seed thin, the mean thick."""
    rows = [
        r for r in view.outcome.epochs if r.stage == "final" and is_finite(r.metrics.get(column))
    ]
    if len({row.epoch for row in rows}) < 2:
        return None
    values = [row.metrics[column] for row in rows]
    if column == view.metric.objective:
        y, label = (
            score_scale(values, view.metric),
            f"{metric_title(view.metric)} on validation data",
        )
    else:
        fits = min(values) > 0
        y = log_scale(min(values), max(values)) if fits else linear_scale(min(values), max(values))
        label = {"loss": "training loss"}.get(column, column)
    last = max(row.epoch for row in rows)
    steps = (digit * 10**power for power in range(9) for digit in (1, 2, 5))
    step = next(step for step in steps if last / step <= 6)
    ticks = [(float(epoch), str(epoch)) for epoch in range(step, last + 1, step)]
    shown = [arm for arm in view.arms if any(row.arm == arm.name for row in rows)]
    panel = Panel(
        "Learning curves",
        Scale(1 - 0.03 * last, 1.03 * last, float, ticks),
        "epoch",
        y,
        label,
        legend=view.legend(shown),
    )
    stride = max(1, math.ceil(len(rows) / _MAX_CURVE_POINTS))
    sentences = [f"{capitalize(label)} of the final retrainings by epoch."]
    for arm in shown:
        ours = [row for row in rows if row.arm == arm.name]
        for seed, curve in _by_seed(ours).items():
            points = [(panel.to_x(r.epoch), panel.to_y(r.metrics[column])) for r in curve]
            panel.line(
                [*points[:-1:stride], points[-1]],
                view.css("thin", arm),
                f"{arm.title}, seed {seed}",
            )
    for arm in shown:
        ours = [row for row in rows if row.arm == arm.name]
        means = [
            (epoch, float(np.mean([row.metrics[column] for row in ours if row.epoch == epoch])))
            for epoch in sorted({row.epoch for row in ours})
        ]
        points = [(panel.to_x(epoch), panel.to_y(mean)) for epoch, mean in means]
        panel.line([*points[:-1:stride], points[-1]], view.css("line", arm), f"{arm.title}, mean")
        if len(points) <= 30:
            for point in points:
                panel.mark(*point, view.shape(arm), 3.5, view.css("dot", arm))
        end = (
            format_score(means[-1][1], view.metric)
            if column == view.metric.objective
            else f"{means[-1][1]:.3g}"
        )
        sentences.append(f"{arm.title} ends at {end} on average.")
    return view.picture(
        f"curves_{re.sub('[^a-z0-9]+', '_', column.lower())}", panel, " ".join(sentences)
    )


def draw_dead_units(view: View) -> Picture | None:
    """Fractions of inactive and dead units of every arm."""
    arms = [arm for arm in view.arms if arm.inactive_fraction is not None]
    if not arms:
        return None
    most = max(max(arm.inactive_fraction or 0.0, arm.dead_fraction or 0.0) for arm in arms)
    panel = Panel(
        "Units that never fire",
        percent_scale(most),
        "fraction of units (pale: inactive, full: dead)",
        height=82 + 36 * len(arms),
        left=14,
    )
    sentences = ["Units that never fire on the validation data."]
    for i, arm in enumerate(arms):
        y = 58 + 36 * i
        inactive, dead = arm.inactive_fraction or 0.0, arm.dead_fraction or 0.0
        text = f"{100 * inactive:.1f} % inactive, {100 * dead:.1f} % dead"
        panel.text(panel.left, y - 6, shorten(arm.title, WIDTH - 200))
        panel.text(panel.right, y - 6, text, "end")
        told = f"{arm.title}: {text}"
        start = panel.to_x(0.0)
        panel.box(start, y, panel.to_x(inactive) - start, 12, view.css("pale", arm), told)
        panel.box(start, y, panel.to_x(dead) - start, 12, view.css("full", arm), told)
        sentences.append(f"{told}.")
    return view.picture("dead_units", panel, " ".join(sentences))


def draw_layers(view: View, arm: ArmOutcome) -> Picture | None:
    """How active the units of each layer are: least, quartiles and most."""
    all_layers = layer_rows(view.outcome.dead_units, arm.name)
    layers = all_layers[:_MAX_LAYERS]
    if not layers:
        return None
    is_cut = len(layers) < len(all_layers)
    cut = f" (first {len(layers)} of {len(all_layers)} layers)" if is_cut else ""
    panel = Panel(
        f"{arm.title}: how active the units are{cut}",
        Scale(-0.02, 1.02, float, [(v / 4, f"{25 * v} %") for v in range(5)]),
        "fraction of examples on which a unit fires",
        height=82 + 34 * len(layers),
        left=14,
    )
    sentences = [f"Active fraction of the units of {arm.title} by layer."]
    for i, layer in enumerate(layers):
        y = 60 + 34 * i
        least, low, middle, high, most = (
            float(v) for v in np.quantile(layer.active_fraction, [0, 0.25, 0.5, 0.75, 1])
        )
        told = (
            f"{layer.layer}: median {_percent(middle)}, quartiles {_percent(low)} to "
            f"{_percent(high)}, range {_percent(least)} to {_percent(most)}"
        )
        panel.text(panel.left, y - 8, shorten(layer.layer, WIDTH - 200))
        units = "1 unit" if layer.n_units == 1 else f"{layer.n_units} units"
        text = f"{units}, {100 * layer.dead_fraction:.1f} % dead"
        panel.text(panel.right, y - 8, text, "end")
        panel.line([(panel.to_x(least), y + 5), (panel.to_x(most), y + 5)], view.css("thin", arm))
        panel.box(
            panel.to_x(low), y, panel.to_x(high) - panel.to_x(low), 10, view.css("pale", arm), told
        )
        panel.mark(panel.to_x(middle), y + 5, "tick", 7, view.css("line", arm), told)
        sentences.append(f"{told}.")
    return view.picture(view.file_name("layers", arm), panel, " ".join(sentences))


@dataclass(frozen=True)
class LayerRow:
    """One rectifier layer of an arm over its final retrainings."""

    layer: str
    kind: str
    n_units: int
    n_seeds: int
    dead_fraction: float
    inactive_fraction: float
    active_fraction: list[float]


def layer_rows(rows: Iterable[DeadUnitRow], arm: str) -> list[LayerRow]:
    """The layers of an arm, in the order of the net."""
    by_layer: dict[str, list[DeadUnitRow]] = {}
    for row in rows:
        if row.arm == arm and row.n_units:
            by_layer.setdefault(row.layer, []).append(row)
    return [
        LayerRow(
            layer,
            own[0].kind,
            own[0].n_units,
            len(own),
            sum(row.n_dead for row in own) / sum(row.n_units for row in own),
            sum(row.n_inactive for row in own) / sum(row.n_units for row in own),
            [fraction for row in own for fraction in row.active_fraction] or [0.0],
        )
        for layer, own in by_layer.items()
    ]


def _pairs(outcome: Outcome, baseline: str, arm: str) -> list[float]:
    """Differences by seed."""
    theirs, ours = final_results(outcome, baseline), final_results(outcome, arm)
    return [value - theirs[seed] for seed, value in ours.items() if seed in theirs]


def _tell_summary(summary: Summary, metric: Metric, short: bool = False) -> str:
    text = format_score(summary.mean, metric, summary.std)
    if summary.std is not None:
        text += f" ± {format_spread(summary.std, metric)}"
    if not short and summary.ci95:
        low, high = (format_score(end, metric, summary.std) for end in summary.ci95)
        text += f", 95 % interval {low} to {high}"
    return text if short else f"{text}, n = {summary.n}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _by_seed(rows: Sequence[EpochRow]) -> dict[int, list[EpochRow]]:
    found: dict[int, list[EpochRow]] = {}
    for row in sorted(rows, key=lambda row: row.epoch):
        found.setdefault(row.seed, []).append(row)
    return found
