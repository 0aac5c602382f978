"""Means, intervals and comparisons of results from several seeds.

SciPy and statsmodels do the statistics. The bootstrap over seeds and examples is our own, because
neither of them resamples two axes at once.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_leaky.study.outcome import Difference, Metric, Summary
from keras_leaky.study.rows import RetrainingRow

__all__ = ["MIN_SEEDS", "compare", "correct", "summarize"]

LEVEL = 0.05
MIN_SEEDS = 5  # fewer give no interval: Student's is then so wide that it only confuses
N_RESAMPLES = 9_999

# Metrics are float32: two equal differences of them differ by the rounding of the values.
ROUNDING = 5e-7
_MAX_DRAWS = 20_000_000  # of one bootstrap, less than a second
_DRAWS_AT_ONCE = 4_000_000  # kept in memory


def summarize(values: Sequence[float], is_fraction: bool) -> Summary:
    """Summarizes one value per seed.

    Args:
        values: At least one.
        is_fraction: Whether the ends of the interval are kept in [0, 1].

    Raises:
        ValueError: `values` is empty.
    """
    if len(values) == 0:
        raise ValueError("`values` must hold at least one number. Received: values=[]")
    array = np.asarray(values, float)
    n, mean = len(array), float(array.mean())
    if n == 1:
        return Summary(mean, None, 1, None)
    std = float(array.std(ddof=1))
    if n < MIN_SEEDS or not _has_spread(array, np.abs(array).max()):
        return Summary(mean, std, n, None)
    low, high = _student_interval(array)
    if is_fraction:
        low, high = max(low, 0.0), min(high, 1.0)
    return Summary(mean, std, n, (low, high))


def compare_arms(
    retrainings: Iterable[RetrainingRow],
    arms: Sequence[str],
    baseline: str,
    metric: Metric,
    has_test: bool,
) -> dict[str, Difference]:
    """Compares all arms of a study with its baseline, by the seeds of their final retrainings.

    Args:
        arms: Names, with or without that of the baseline.
        has_test: Whether test scores are compared; else validation scores are.

    Returns:
        The differences, corrected for the number of arms. An arm is left out if it shares no scored
        seed with the baseline.
    """
    rows: dict[str, dict[int, RetrainingRow]] = {}
    for row in retrainings:
        if row.stage == "final":
            rows.setdefault(row.arm, {})[row.seed] = row
    found = {}
    for arm in arms:
        ours, theirs = rows.get(arm, {}), rows.get(baseline, {})
        seeds = [seed for seed in ours if seed in theirs]
        name = "test_score" if has_test else "val_score"
        scores = [[getattr(row[seed], name) for seed in seeds] for row in (ours, theirs)]
        pairs = zip(*scores, strict=True)
        if arm == baseline or not any(is_finite(a) and is_finite(b) for a, b in pairs):
            continue
        examples = [[row[seed].test_examples for seed in seeds] for row in (ours, theirs)]
        found[arm] = compare(*scores, *(examples if has_test else ()), direction=metric.direction)
    return correct(found, metric)


def compare(
    ours: Sequence[float | None],
    baseline: Sequence[float | None],
    ours_examples: Any = None,
    baseline_examples: Any = None,
    direction: str = "max",
) -> Difference:
    """Compares an arm with the baseline; the i-th values of both come from the same seed.

    A pair is left out if a value is missing or not finite, because that training diverged. `n`
    counts the remaining pairs.

    Args:
        ours, baseline: One value per seed.
        ours_examples, baseline_examples: The metric of every test example, one row per seed. None,
            or None as the row of a seed, if the metric has no value per example.
        direction: "max" or "min", the better side of the metric.

    Returns:
        The difference before it is corrected for the number of arms: `p_holm` is None, `direction`
        is 0. `correct` fills them.

    Raises:
        ValueError: The numbers of seeds or examples differ, or no pair remains.
    """
    if len(ours) != len(baseline):
        raise ValueError(
            "`ours` and `baseline` must hold one number for each seed. "
            f"Received: {len(ours)} and {len(baseline)} numbers"
        )
    kept = [
        i for i, pair in enumerate(zip(ours, baseline, strict=True)) if all(map(is_finite, pair))
    ]
    if not kept:
        raise ValueError(
            "`ours` and `baseline` must have at least one seed with a value in both. "
            f"Received: ours={list(ours)}, baseline={list(baseline)}"
        )
    a = np.array([ours[i] for i in kept], float)
    b = np.array([baseline[i] for i in kept], float)
    pairs, scale = a - b, max(np.abs(a).max(), np.abs(b).max())
    better = pairs if direction == "max" else -pairs
    wins = np.where(np.abs(pairs) <= ROUNDING * scale, 0.5, better > 0)
    n, mean, win_fraction = len(pairs), float(pairs.mean()), float(wins.mean())
    if n < MIN_SEEDS or not _has_spread(pairs, scale):
        return Difference(mean, None, None, n, win_fraction, None, None, 0)

    from scipy import stats

    test: Any = stats.ttest_rel(a, b)
    examples = _example_differences(ours_examples, baseline_examples, kept, len(ours))
    ci95_examples = None if examples is None else _bootstrap_interval(examples)
    p_value = float(test.pvalue)
    return Difference(
        mean, _student_interval(pairs), ci95_examples, n, win_fraction, p_value, None, 0
    )


def correct(differences: Mapping[str, Difference], metric: Metric) -> dict[str, Difference]:
    """Fills `p_holm` and `direction` of the differences of all arms.

    Holm's correction: the probability that any arm without an effect gets a `p_holm` below a level
    is at most that level. An arm that could not be tested counts with p = 1.

    An arm helps or hurts if `p_holm` is below 0.05, and both intervals lie on one side of 0.
    """
    if not differences:
        return {}
    from statsmodels.stats.multitest import multipletests

    known = [1.0 if d.p_value is None else d.p_value for d in differences.values()]
    corrected: Any = multipletests(known, LEVEL, method="holm")[1]
    sign = 1 if metric.direction == "max" else -1
    found = {}
    for (arm, difference), p in zip(differences.items(), corrected, strict=True):
        p_holm = None if difference.p_value is None else float(p)
        direction = sign * _side(difference) if p_holm is not None and p_holm < LEVEL else 0
        found[arm] = dataclasses.replace(difference, p_holm=p_holm, direction=direction)
    return found


def is_finite(value: float | None) -> bool:
    """Whether a value is a number that can be averaged."""
    return value is not None and math.isfinite(value)


def _has_spread(values: np.ndarray, scale: float) -> bool:
    """Whether values differ by more than the rounding of numbers of size `scale`."""
    return float(np.ptp(values)) > ROUNDING * scale


def _student_interval(values: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    interval: Any = stats.ttest_1samp(values, 0.0).confidence_interval(1 - LEVEL)  # type: ignore
    return float(interval.low), float(interval.high)


def _side(difference: Difference) -> int:
    """1 or -1 if all intervals lie above or below 0, else 0."""
    intervals = [ci for ci in (difference.ci95, difference.ci95_examples) if ci is not None]
    if difference.ci95 is None:
        return 0
    return int(all(low > 0 for low, _ in intervals)) - int(all(high < 0 for _, high in intervals))


def _example_differences(
    ours: Any, baseline: Any, kept: Sequence[int], n_seeds: int
) -> np.ndarray | None:
    """Differences of shape (seeds, examples), or None if an example has no value."""
    if ours is None or baseline is None:
        return None
    if len(ours) != n_seeds or len(baseline) != n_seeds:
        raise ValueError(
            f"`ours_examples` and `baseline_examples` must have one row for each of {n_seeds} "
            f"seeds. Received: {len(ours)} and {len(baseline)} rows"
        )
    rows = [(ours[i], baseline[i]) for i in kept]
    if any(row is None for pair in rows for row in pair):
        return None
    lengths = {len(row) for pair in rows for row in pair}
    if len(lengths) > 1:
        raise ValueError(
            "`ours_examples` and `baseline_examples` must have the same examples in all rows. "
            f"Received: rows of {sorted(lengths)} examples"
        )
    if lengths == {0}:
        return None
    differences = np.array([np.subtract(a, b, dtype=np.float64) for a, b in rows])
    return differences if np.isfinite(differences).all() else None


def _bootstrap_interval(differences: np.ndarray) -> tuple[float, float]:
    """Percentile interval of the mean over resampled seeds and resampled examples.

    All seeds are tested on the same examples, so that both are drawn at random: rows and columns
    are resampled independently. For the examples, such an interval tends to be too wide rather than
    too narrow.

    References:
        Owen, 2007, "The pigeonhole bootstrap".
    """
    n_seeds, n_examples = differences.shape
    n_resamples = int(np.clip(_MAX_DRAWS // n_examples, 499, N_RESAMPLES))
    n_at_once = max(1, _DRAWS_AT_ONCE // n_examples)
    rng = np.random.default_rng(0)
    means = []
    for start in range(0, n_resamples, n_at_once):
        n_rows = min(n_at_once, n_resamples - start)
        columns = _draw_counts(rng, n_rows, n_examples) @ differences.T / n_examples
        means.append((_draw_counts(rng, n_rows, n_seeds) * columns).sum(axis=1) / n_seeds)
    low, high = np.quantile(np.concatenate(means), [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def _draw_counts(rng: np.random.Generator, n_rows: int, n: int) -> np.ndarray:
    """How often each of `n` is drawn in `n` draws with replacement, `n_rows` times."""
    drawn = rng.integers(0, n, (n_rows, n)) + n * np.arange(n_rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=n_rows * n).reshape(n_rows, n).astype(float)
