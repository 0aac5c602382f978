"""The pictures of a study: what each shows, and in words what this one shows."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_leaky.study.importance import importance
from keras_leaky.study.outcome import ArmOutcome, Difference, Metric, Outcome, Range, Summary
from keras_leaky.study.report.style import QUALITY, color_classes
from keras_leaky.study.report.svg import (
    SHAPES,
    WIDTH,
    Panel,
    Scale,
    linear_scale,
    log_scale,
    shorten,
)
from keras_leaky.study.rows import DeadUnitRow, EpochRow, TrialRow
from keras_leaky.study.verdict import (
    GoodPoints,
    alpha_title,
    find_good_points,
    format_change,
    format_interval,
    format_number,
    is_scored,
)

MAX_TOLD = 1_500  # trials that tell what they are; more would make the page too large
_MAX_CURVE_POINTS = 12_000
_MAX_LAYERS = 24
_ROW = 40  # pixels of a row with its label above


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Of its file.
        alt: What it shows, in words.
        draw: Its SVG from a style sheet, "" for use inside the page.
    """

    name: str
    alt: str
    draw: Callable[[str], str]


class View:
    """An outcome as the pictures need it; what several of them ask for is computed once.

    Args:
        prefix: Before the names of the files.
        n_told: How many trials tell what they are.
        colored: All arms that share a page, which have the same color in all of its pictures.
    """

    def __init__(
        self,
        outcome: Outcome,
        prefix: str = "",
        n_told: int = MAX_TOLD,
        colored: Mapping[str, ArmOutcome] | None = None,
    ):
        self.outcome = outcome
        self.metric = outcome.metric
        self.prefix = prefix
        self.arms = list(outcome.arms.values())
        self.baseline = next(arm for arm in self.arms if arm.is_baseline)
        self.colored = outcome.arms if colored is None else colored
        self.colors = color_classes(self.colored.values())
        self.classes = {name: f"a{i}" for i, name in enumerate(self.colored)}
        self.trials = {
            arm.name: [r for r in outcome.trials if r.arm == arm.name] for arm in self.arms
        }
        self.told = _choose_told(self.trials.values(), self.metric, n_told)

    @cached_property
    def good(self) -> dict[str, GoodPoints | None]:
        """The points of every arm that are as good as its best."""
        o = self.outcome
        return {
            arm.name: find_good_points(arm, o.trials, o.retrainings, self.metric)
            for arm in self.arms
        }

    @cached_property
    def importance(self) -> dict[str, dict[str, float]]:
        """How much each hyperparameter matters, of arms where that can be said."""
        found = {arm.name: importance(arm, self.outcome.trials, self.metric) for arm in self.arms}
        return {name: shares for name, shares in found.items() if shares}

    @cached_property
    def scale(self) -> Scale:
        """Scores of all trials, the same in all pictures."""
        return score_scale(
            [row.score or 0.0 for row in self.outcome.trials if is_scored(row)], self.metric
        )

    @cached_property
    def n_below(self) -> int:
        """Trials whose score lies outside of the pictures, drawn at the edge."""
        scores = [row.score or 0.0 for row in self.outcome.trials if is_scored(row)]
        return sum(not self.scale.low <= score <= self.scale.high for score in scores)

    def shape(self, arm: ArmOutcome) -> str:
        """The mark of an arm; color is not all that tells arms apart."""
        if arm.is_baseline:
            return "square"
        return SHAPES[(list(self.colored).index(arm.name) - 1) % len(SHAPES)]

    def legend(self, arms: Iterable[ArmOutcome]) -> list[tuple[str, str, str]]:
        """Entries of a legend."""
        return [(self.css("dot", arm), self.shape(arm), arm.title) for arm in arms]

    def css(self, kind: str, arm: ArmOutcome) -> str:
        return f"{kind} {self.classes[arm.name]}"

    def picture(self, name: str, panel: Panel, alt: str) -> Picture:
        return Picture(self.prefix + name, alt, lambda style: panel.to_svg(alt, style))

    def file_name(self, kind: str, arm: ArmOutcome) -> str:
        """Of a picture of one arm: names of arms need not be names of files."""
        slug = re.sub("[^a-z0-9]+", "_", arm.name.lower()).strip("_")[:40]
        return "_".join(filter(None, [kind, str(self.arms.index(arm)), slug]))


def format_score(value: float | None, metric: Metric) -> str:
    """A score as people read it."""
    if value is None:
        return ""
    return f"{100 * value:.2f} %" if metric.is_fraction else format_number(value, 4)


def score_scale(scores: Sequence[float], metric: Metric) -> Scale:
    """An axis on which good scores stay apart.

    Fractions of which more is better crowd below 1: their distance to 1 is on a logarithmic axis.
    """
    scores = [score for score in scores if math.isfinite(score)] or [0.0, 1.0]
    low, high = min(scores), max(scores)
    if metric.is_fraction and metric.direction == "max" and low >= 0 and high <= 1:
        floor = max(min((1 - s for s in scores if s < 1), default=0.02) / 2, 1e-5)
        errors = log_scale(max(1 - high, floor), max(1 - low, floor), flip=True)
        return Scale(
            1 - errors.high,
            1 - errors.low,
            lambda score: -math.log(max(1 - score, floor / 2)),
            [(1 - error, f"{100 * (1 - error):.6g} %") for error, _ in errors.ticks],
        )
    label = (lambda value: f"{100 * value:.4g} %") if metric.is_fraction else None
    if low > 0 and high > 20 * low:
        return log_scale(low, high, label)
    # A trial that went astray must not press all others together.
    quarter, three = np.quantile(scores, [0.25, 0.75])
    if metric.direction == "max":
        low = max(low, float(quarter - 4 * (three - quarter)))
    else:
        high = min(high, float(three + 4 * (three - quarter)))
    return linear_scale(low, high, label)


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
    unit = f"points of {kind} {_name(metric)}" if metric.is_fraction else f"{kind} {_name(metric)}"
    panel = Panel(
        f"Difference to {view.baseline.title}",
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
        f"{arm.title}: {format_change(d.mean, d.ci95, metric, d.n)}, "
        + {1: "helps.", -1: "hurts.", 0: "not shown."}[d.direction]
        for arm in compared
        for d in [outcome.differences[arm.name]]
    )
    return view.picture("differences", panel, f"Difference to {view.baseline.title}. {alt}")


def _draw_difference(
    view: View,
    panel: Panel,
    arm: ArmOutcome,
    difference: Difference,
    pairs: Sequence[float],
    y: float,
    factor: float,
) -> None:
    told = (
        f"{arm.title}: {format_change(difference.mean, difference.ci95, view.metric, difference.n)}"
    )
    numbers = format_change(difference.mean, None, view.metric)
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


def draw_learning_rate(view: View, arm: ArmOutcome) -> Picture | None:
    """Score against learning rate: an arm, and the baseline behind it."""
    shown = [arm] if arm.is_baseline else [view.baseline, arm]
    return _draw_against(view, arm, shown, "learning_rate", "learning rate")


def draw_learning_rates(view: View) -> Picture | None:
    """Score against learning rate, all arms: the best trial of each arm at about a rate joined."""
    rows = [r for r in view.outcome.trials if r.learning_rate is not None and is_scored(r)]
    rates = [row.learning_rate or 0.0 for row in rows]
    if len(set(rates)) < 2:
        return None
    x = _axis(rates, [arm.space.get("learning_rate") for arm in view.arms])
    label = f"{_name(view.metric)} on validation data"
    panel = Panel(
        "Best trials by learning rate",
        x,
        "learning rate",
        view.scale,
        label,
        legend=view.legend(arm for arm in view.arms if any(row.arm == arm.name for row in rows)),
    )
    sign = 1 if view.metric.direction == "max" else -1
    sentences = ["Best trials of every arm by learning rate."]
    for arm in view.arms:
        best: dict[int, TrialRow] = {}
        for row in rows:
            if row.arm == arm.name:
                place = int(12 * x.place(row.learning_rate or 0.0))
                rival = best.get(place)
                if rival is None or sign * (row.score or 0.0) > sign * (rival.score or 0.0):
                    best[place] = row
        ours = [best[place] for place in sorted(best)]
        if not ours:
            continue
        points = [(panel.to_x(r.learning_rate or 0.0), panel.to_y(r.score or 0.0)) for r in ours]
        panel.line(points, view.css("line", arm), arm.title)
        for point, row in zip(points, ours, strict=True):
            told = tell_trial(row, arm, view.metric)
            panel.mark(*point, view.shape(arm), 3.5, view.css("dot", arm), told)
        top = max(ours, key=lambda row: sign * (row.score or 0.0))
        sentences.append(
            f"{arm.title}: {format_score(top.score, view.metric)} at "
            f"{format_number(top.learning_rate or 0.0)}."
        )
    return view.picture("learning_rates", panel, " ".join(sentences))


def draw_alpha(view: View, arm: ArmOutcome) -> Picture | None:
    """Score against alpha."""
    return _draw_against(view, arm, [arm], "alpha", f"alpha ({alpha_title(arm)})")


def _draw_against(
    view: View, arm: ArmOutcome, shown: Sequence[ArmOutcome], name: str, label: str
) -> Picture | None:
    rows = [r for a in shown for r in view.trials[a.name] if getattr(r, name) is not None]
    own = [row for row in rows if row.arm == arm.name]
    if len({getattr(row, name) for row in own}) < 2 or not any(map(is_scored, own)):
        return None
    x = _axis([getattr(row, name) for row in rows], [a.space.get(name) for a in shown])
    against = f" and {view.baseline.title}" if len(shown) > 1 else ""
    panel = Panel(
        f"{arm.title}{against}",
        x,
        label,
        view.scale,
        f"{_name(view.metric)} on validation data",
        legend=view.legend(shown) if len(shown) > 1 else (),
    )
    words = [f"{_name(view.metric).capitalize()} of {arm.title} against its {label}."]
    for one in shown:
        good = view.good[one.name]
        ends = getattr(good, name) if good else None
        if good and ends:
            left, right = (panel.to_x(end) for end in ends)
            told = f"{one.title}: {label} {_ends(ends)} is as good as the best"
            panel.box(
                left, panel.top, right - left, panel.bottom - panel.top, view.css("band", one), told
            )
            words.append(f"{one.title} is as good as its best from {_ends(ends, ' to ')}.")
        if good and one is arm:
            y = panel.to_y(good.threshold)
            panel.line([(panel.left, y), (panel.right, y)], view.css("limit", one))
    for one in shown:
        ours = [row for row in rows if row.arm == one.name]
        _draw_trials(view, panel, one, ours, lambda row: panel.to_x(getattr(row, name)))
        if one.best is not None and name in one.best.hyperparameters:
            value = one.best.hyperparameters[name]
            words.insert(
                1,
                f"Best trial of {one.title}: {format_score(one.best.score, view.metric)} at "
                f"{format_number(value, 3)}.",
            )
    kind = "alpha" if name == "alpha" else "learning_rate"
    return view.picture(view.file_name(kind, arm), panel, " ".join(words))


def _draw_trials(
    view: View,
    panel: Panel,
    arm: ArmOutcome,
    rows: Sequence[TrialRow],
    to_x: Callable[[TrialRow], float],
) -> None:
    """Marks for trials with a score, crosses on the axis for those without."""
    quiet = []
    for row in rows:
        if is_scored(row):
            x, y = to_x(row), panel.to_y(row.score or 0.0)
        else:
            x, y = to_x(row), panel.bottom - 6
        if (row.arm, row.trial_id) not in view.told:
            if is_scored(row):
                quiet.append((x, y))
            continue
        told = tell_trial(row, arm, view.metric)
        if not is_scored(row):
            panel.mark(x, y, "cross", 3.5, view.css("cross", arm), told)
        else:
            css = "open" if row.status == "STOPPED" else "dot"
            panel.mark(x, y, view.shape(arm), 4, view.css(css, arm), told)
    panel.marks(quiet, view.shape(arm), 3, view.css("dot", arm))
    best = arm.best
    chosen = next((row for row in rows if best and row.trial_id == best.trial_id), None)
    if chosen and is_scored(chosen):
        told = f"chosen: {tell_trial(chosen, arm, view.metric)}"
        panel.mark(to_x(chosen), panel.to_y(chosen.score or 0.0), "circle", 7.5, "ring", told)


def tell_trial(row: TrialRow, arm: ArmOutcome, metric: Metric) -> str:
    """A trial in a line."""
    parts = [f"{arm.title}, trial {row.trial_id}"]
    values = {"alpha": row.alpha, "learning rate": row.learning_rate, **row.hyperparameters}
    parts += [
        f"{name} {format_number(v, 3) if isinstance(v, float) else v}"
        for name, v in values.items()
        if v is not None
    ]
    if row.score is not None:
        parts.append(f"{metric.objective} {format_score(row.score, metric)}")
    if row.best_epoch is not None:
        parts.append(f"best epoch {row.best_epoch}")
    if row.status != "COMPLETED":
        parts.append(row.status.lower())
    if row.reason:
        parts.append(row.reason[:120])
    return ", ".join(parts)


def draw_plane(view: View, arm: ArmOutcome) -> Picture | None:
    """Where the trials lie in alpha and learning rate, and how good each is."""
    rows = [r for r in view.trials[arm.name] if r.alpha is not None and r.learning_rate is not None]
    scored = sorted(filter(is_scored, rows), key=lambda row: row.epochs)
    alphas, rates = [row.alpha or 0.0 for row in rows], [row.learning_rate or 0.0 for row in rows]
    if len(set(alphas)) < 2 or len(set(rates)) < 2 or not scored:
        return None
    panel = Panel(
        f"{arm.title}: alpha and learning rate",
        _axis(alphas, [arm.space.get("alpha")]),
        f"alpha ({alpha_title(arm)})",
        _axis(rates, [arm.space.get("learning_rate")]),
        "learning rate",
        height=330,
    )
    _draw_legend(view, panel)
    good = view.good[arm.name]
    sentences = [f"{len(rows)} trials of {arm.title} in alpha and learning rate."]
    if good and good.alpha and good.learning_rate:
        left, right = map(panel.to_x, good.alpha)
        bottom, top = map(panel.to_y, good.learning_rate)
        ends = f"alpha {_ends(good.alpha)}, learning rate {_ends(good.learning_rate)}"
        told = f"as good as the best: {ends}"
        corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        panel.line(corners, view.css("limit", arm), told)
        sentences.append(f"The region {told}.")
    quiet: dict[int, list[tuple[float, float]]] = {}
    for row in scored:
        quality = _quality(row, view)
        place = panel.to_x(row.alpha or 0.0), panel.to_y(row.learning_rate or 0.0)
        if (row.arm, row.trial_id) in view.told:
            panel.mark(*place, "circle", 5.5, f"dot q{quality}", tell_trial(row, arm, view.metric))
        else:
            quiet.setdefault(quality, []).append(place)
    for quality, places in sorted(quiet.items()):
        panel.marks(places, "circle", 4, f"dot q{quality}")
    for row in rows:
        if not is_scored(row) and (row.arm, row.trial_id) in view.told:
            place = panel.to_x(row.alpha or 0.0), panel.to_y(row.learning_rate or 0.0)
            told = tell_trial(row, arm, view.metric)
            panel.mark(*place, "cross", 4, view.css("cross", arm), told)
    chosen = next((r for r in scored if arm.best and r.trial_id == arm.best.trial_id), None)
    if chosen:
        told = tell_trial(chosen, arm, view.metric)
        place = panel.to_x(chosen.alpha or 0.0), panel.to_y(chosen.learning_rate or 0.0)
        panel.mark(*place, "circle", 9, "ring", f"chosen: {told}")
        sentences.append(f"Chosen: {told}.")
    return view.picture(view.file_name("plane", arm), panel, " ".join(sentences))


def _draw_legend(view: View, panel: Panel) -> None:
    """Eight colors from the worst to the best score."""
    first, width = WIDTH - 14 - 14 * len(QUALITY), 14
    scale = view.scale
    worst, best = scale.low, scale.high
    if view.metric.direction == "min":
        worst, best = best, worst
    short = (lambda v: f"{100 * v:.1f} %") if view.metric.is_fraction else format_number
    for i in range(len(QUALITY)):
        panel.box(first + width * i, 26, width, 10, f"full q{i}")
    panel.text(
        first - 5,
        36,
        short(min(max(worst, 0), 1) if view.metric.is_fraction else worst),
        "end",
        "quiet",
    )
    del best


def _quality(row: TrialRow, view: View) -> int:
    share = view.scale.place(row.score or 0.0)
    share = share if view.metric.direction == "max" else 1 - share
    return min(int(share * len(QUALITY)), len(QUALITY) - 1)


def draw_curves(view: View, column: str) -> Picture | None:
    """A logged number of the final retrainings by epoch: each seed thin, the mean thick."""
    rows = [
        r for r in view.outcome.epochs if r.stage == "final" and _is_finite(r.metrics.get(column))
    ]
    if len({row.epoch for row in rows}) < 2:
        return None
    values = [row.metrics[column] for row in rows]
    if column == view.metric.objective:
        y, label = score_scale(values, view.metric), f"{_name(view.metric)} on validation data"
    else:
        fits = min(values) > 0
        y = log_scale(min(values), max(values)) if fits else linear_scale(min(values), max(values))
        label = {"loss": "training loss"}.get(column, column)
    last = max(row.epoch for row in rows)
    step = max(1, math.ceil(last / 6))
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
    sentences = [f"{label.capitalize()} of the final retrainings by epoch."]
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
            panel.marks(points, view.shape(arm), 3.5, view.css("dot", arm))
        end = (
            format_score(means[-1][1], view.metric)
            if column == view.metric.objective
            else f"{means[-1][1]:.3g}"
        )
        sentences.append(f"{arm.title} ends at {end} on average.")
    return view.picture(
        f"curves_{re.sub('[^a-z0-9]+', '_', column.lower())}", panel, " ".join(sentences)
    )


def draw_seeds(view: View) -> Picture | None:
    """The result of every seed, and the mean with its interval."""
    outcome, metric = view.outcome, view.metric
    results = {arm.name: _results(outcome, arm.name) for arm in view.arms}
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
        f"{kind.capitalize()} {_name(metric)} of every seed",
        linear_scale(min(ends), max(ends), label),
        f"{kind} {_name(metric)}",
        height=86 + _ROW * len(shown),
        left=14,
    )
    sentences = [f"{kind.capitalize()} {_name(metric)} of the final retrainings."]
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


def draw_dead_units(view: View) -> Picture | None:
    """Fractions of inactive and dead units of every arm."""
    arms = [arm for arm in view.arms if arm.inactive_fraction is not None]
    if not arms:
        return None
    most = max(max(arm.inactive_fraction or 0.0, arm.dead_fraction or 0.0) for arm in arms)
    panel = Panel(
        "Units that never fire",
        _percent_scale(most),
        "share of units: pale inactive, full dead",
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
    layers = layer_rows(view.outcome.dead_units, arm.name)[:_MAX_LAYERS]
    if not layers:
        return None
    panel = Panel(
        f"{arm.title}: how active the units are",
        Scale(-0.02, 1.02, float, [(v / 4, f"{25 * v} %") for v in range(5)]),
        "share of examples on which a unit fires",
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
            f"{layer.layer}: median {middle:.0%}, quartiles {low:.0%} to {high:.0%}, "
            f"range {least:.0%} to {most:.0%}"
        )
        panel.text(panel.left, y - 8, shorten(layer.layer, WIDTH - 200))
        text = f"{layer.n_units} units, {100 * layer.dead_fraction:.1f} % dead"
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


def draw_importance(view: View) -> Picture | None:
    """How much each hyperparameter decides, by arm."""
    arms = [arm for arm in view.arms if arm.name in view.importance]
    n_bars = sum(len(view.importance[arm.name]) for arm in arms)
    if not n_bars:
        return None
    panel = Panel(
        "Which hyperparameter decides",
        _percent_scale(1.0),
        "share of importance (PED-ANOVA)",
        height=76 + 24 * len(arms) + 30 * n_bars,
        left=14,
    )
    y, sentences = 34.0, ["Which hyperparameter decides whether a trial is among the best."]
    for arm in arms:
        y += 20
        panel.text(panel.left, y, shorten(arm.title, WIDTH - 30), css=view.css("full", arm))
        for name, share in view.importance[arm.name].items():
            told = f"{arm.title}: {name.replace('_', ' ')} {share:.0%}"
            panel.text(panel.left + 8, y + 16, shorten(name.replace("_", " "), WIDTH - 100))
            panel.text(panel.right, y + 16, f"{share:.0%}", "end")
            start = panel.to_x(0.0)
            panel.box(start, y + 20, panel.to_x(share) - start, 7, view.css("full", arm), told)
            sentences.append(f"{told}.")
            y += 30
        y += 4
    return view.picture("importance", panel, " ".join(sentences))


def _percent_scale(most: float) -> Scale:
    scale = linear_scale(0.0, max(most, 0.01), margin=0)
    return Scale(
        0.0, max(most, 0.01) * 1.02, float, [(v, f"{100 * v:.3g} %") for v, _ in scale.ticks]
    )


def _axis(values: Sequence[float], ranges: Iterable[Range | None]) -> Scale:
    """The whole space, so that what no trial visited shows too."""
    known = [range_ for range_ in ranges if range_ is not None]
    ends = [end for range_ in known for end in (range_.low, range_.high) if end is not None]
    low, high = min([*values, *ends]), max([*values, *ends])
    if low > 0 and all(range_.scale == "log" for range_ in known):
        return log_scale(low, high)
    return linear_scale(low, high)


def _choose_told(
    arms: Iterable[Sequence[TrialRow]], metric: Metric, n_told: int
) -> set[tuple[str, str]]:
    """The best trials of every arm, and the first that failed."""
    arms = [rows for rows in arms if rows]
    sign = 1 if metric.direction == "max" else -1
    told: set[tuple[str, str]] = set()
    for rows in arms:
        n = n_told // len(arms)
        failed = [row for row in rows if not is_scored(row)]
        scored = sorted(filter(is_scored, rows), key=lambda row: -sign * (row.score or 0.0))
        chosen = [*failed[: max(n // 4, n - len(scored))], *scored]
        told |= {(row.arm, row.trial_id) for row in chosen[:n]}
    return told


def _pairs(outcome: Outcome, baseline: str, arm: str) -> list[float]:
    """Differences by seed."""
    theirs, ours = _results(outcome, baseline), _results(outcome, arm)
    return [value - theirs[seed] for seed, value in ours.items() if seed in theirs]


def _results(outcome: Outcome, arm: str) -> dict[int, float]:
    """The result of every final retraining, by seed."""
    name = "test_score" if outcome.has_test else "val_score"
    return {
        row.seed: getattr(row, name)
        for row in outcome.retrainings
        if row.arm == arm and row.stage == "final" and _is_finite(getattr(row, name))
    }


def _tell_summary(summary: Summary, metric: Metric, short: bool = False) -> str:
    text = format_score(summary.mean, metric)
    if summary.std is not None:
        spread = f"{100 * summary.std:.2f}" if metric.is_fraction else format_number(summary.std)
        text += f" ± {spread}"
    if not short and summary.ci95:
        low, high = (format_score(end, metric) for end in summary.ci95)
        text += f", 95 % interval {low} to {high}"
    return text if short else f"{text}, n = {summary.n}"


def _by_seed(rows: Sequence[EpochRow]) -> dict[int, list[EpochRow]]:
    found: dict[int, list[EpochRow]] = {}
    for row in sorted(rows, key=lambda row: row.epoch):
        found.setdefault(row.seed, []).append(row)
    return found


def _ends(ends: Sequence[float], between: str = " to ") -> str:
    return between.join(format_number(end) for end in ends)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _name(metric: Metric) -> str:
    return metric.name.replace("_", " ")
