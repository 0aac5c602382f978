"""Which points of a search are as good as the best, as far as one training can tell."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_leaky.study.outcome import ArmOutcome, Metric, Range
from keras_leaky.study.rows import RetrainingRow, TrialRow
from keras_leaky.study.statistics import MIN_SEEDS, ROUNDING, is_finite

# The chance of a trial at a point as good as the chosen one to be taken for good, and the fraction
# of good trials in a box; lower, as the mean of 5 retrainings has noise too. In simulations with 20
# trials the worse end of the range is 0.8 to 1.0 standard deviations of a training below the chosen
# point (median; 2.1 in one of ten), with 200 trials 2.1 (2.8). With a chance of 0.95 and a fraction
# of 0.75 it was 1.8 (3.5) and 3.4 (4.8): the trials at the ends are those that had luck.
_CHANCE = 0.8
_MIN_GOOD_FRACTION = 0.6


@dataclass(frozen=True)
class GoodPoints:
    """The region of an arm's search whose points are as good as the chosen one.

    Attributes:
        threshold: The score that a trial there reaches.
        trial_ids: Trials that reach it.
        alpha, learning_rate: Ends of a box around the chosen point in which at least three of five
            trials reach the threshold. None if the arm does not search this hyperparameter, or if
            the box holds only the chosen point.
    """

    threshold: float
    trial_ids: frozenset[str]
    alpha: tuple[float, float] | None
    learning_rate: tuple[float, float] | None


def find_good_points(
    arm: ArmOutcome,
    trials: Iterable[TrialRow],
    retrainings: Sequence[RetrainingRow],
    metric: Metric,
) -> GoodPoints | None:
    """Which points of an arm are as good as the chosen one, as far as one training can tell.

    A trial is as good if its score reaches what four of five further trainings of the chosen point
    would reach: the lower end of Student's one-sided 80 % prediction interval from the final
    retrainings of the arm. The score of the chosen trial itself is not used: as the best of many
    it flatters. Where the arm has fewer than 5 full retrainings, the standard deviation is pooled
    over all arms.

    Args:
        trials, retrainings: Rows of all arms.

    Returns:
        The points, or None if there are too few retrainings to know the noise of one.
    """
    sign = 1 if metric.direction == "max" else -1
    scores = _final_scores(retrainings, sign)
    ours = scores.get(arm.name, [])
    noise = _noise(ours, scores.values())
    chosen = arm.best
    if chosen is None or not ours or noise is None:
        return None
    from scipy import stats

    std, freedom = noise
    margin = float(stats.t.ppf(_CHANCE, freedom)) * std * math.sqrt(1 + 1 / len(ours))
    mean = float(np.mean(ours))
    threshold = mean - margin - ROUNDING * abs(mean)
    # Hyperband trains a point several times: the longest training counts.
    longest: dict[str, TrialRow] = {}
    chosen_point = None
    for row in sorted(trials, key=lambda row: row.epochs):
        # The score of a short training does not tell how good the point is in full.
        if row.arm == arm.name and is_scored(row) and row.status != "STOPPED":
            point = repr((row.alpha, row.learning_rate, sorted(row.hyperparameters.items())))
            longest[point] = row
            if row.trial_id == chosen.trial_id:
                chosen_point = point
    rows = list(longest.values())
    good_ids = frozenset(row.trial_id for row in rows if sign * (row.score or 0.0) >= threshold)
    names = [name for name in ("alpha", "learning_rate") if is_searched(arm.space.get(name))]
    names = [name for name in names if all(getattr(row, name) is not None for row in rows)]
    points = np.array([[getattr(row, name) for name in names] for row in rows], float)
    box: dict[str, tuple[float, float]] = {}
    if names and chosen_point is not None:
        best = list(longest).index(chosen_point)
        is_good = np.array([row.trial_id in good_ids for row in rows])
        ends = _shrink_box(points, is_good, best)
        box = {
            name: (low, high) for name, (low, high) in zip(names, ends, strict=True) if low < high
        }
    return GoodPoints(sign * threshold, good_ids, box.get("alpha"), box.get("learning_rate"))


def is_scored(row: TrialRow) -> bool:
    """Whether a trial has a score that counts."""
    return row.status in ("COMPLETED", "STOPPED") and is_finite(row.score)


def is_searched(space: Range | None) -> bool:
    return (
        space is not None
        and space.low is not None
        and space.high is not None
        and space.low < space.high
    )


def _final_scores(retrainings: Iterable[RetrainingRow], sign: int) -> dict[str, list[float]]:
    """Validation scores of the full final retrainings, larger is better, by arm.

    A retraining that ended early says nothing about the noise of a full training.
    """
    scores: dict[str, list[float]] = {}
    for row in retrainings:
        if row.stage == "final" and not row.reason and is_finite(row.val_score):
            scores.setdefault(row.arm, []).append(sign * (row.val_score or 0.0))
    return scores


def _noise(ours: Sequence[float], all_: Iterable[Sequence[float]]) -> tuple[float, int] | None:
    """Standard deviation of a training from another seed, and its degrees of freedom."""
    if len(ours) >= MIN_SEEDS:
        return float(np.std(ours, ddof=1)), len(ours) - 1
    groups = [group for group in all_ if len(group) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom < MIN_SEEDS - 1:
        return None
    squares = sum(float(np.var(group)) * len(group) for group in groups)
    return math.sqrt(squares / freedom), freedom


def _shrink_box(points: np.ndarray, is_good: np.ndarray, chosen: int) -> list[tuple[float, float]]:
    """The ends of a box around the chosen point in which most points are good.

    It starts around all good points. While too few in it are good, the side whose loss leaves the
    largest fraction of good points moves to the next good point.

    References:
        Friedman and Fisher, 1999, "Bump hunting in high-dimensional data".
    """
    inside = is_good.copy()
    inside[chosen] = True
    while True:
        low, high = points[inside].min(axis=0), points[inside].max(axis=0)
        within = ((points >= low) & (points <= high)).all(axis=1)
        counted = is_good[within]
        if counted.sum() >= _MIN_GOOD_FRACTION * len(counted) or inside.sum() <= 1:
            return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
        candidates = []
        for axis in range(points.shape[1]):
            for end in (low[axis], high[axis]):
                rest = inside & (points[:, axis] != end)
                if rest[chosen]:
                    candidates.append((_good_fraction(points, rest, is_good), rest.sum(), rest))
        if not candidates:
            return [(float(a), float(a)) for a in points[chosen]]
        inside = max(candidates, key=lambda candidate: candidate[:2])[2]


def _good_fraction(points: np.ndarray, inside: np.ndarray, is_good: np.ndarray) -> float:
    low, high = points[inside].min(axis=0), points[inside].max(axis=0)
    within = ((points >= low) & (points <= high)).all(axis=1)
    return float(is_good[within].mean())
