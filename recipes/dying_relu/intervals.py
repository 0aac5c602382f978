"""95 % intervals of counts."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from keras_leaky.study.statistics import MIN_SEEDS

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
        return f"{percent(self.fraction)} ({interval(*self.ci95)}, n = {self.n:,})"


def percent(fraction: float | None) -> str:
    """A fraction as a person reads it, with digits enough to tell 99.3 % from 100 %."""
    if fraction is None:
        return ""
    distance = min(fraction, 1 - fraction)
    return f"{100 * fraction:.{2 if 0 < distance < 0.01 else 1}f} %"


def interval(low: float | None, high: float | None) -> str:
    """The ends of an interval of fractions."""
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def points(difference: float | None) -> str:
    """A difference of fractions in percentage points, with its sign."""
    # Adding 0 turns a rounded -0.0 into 0.0.
    return "" if difference is None else f"{round(100 * difference, 1) + 0:+.1f}"


def ratio_of_shares(ours: Share, theirs: Share) -> tuple[float, float, float]:
    """Ratio of two shares and its 95 % interval, normal on the log scale (Katz et al. 1978).

    Half a case is added to every cell, so that a count of 0 has an interval too.
    """
    parts = [((s.count + 0.5), (s.n + 1.0)) for s in (ours, theirs)]
    (a, n_a), (b, n_b) = parts
    half_width = 1.96 * float(np.sqrt(1 / a - 1 / n_a + 1 / b - 1 / n_b))
    ratio = (a / n_a) / (b / n_b)
    return ratio, ratio * float(np.exp(-half_width)), ratio * float(np.exp(half_width))


def ratio_interval(
    counts: np.ndarray, totals: np.ndarray, seed: int
) -> tuple[float, float | None, float | None]:
    """Share of all units in several nets, and its 95 % interval by a bootstrap over the nets.

    Units of one net share its fate, so the nets are drawn again, not the units. Fewer than
    `MIN_SEEDS` nets have no interval.

    Args:
        counts: Units counted in each net, of shape (n_nets,).
        totals: Units that could have been, of the same shape. At least one is above 0.
        seed: Of the bootstrap.
    """
    share = float(counts.sum() / totals.sum())
    if len(counts) < MIN_SEEDS:
        return share, None, None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(counts), (N_RESAMPLES, len(counts)))
    n = totals[drawn].sum(1)
    shares = counts[drawn].sum(1)[n > 0] / n[n > 0]
    low, high = np.quantile(shares, (0.025, 0.975))
    return share, float(low), float(high)
