"""What paired seeds say of an arm against ReLU, and what of it survives the number of arms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

N_RESAMPLES = 9999
LEVEL = 0.05
_NO_SPREAD = 1e-9  # accuracies are multiples of one image; below this it is rounding


@dataclass(frozen=True)
class Difference:
    """An arm against ReLU over seeds that come in pairs.

    Attributes:
        mean: Of the differences, arm - ReLU.
        ci95: Bootstrap interval of that mean (BCa, 9,999 resamples of the pairs, always the same
            ones). None with one seed, or where all differences are equal.
        n: Pairs.
        win_fraction: Share of pairs in which the arm is above ReLU, ties counted half: how
            probable it is that one training of the arm beats ReLU's from the same seed.
        p_value: Of the two-sided paired t-test of no difference. None where `ci95` is.
    """

    mean: float
    ci95: tuple[float, float] | None
    n: int
    win_fraction: float
    p_value: float | None


def compare(ours: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Compares accuracies whose i-th come from the same seed.

    Raises:
        ValueError: There are none, or not the same number of both.
    """
    if len(ours) != len(baseline) or not ours:
        raise ValueError(
            "`ours` and `baseline` must hold one number a seed each. "
            f"Received: {len(ours)} and {len(baseline)} numbers"
        )
    pairs = np.subtract(ours, baseline)
    wins = (np.sign(np.where(abs(pairs) < _NO_SPREAD, 0, pairs)) + 1) / 2
    mean, n, win_fraction = float(pairs.mean()), len(pairs), float(wins.mean())
    if n == 1 or np.ptp(pairs) < _NO_SPREAD:
        return Difference(mean, None, n, win_fraction, None)
    interval = stats.bootstrap(
        (pairs,), np.mean, n_resamples=N_RESAMPLES, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    test: Any = stats.ttest_1samp(pairs, 0)  # the stubs do not know what it returns
    ci95 = float(interval.low), float(interval.high)
    return Difference(mean, ci95, n, win_fraction, float(test.pvalue))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number by Holm's step-down method.

    The probability that any true "no difference" among them falls below a level is at most that
    level, however they depend on each other. None, a test that could not be made, counts as 1.

    References:
        Holm, 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    known = [1.0 if p is None else p for p in p_values]
    corrected, largest = list(p_values), 0.0
    for rank, i in enumerate(np.argsort(known, kind="stable")):
        largest = max(largest, min(1.0, (len(known) - rank) * known[i]))
        corrected[i] = None if p_values[i] is None else largest
    return corrected


def direction(difference: Difference, p_holm: float | None) -> int:
    """1 or -1 where an arm is better or worse than ReLU beyond doubt, 0 elsewhere.

    Both have to say so: the corrected p-value and the interval.
    """
    if difference.ci95 is None or p_holm is None or not p_holm < LEVEL:
        return 0
    low, high = difference.ci95
    return int(math.copysign(1, low)) if low > 0 or high < 0 else 0
