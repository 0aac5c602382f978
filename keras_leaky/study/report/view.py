"""An outcome in the form that the pictures need, with shared scales, colors and words."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_leaky.study.errors import InputError
from keras_leaky.study.good_points import GoodPoints, find_good_points, is_scored
from keras_leaky.study.importance import importance
from keras_leaky.study.outcome import ArmOutcome, Metric, Outcome, Range
from keras_leaky.study.report.style import color_classes
from keras_leaky.study.report.svg import SHAPES, Panel, Scale, linear_scale, log_scale
from keras_leaky.study.rows import TrialRow
from keras_leaky.study.statistics import is_finite
from keras_leaky.study.wording import format_number

MAX_TOLD = 1_200  # trials with a title; more would make the page too large


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Name of its file.
        alt: Text alternative: what the picture shows.
        draw: Function from a style sheet to the SVG; "" for use inside the page.
    """

    name: str
    alt: str
    draw: Callable[[str], str]


class View:
    """An outcome in the form that the pictures need; shared values are computed once.

    Args:
        prefix: Start of the file names.
        n_told: Number of trials with a title.
        colored: All arms of the page; an arm has the same color in all pictures.
    """

    def __init__(
        self,
        outcome: Outcome,
        prefix: str = "",
        n_told: int = MAX_TOLD,
        colored: Mapping[str, ArmOutcome] | None = None,
    ) -> None:
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
    def importance(self) -> dict[str, dict[str, float]] | None:
        """How much each hyperparameter matters, for arms with enough trials.

        None without Optuna.
        """
        trials = self.outcome.trials
        try:
            found = {arm.name: importance(arm, trials, self.metric) for arm in self.arms}
        except InputError:
            return None
        return {name: shares for name, shares in found.items() if shares}

    @cached_property
    def scale(self) -> Scale:
        """The axis for the scores of all trials, the same in all pictures."""
        return score_scale(
            [row.score or 0.0 for row in self.outcome.trials if is_scored(row)], self.metric
        )

    @cached_property
    def n_astray(self) -> int:
        """Number of trials that are worse than the axis shows, and drawn at its edge."""
        is_max = self.metric.direction == "max"
        scores = [row.score or 0.0 for row in self.outcome.trials if is_scored(row)]
        return sum(s < self.scale.low if is_max else s > self.scale.high for s in scores)

    def shape(self, arm: ArmOutcome) -> str:
        """The mark of an arm, so that arms do not differ by color alone."""
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
        """The file name for a picture of one arm, whose name may not suit a file."""
        slug = re.sub("[^a-z0-9]+", "_", arm.name.lower()).strip("_")[:40]
        return "_".join(filter(None, [kind, str(self.arms.index(arm)), slug]))


def format_score(value: float | None, metric: Metric, std: float | None = None) -> str:
    """A score as text, with as many digits as the standard deviation allows, if given."""
    if value is None:
        return ""
    if metric.is_fraction:
        return f"{100 * value:.2f} %"
    if not std or not is_finite(std):
        return format_number(value, 4)
    decimals = min(max(0, 1 - math.floor(math.log10(std))), 12)
    return f"{value:.{decimals}f}" if std < 1e6 else format_number(value, 4)


def format_spread(std: float, metric: Metric) -> str:
    """A standard deviation; in points for fractions."""
    return f"{100 * std:.2f}" if metric.is_fraction else format_number(std)


def score_scale(scores: Sequence[float], metric: Metric) -> Scale:
    """An axis on which good scores stay apart.

    Fractions of which more is better crowd below 1: their distance to 1 is on a logarithmic axis.
    """
    scores = [score for score in scores if math.isfinite(score)] or [0.0, 1.0]
    low, high = min(scores), max(scores)
    if metric.is_fraction and metric.direction == "max" and low >= 0 and high <= 1:
        # An error of 0 has no logarithm: it is drawn below all others.
        floor = min(max(min((1 - s for s in scores if s < 1), default=1.0) / 2, 1e-5), 0.005)
        errors = log_scale(max(1 - high, floor), max(1 - low, 4 * floor))
        ticks = [(1 - e, f"{100 * (1 - e):.6g} %") for e, _ in reversed(errors.ticks)]
        if high == 1:
            ticks = [tick for tick in ticks if 1 - tick[0] > 1.5 * floor]
            ticks.append((1 - errors.low, "100 %"))
        low, high = 1 - errors.high, 1 - errors.low
        return Scale(low, high, lambda score: -math.log(max(1 - score, floor / 2)), ticks)
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


def space_scale(values: Sequence[float], ranges: Iterable[Range | None]) -> Scale:
    """An axis for the whole space, so that it also shows values that no trial visited."""
    known = [range_ for range_ in ranges if range_ is not None]
    ends = [end for range_ in known for end in (range_.low, range_.high) if end is not None]
    low, high = min([*values, *ends]), max([*values, *ends])
    if low > 0 and all(range_.scale == "log" for range_ in known):
        return log_scale(low, high)
    return linear_scale(low, high)


def percent_scale(most: float) -> Scale:
    scale = linear_scale(0.0, max(most, 0.01), margin=0)
    return Scale(
        0.0, max(most, 0.01) * 1.02, float, [(v, f"{100 * v:.3g} %") for v, _ in scale.ticks]
    )


def final_results(outcome: Outcome, arm: str) -> dict[int, float]:
    """The result of every final retraining, by seed."""
    name = "test_score" if outcome.has_test else "val_score"
    return {
        row.seed: getattr(row, name)
        for row in outcome.retrainings
        if row.arm == arm and row.stage == "final" and is_finite(getattr(row, name))
    }


def format_ends(ends: Sequence[float], between: str = " to ") -> str:
    return between.join(format_number(end) for end in ends)


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
