"""95 % intervals of what is counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from recipes.common.statistics import summarize

N_RESAMPLES = 1000


@dataclass(frozen=True)
class Share:
    """A share of independent cases, with the exact interval of Clopper and Pearson (1934)."""

    count: int
    n: int

    @property
    def fraction(self) -> float:
        return self.count / self.n

    @property
    def ci95(self) -> tuple[float, float]:
        interval = stats.binomtest(self.count, self.n).proportion_ci(0.95, method="exact")
        return float(interval.low), float(interval.high)

    @property
    def standard_error(self) -> float:
        return (self.fraction * (1 - self.fraction) / self.n) ** 0.5

    def __str__(self) -> str:
        low, high = self.ci95
        return f"{percent(self.fraction)} ({percent(low)} to {percent(high)}, n = {self.n:,})"


def percent(fraction: float) -> str:
    """A fraction as a person reads it, with digits enough to tell 99.3 % from 100 %."""
    distance = min(fraction, 1 - fraction)
    return f"{100 * fraction:.{2 if 0 < distance < 0.01 else 1}f} %"


def ratio_of_shares(ours: Share, theirs: Share) -> tuple[float, float, float]:
    """Ratio of two shares and its 95 % interval, normal on the log scale (Katz et al. 1978).

    Half a case is added to every cell, so that a count of 0 has an interval too.
    """
    parts = [((s.count + 0.5), (s.n + 1.0)) for s in (ours, theirs)]
    (a, n_a), (b, n_b) = parts
    half_width = 1.96 * float(np.sqrt(1 / a - 1 / n_a + 1 / b - 1 / n_b))
    ratio = (a / n_a) / (b / n_b)
    return ratio, ratio * float(np.exp(-half_width)), ratio * float(np.exp(half_width))


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of one number a seed, and its 95 % interval by Student's t; one seed has none: NaN."""
    summary = summarize(values)
    low, high = summary.ci95 or (float("nan"), float("nan"))
    return summary.mean, low, high


def ratio_interval(counts: np.ndarray, totals: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Share of all units in several nets, and its 95 % interval by a bootstrap over the nets.

    Units of one net share its fate, so that not they but the nets are drawn again.

    Args:
        counts: Units counted in each net, of shape (n_nets,).
        totals: Units that could have been, of the same shape.
        seed: Of the bootstrap.
    """
    if totals.sum() == 0:
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(counts), (N_RESAMPLES, len(counts)))
    n = totals[drawn].sum(1)
    shares = counts[drawn].sum(1)[n > 0] / n[n > 0]
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(counts.sum() / totals.sum()), float(low), float(high)
