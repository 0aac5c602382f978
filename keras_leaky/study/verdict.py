"""The verdict: what to do, in a sentence or a few, and which points are as good as the best."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keras_leaky.rectifiers import TABLE, entry_of
from keras_leaky.study.outcome import ArmOutcome, Difference, Metric, Range
from keras_leaky.study.rows import RetrainingRow, TrialRow
from keras_leaky.study.statistics import MIN_SEEDS

# Of the trials in a box of good points; at a point as good as the best, 5 % miss by chance.
_MIN_GOOD_FRACTION = 0.75
_MAX_NAMED = 3  # arms that one sentence lists


@dataclass(frozen=True)
class GoodPoints:
    """The region of an arm's search whose points are as good as the chosen one.

    Attributes:
        threshold: The score that a trial there reaches.
        trial_ids: Trials that reach it.
        alpha, learning_rate: Ends of a box around the chosen point in which at least three of four
            trials reach it. None where the arm does not search it, or where the chosen point is
            alone.
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

    A trial is as good if its score is one that a further training of the chosen point could have
    had: it reaches the lower end of Student's one-sided 95 % prediction interval from the final
    retrainings of the arm. The score of the chosen trial itself is not used: as the best of many
    it flatters. Where the arm has fewer than 5 full retrainings, the standard deviation is pooled
    over all arms.

    Args:
        trials, retrainings: Of all arms.

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
    margin = float(stats.t.ppf(0.95, freedom)) * std * math.sqrt(1 + 1 / len(ours))
    threshold = float(np.mean(ours)) - margin
    # Hyperband trains a point again and again: the longest training counts.
    longest: dict[str, TrialRow] = {}
    for row in sorted(trials, key=lambda row: row.epochs):
        if row.arm == arm.name and is_scored(row):
            point = (row.alpha, row.learning_rate, sorted(row.hyperparameters.items()))
            longest[repr(point)] = row
    rows = list(longest.values())
    good_ids = frozenset(row.trial_id for row in rows if sign * (row.score or 0.0) >= threshold)
    names = [name for name in ("alpha", "learning_rate") if _is_searched(arm.space.get(name))]
    names = [name for name in names if all(getattr(row, name) is not None for row in rows)]
    points = np.array([[getattr(row, name) for name in names] for row in rows], float)
    best = next((i for i, row in enumerate(rows) if row.trial_id == chosen.trial_id), None)
    box: dict[str, tuple[float, float]] = {}
    if names and best is not None:
        is_good = np.array([row.trial_id in good_ids for row in rows])
        ends = _shrink_box(points, is_good, best)
        box = {
            name: (low, high) for name, (low, high) in zip(names, ends, strict=True) if low < high
        }
    return GoodPoints(sign * threshold, good_ids, box.get("alpha"), box.get("learning_rate"))


def recommend(
    arms: Mapping[str, ArmOutcome],
    differences: Mapping[str, Difference],
    trials: Sequence[TrialRow],
    retrainings: Sequence[RetrainingRow],
    metric: Metric,
    has_test: bool,
    is_finished: bool = True,
) -> tuple[str, str | None]:
    """Says what to do.

    Recommended is, of the arms that help and that did not diverge more often than the baseline,
    the one whose final retrainings score best on validation data; else the baseline; else, if the
    baseline has no result, the arm that scores best.

    Args:
        differences: Corrected for the number of arms.
        is_finished: Whether every retraining has ended.

    Returns:
        The verdict, and the name of the arm that it recommends, None if no arm has a result.
    """
    sign = 1 if metric.direction == "max" else -1
    baseline = next(arm for arm in arms.values() if arm.is_baseline)
    rated = [arm for arm in arms.values() if arm.validation is not None and arm.best is not None]
    rated.sort(key=lambda arm: -sign * arm.validation.mean)  # type: ignore[union-attr]
    unfinished = [] if is_finished else ["The study is not finished: run it again to resume it."]
    if not rated:
        failed = " ".join(_failures(arms.values(), retrainings))
        return " ".join(["No arm has a result yet.", *unfinished, failed]).strip(), None
    lost = _count_lost(retrainings)
    helping = [
        arm
        for arm in rated
        if arm.name in differences
        and differences[arm.name].direction > 0
        and lost.get(arm.name, 0) <= lost.get(baseline.name, 0)
    ]
    choice = helping[0] if helping else baseline if baseline in rated else rated[0]
    good = find_good_points(choice, trials, retrainings, metric)
    point = _describe_point(choice, good)
    words = _Words(metric, has_test)
    sentences = [*_first(choice, baseline, arms, differences, point, words, rated, helping)]
    sentences += _others(choice, baseline, arms, differences, words)
    if differences and not has_test:
        sentences.append(
            "There are no test data: this rests on the validation data that also chose the points."
        )
    sentences += unfinished
    sentences += _failures(arms.values(), retrainings)
    sentences += _budgets(arms, trials)
    return " ".join(sentences), choice.name


def is_scored(row: TrialRow) -> bool:
    """Whether a trial has a score that counts."""
    return row.status in ("COMPLETED", "STOPPED") and row.score is not None


def list_names(names: Sequence[str], limit: int = _MAX_NAMED) -> str:
    """Names in a sentence, such as "A, B and 3 more"."""
    if len(names) > limit + 1:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def format_number(value: float, digits: int = 2) -> str:
    """A number with a few significant digits, without an exponent where it stays short."""
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-5 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:.{decimals}f}"
    return text


def format_change(
    mean: float, ci95: tuple[float, float] | None, metric: Metric, n: int | None = None
) -> str:
    """A difference with its interval: "+0.8 points (95 % interval 0.5 to 1.1, n = 5)"."""
    words = _Words(metric, True)
    text = words.signed(mean, ci95) + (" points" if metric.is_fraction else "")
    if ci95 is None:
        return text
    ends = words.interval(ci95)
    return f"{text} (95 % interval {ends}" + ("" if n is None else f", n = {n}") + ")"


def format_interval(ci95: tuple[float, float], metric: Metric) -> str:
    """The interval of a difference; in points for fractions."""
    return _Words(metric, True).interval(ci95)


@dataclass(frozen=True)
class _Words:
    """How a metric is spoken of."""

    metric: Metric
    has_test: bool

    @property
    def name(self) -> str:
        name = self.metric.name.replace("_", " ")
        return f"{'test' if self.has_test else 'validation'} {name}"

    @property
    def scale(self) -> float:
        return 100.0 if self.metric.is_fraction else 1.0

    def decimals(self, values: Sequence[float]) -> int:
        """So many that half the width of an interval, or a number, keeps one or two digits."""
        size = (max(values) - min(values)) / 2 if len(values) > 1 else abs(values[0])
        size *= self.scale
        if not 0 < size < math.inf:
            return 2
        least = 1 if self.metric.is_fraction else 0
        return min(max(least, math.ceil(-math.log10(size / 2))), 12)

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
        """What no interval allows, such as "gains above 0.08 points are ruled out"."""
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


def _first(
    choice: ArmOutcome,
    baseline: ArmOutcome,
    arms: Mapping[str, ArmOutcome],
    differences: Mapping[str, Difference],
    point: str,
    words: _Words,
    rated: Sequence[ArmOutcome],
    helping: Sequence[ArmOutcome],
) -> Iterable[str]:
    """The recommendation itself."""
    if helping:
        yield f"Use {choice.title}{point}: {words.change(differences[choice.name])}."
        others = [arm.title for arm in helping[1:]]
        if others:
            verb = "helps" if len(others) == 1 else "help"
            yield f"{list_names(others)} {verb} too."
        return
    if choice is not baseline:
        yield f"{baseline.title} has no result to compare with. {choice.title} scores best{point}."
        return
    if not differences:
        yield f"{choice.title} works best{point}."
        if len(arms) == 1:
            yield "It was searched alone, so there is nothing to compare it with."
        elif len(rated) == 1:
            yield "No other arm has a result to compare it with."
        return
    n = max(difference.n for difference in differences.values())
    if n < MIN_SEEDS:
        seeds = "One seed is" if n == 1 else f"{n} seeds are"
        yield f"Keep {choice.title} for now{point}."
        yield f"{seeds} too few for an interval: rerun with seeds={MIN_SEEDS} or more."
    else:
        yield f"Keep {choice.title}{point}."


def _others(
    choice: ArmOutcome,
    baseline: ArmOutcome,
    arms: Mapping[str, ArmOutcome],
    differences: Mapping[str, Difference],
    words: _Words,
) -> Iterable[str]:
    """What became of the arms that are not recommended."""
    hurting = {name: d for name, d in differences.items() if d.direction < 0}
    open_ = {name: d for name, d in differences.items() if d.direction == 0 and d.ci95 is not None}
    diverging = [name for name, d in differences.items() if d.direction > 0 and choice is baseline]
    for name in diverging:
        yield (
            f"{arms[name].title} is better where it trains, but more of its retrainings diverged: "
            f"{words.change(differences[name])}."
        )
    if len(hurting) == 1:
        ((name, difference),) = hurting.items()
        yield f"{_describe_arm(arms[name])} hurts: {words.change(difference)}."
    elif hurting:
        worst = sorted(hurting, key=lambda name: -abs(hurting[name].mean))
        yield f"{list_names([_describe_arm(arms[name]) for name in worst])} hurt."
    if open_:
        names = [_describe_arm(arms[name]) for name in open_]
        if len(names) == 1:
            who = f"{names[0]} changes nothing that {next(iter(open_.values())).n} seeds can show"
        elif len(open_) == len(differences):
            who = f"None of the other {len(names)} arms shows a difference"
        elif len(names) <= _MAX_NAMED:
            who = f"{list_names(names)} show no difference"
        else:
            who = f"The other {len(names)} arms show no difference"
        yield f"{who}: {words.ruled_out(open_.values())}."
    flat = [name for name, d in differences.items() if d.ci95 is None and d.n >= MIN_SEEDS]
    if flat:
        yield (
            f"{list_names([arms[name].title for name in flat])}: all seeds give the same "
            "difference, so there is no spread to judge it by."
        )
    few = [name for name, d in differences.items() if d.n < MIN_SEEDS]
    if few and max(d.n for d in differences.values()) >= MIN_SEEDS:
        yield (
            f"{list_names([arms[name].title for name in few])}: fewer than {MIN_SEEDS} seeds have "
            "a result in both arms, too few for an interval."
        )


def _describe_arm(arm: ArmOutcome) -> str:
    """An arm and the searched alphas, such as "Leaky ReLU (negative slope 0.01 to 0.3)"."""
    space = arm.space.get("alpha")
    if space is None or not _is_searched(space):
        return arm.title
    ends = f"{format_number(space.low or 0.0)} to {format_number(space.high or 0.0)}"
    return f"{arm.title} ({alpha_title(arm)} {ends})"


def alpha_title(arm: ArmOutcome) -> str:
    """What alpha is in an arm, for people."""
    known = arm.rectifier is not None and arm.rectifier in TABLE
    return (entry_of(arm.rectifier).alpha_title if known else "") or "alpha"


def _describe_point(choice: ArmOutcome, good: GoodPoints | None) -> str:
    """The point to use: " with a negative slope of 0.1 to 0.3 and a learning rate near 0.004"."""
    if choice.best is None:
        return ""
    parts = []
    for name, title in (("alpha", alpha_title(choice)), ("learning_rate", "learning rate")):
        value = choice.best.hyperparameters.get(name)
        if not _is_searched(choice.space.get(name)) or not isinstance(value, int | float):
            continue
        ends = getattr(good, name) if good else None
        article = "an" if title[0] in "aeiou" else "a"
        if ends is None or (low := format_number(ends[0])) == (high := format_number(ends[1])):
            parts.append(f"{article} {title} near {format_number(value)}")
        else:
            parts.append(f"{article} {title} of {low} to {high}")
    return f" with {' and '.join(parts)}" if parts else ""


def _is_searched(space: Range | None) -> bool:
    return (
        space is not None
        and space.low is not None
        and space.high is not None
        and space.low < space.high
    )


def _final_scores(retrainings: Iterable[RetrainingRow], sign: int) -> dict[str, list[float]]:
    """Validation scores of the full final retrainings, larger is better, by arm.

    One that ended early says nothing of the noise of a training.
    """
    scores: dict[str, list[float]] = {}
    for row in retrainings:
        if row.stage == "final" and not row.reason and _is_finite(row.val_score):
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


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _count_lost(retrainings: Iterable[RetrainingRow]) -> dict[str, int]:
    """Final retrainings without a score, by arm."""
    lost: dict[str, int] = {}
    for row in retrainings:
        if row.stage == "final" and not _is_finite(row.val_score):
            lost[row.arm] = lost.get(row.arm, 0) + 1
    return lost


def _failures(arms: Iterable[ArmOutcome], retrainings: Sequence[RetrainingRow]) -> Iterable[str]:
    """Arms without a result, and retrainings that ended early."""
    arms = list(arms)
    failed = [arm.title for arm in arms if arm.failure]
    if failed:
        yield f"{list_names(failed)} {'has' if len(failed) == 1 else 'have'} no result."
    lost = _count_lost(retrainings)
    for arm in arms:
        if lost.get(arm.name):
            n = sum(row.stage == "final" and row.arm == arm.name for row in retrainings)
            yield (
                f"{lost[arm.name]} of {n} retrainings of {arm.title} diverged without a score and "
                "are left out."
            )


def _budgets(arms: Mapping[str, ArmOutcome], trials: Sequence[TrialRow]) -> Iterable[str]:
    """Says it where one arm had more trials than another."""
    counts = {name: sum(row.arm == name for row in trials) for name in arms}
    least, most = min(counts, key=lambda a: counts[a]), max(counts, key=lambda a: counts[a])
    if counts[least] < counts[most]:
        yield (
            f"Budgets differ: {arms[least].title} had {counts[least]} trials, {arms[most].title} "
            f"{counts[most]}."
        )
