"""Numbers, differences and lists in words, for the verdict and the page."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_leaky.rectifiers import TABLE, entry_of
from keras_leaky.study.outcome import ArmOutcome, Difference, Metric

_ACRONYMS = {"auc", "iou", "mae", "mape", "mse", "msle", "rmse"}

MAX_NAMED = 3  # arms that one sentence lists


def list_names(names: Sequence[str], limit: int = MAX_NAMED) -> str:
    """Names in a sentence, such as "A, B and 3 more"."""
    if len(names) > limit + 1:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def metric_title(metric: Metric) -> str:
    """The name of a metric, such as "MAE" or "top k categorical accuracy"."""
    return metric.name.upper() if metric.name in _ACRONYMS else metric.name.replace("_", " ")


def capitalize(text: str) -> str:
    """The text with a capital first letter; the other letters stay."""
    return text[:1].upper() + text[1:]


def format_number(value: float, digits: int = 2) -> str:
    """A number with a few significant digits, without an exponent where it stays short."""
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-5 <= abs(value) < 1e6:
        return np.format_float_positional(float(text), trim="-")
    return text


def format_change(difference: Difference, metric: Metric) -> str:
    """The mean of a difference, such as "+0.8"; in points for fractions."""
    return Words(metric, True).signed(difference.mean, difference.ci95)


def tell_change(difference: Difference, metric: Metric, has_test: bool) -> str:
    """Such as "+0.8 points of test accuracy (95 % interval 0.5 to 1.1, n = 5)"."""
    return Words(metric, has_test).change(difference)


def format_interval(ci95: tuple[float, float], metric: Metric) -> str:
    """The interval of a difference; in points for fractions."""
    return Words(metric, True).interval(ci95)


@dataclass(frozen=True)
class Words:
    """A metric, and its values, in words."""

    metric: Metric
    has_test: bool

    @property
    def name(self) -> str:
        return f"{'test' if self.has_test else 'validation'} {metric_title(self.metric)}"

    @property
    def scale(self) -> float:
        return 100.0 if self.metric.is_fraction else 1.0

    def decimals(self, values: Sequence[float]) -> int:
        """Decimals of a number, two digits of it, or of the ends of an interval.

        An interval keeps two digits of half its width if these are below 25, else one. An end of an
        interval on one side of 0 does not become 0.
        """
        size = (max(values) - min(values)) / 2 if len(values) > 1 else abs(values[0]) / 10
        size *= self.scale
        if not 0 < size < math.inf:
            return 2
        least = 1 if self.metric.is_fraction else 0
        unit = 2.5 if len(values) > 1 else 2.0
        decimals = min(max(least, math.ceil(-math.log10(size / unit))), 12)
        nearest = self.scale * min(map(abs, values))
        if min(values) > 0 or max(values) < 0:
            while decimals < 12 and round(nearest, decimals) == 0:
                decimals += 1
        return decimals

    def signed(self, mean: float, ci95: tuple[float, float] | None) -> str:
        decimals = self.decimals([mean] if ci95 is None else ci95)
        return f"{_no_minus_zero(self.scale * mean, decimals):+.{decimals}f}"

    def interval(self, ci95: tuple[float, float]) -> str:
        decimals = self.decimals(ci95)
        low, high = (_no_minus_zero(self.scale * end, decimals) for end in ci95)
        return f"{low:.{decimals}f} to {high:.{decimals}f}"

    def change(self, difference: Difference) -> str:
        """Such as "+0.8 points of test accuracy (95 % interval 0.5 to 1.1, n = 5)"."""
        points = f" points of {self.name}" if self.metric.is_fraction else f" in {self.name}"
        text = self.signed(difference.mean, difference.ci95) + points
        if difference.ci95 is None:
            return text
        return f"{text} (95 % interval {self.interval(difference.ci95)}, n = {difference.n})"

    def ruled_out(self, differences: Iterable[Difference]) -> str:
        """The values that no interval allows, such as "gains above 0.08 points are ruled out"."""
        intervals = [ci for d in differences for ci in (d.ci95, d.ci95_examples) if ci is not None]
        if self.metric.direction == "max":
            bound = max(high for _, high in intervals)
        else:
            bound = max(-low for low, _ in intervals)
        if bound <= 0:
            return "gains are ruled out"
        bound = _round_up(self.scale * bound)
        if self.metric.is_fraction:
            return f"gains above {bound} points are ruled out"
        way = "rises" if self.metric.direction == "max" else "drops"
        return f"{way} of the {self.name} by more than {bound} are ruled out"


def _no_minus_zero(value: float, decimals: int) -> float:
    return round(value, decimals) + 0.0


def _round_up(value: float) -> str:
    """Two digits, never below the value: what is above it is ruled out."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return format_number(math.ceil(round(value / step, 6)) * step)


def alpha_title(arm: ArmOutcome) -> str:
    """The name of alpha in an arm, such as "negative slope"."""
    known = arm.rectifier is not None and arm.rectifier in TABLE
    return (entry_of(arm.rectifier).alpha_title if known else "") or "alpha"


def describe_fraction(fraction: float) -> str:
    """The fraction of the steps in a training of successive halving, in words."""
    return "in full" if fraction == 1 else f"with 1/{1 / fraction:.0f} of the steps"
