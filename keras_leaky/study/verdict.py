"""The verdict: the recommendation, in one or a few sentences."""

from collections.abc import Iterable, Mapping, Sequence

from keras_leaky.study.good_points import GoodPoints, find_good_points, is_searched
from keras_leaky.study.outcome import ArmOutcome, Difference, Metric
from keras_leaky.study.rows import RetrainingRow, TrialRow
from keras_leaky.study.statistics import MIN_SEEDS, is_finite
from keras_leaky.study.wording import MAX_NAMED, Words, alpha_title, format_number, list_names

_LEAST_ABOVE_CHANCE = 0.02  # of an accuracy


def recommend(
    arms: Mapping[str, ArmOutcome],
    differences: Mapping[str, Difference],
    trials: Sequence[TrialRow],
    retrainings: Sequence[RetrainingRow],
    metric: Metric,
    has_test: bool,
    is_finished: bool = True,
    chance: float | None = None,
) -> tuple[str, str | None]:
    """Writes the verdict.

    It recommends the arm whose final retrainings score best on validation data, among the arms that
    help and did not diverge more often than the baseline. If there is none, it recommends the
    baseline. If the baseline has no result, it recommends the arm that scores best.

    Args:
        differences: Corrected for the number of arms.
        is_finished: Whether every retraining has ended.
        chance: Score of a model that always names the most common class, if known.

    Returns:
        The verdict, and the name of the arm that it recommends, None if no arm has a result.
    """
    sign = 1 if metric.direction == "max" else -1
    baseline = next(arm for arm in arms.values() if arm.is_baseline)
    rated = [arm for arm in arms.values() if arm.validation is not None and arm.best is not None]
    rated.sort(key=lambda arm: -sign * arm.validation.mean)  # type: ignore[union-attr]
    unfinished = [] if is_finished else ["The study is not finished: run it again to resume it."]
    if not rated:
        is_over = all(arm.failure for arm in arms.values())
        first = "No arm has a result." if is_over else "No arm has a result yet."
        return " ".join([first, *unfinished, *_failures(arms.values(), retrainings)]), None
    lost = _count_lost(retrainings)
    helping = [
        arm
        for arm in rated
        if arm.name in differences
        and differences[arm.name].direction > 0
        and lost.get(arm.name, 0) <= lost.get(baseline.name, 0)
    ]
    top = rated[0].validation.mean  # type: ignore[union-attr]
    choice = helping[0] if helping else baseline if baseline in rated else rated[0]
    if chance is not None and top < chance + _LEAST_ABOVE_CHANCE:
        first = (
            f"No arm has learned anything: the best has {100 * top:.1f} % on validation data, and "
            f"always naming the most common class has {100 * chance:.1f} %. Train for more epochs, "
            "try other learning rates, or look at the data."
        )
        return " ".join([first, *unfinished, *_failures(arms.values(), retrainings)]), choice.name
    good = find_good_points(choice, trials, retrainings, metric)
    point = _describe_point(choice, good)
    words = Words(metric, has_test)
    n_seeds = len({row.seed for row in retrainings if row.stage == "final"})
    if helping:
        sentences = [f"Use {choice.title}{point}: {words.change(differences[choice.name])}."]
        if len(helping) > 1:
            verb = "helps" if len(helping) == 2 else "help"
            sentences.append(f"{list_names([arm.title for arm in helping[1:]])} {verb} too.")
    elif choice is not baseline:
        sentences = [
            f"{baseline.title} has no result to compare with. {choice.title} scores best{point}."
        ]
    else:
        sentences = [*_keep(choice, point, arms, differences, n_seeds, is_finished)]
    sentences += _others(arms, differences, words, lost, [arm.name for arm in helping])
    if differences and not has_test:
        sentences.append(
            "There are no test data: this rests on the validation data that also chose the points."
        )
    sentences += unfinished
    sentences += _failures(arms.values(), retrainings)
    sentences += _budgets(arms, trials)
    return " ".join(sentences), choice.name


def _keep(
    baseline: ArmOutcome,
    point: str,
    arms: Mapping[str, ArmOutcome],
    differences: Mapping[str, Difference],
    n_seeds: int,
    is_finished: bool,
) -> Iterable[str]:
    """The recommendation where no arm helps."""
    if not differences:
        yield f"{baseline.title} works best{point}."
        if len(arms) == 1:
            yield "It was searched alone, so there is nothing to compare it with."
        else:
            yield "No other arm has a result to compare it with."
        return
    n = max(difference.n for difference in differences.values())
    if n >= MIN_SEEDS:
        yield f"Keep {baseline.title}{point}."
        return
    yield f"Keep {baseline.title} for now{point}."
    if n_seeds >= MIN_SEEDS and is_finished:
        yield (
            f"Only {n} of {n_seeds} seeds have a result in both arms, too few for an interval: "
            "rerun with more seeds."
        )
    elif is_finished:
        seeds = "One seed is" if n == 1 else f"{n} seeds are"
        yield f"{seeds} too few for an interval: rerun with seeds={MIN_SEEDS} or more."


def _others(
    arms: Mapping[str, ArmOutcome],
    differences: Mapping[str, Difference],
    words: Words,
    lost: Mapping[str, int],
    helping: Sequence[str],
) -> Iterable[str]:
    """Sentences on the arms that are not recommended."""
    hurting = {name: d for name, d in differences.items() if d.direction < 0}
    open_ = {name: d for name, d in differences.items() if d.direction == 0 and d.ci95 is not None}
    diverging = [n for n, d in differences.items() if d.direction > 0 and n not in helping]
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
        elif len(names) <= MAX_NAMED:
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
    few = [name for name, d in differences.items() if d.n < MIN_SEEDS and not lost.get(name)]
    if few and max(d.n for d in differences.values()) >= MIN_SEEDS:
        yield (
            f"{list_names([arms[name].title for name in few])}: fewer than {MIN_SEEDS} seeds have "
            "a result in both arms, too few for an interval."
        )


def _describe_arm(arm: ArmOutcome) -> str:
    """An arm and the searched alphas, such as "Leaky ReLU (negative slope 0.01 to 0.3)"."""
    space = arm.space.get("alpha")
    if space is None or not is_searched(space):
        return arm.title
    ends = f"{format_number(space.low or 0.0)} to {format_number(space.high or 0.0)}"
    return f"{arm.title} ({alpha_title(arm)} {ends})"


def _describe_point(choice: ArmOutcome, good: GoodPoints | None) -> str:
    """The point to use: " with a negative slope of 0.1 to 0.3 and a learning rate near 0.004"."""
    if choice.best is None:
        return ""
    parts = []
    for name, title in (("alpha", alpha_title(choice)), ("learning_rate", "learning rate")):
        value = choice.best.hyperparameters.get(name)
        if not is_searched(choice.space.get(name)) or not isinstance(value, int | float):
            continue
        ends = getattr(good, name) if good else None
        article = "an" if title[0] in "aeiou" else "a"
        if ends is None or (low := format_number(ends[0])) == (high := format_number(ends[1])):
            parts.append(f"{article} {title} near {format_number(value)}")
        else:
            parts.append(f"{article} {title} of {low} to {high}")
    return f" with {' and '.join(parts)}" if parts else ""


def _count_lost(retrainings: Iterable[RetrainingRow]) -> dict[str, int]:
    """Final retrainings without a score, by arm."""
    lost: dict[str, int] = {}
    for row in retrainings:
        if row.stage == "final" and not is_finite(row.val_score):
            lost[row.arm] = lost.get(row.arm, 0) + 1
    return lost


def _failures(arms: Iterable[ArmOutcome], retrainings: Sequence[RetrainingRow]) -> Iterable[str]:
    """Arms without a result, and retrainings that ended early."""
    arms = list(arms)
    failed: dict[str, list[str]] = {}
    for arm in arms:
        if arm.failure:
            failed.setdefault(arm.failure.rstrip("."), []).append(arm.title)
    for reason, titles in failed.items():
        yield f"{list_names(titles)} {'has' if len(titles) == 1 else 'have'} no result: {reason}."
    lost = _count_lost(retrainings)
    for arm in arms:
        if lost.get(arm.name):
            n = sum(row.stage == "final" and row.arm == arm.name for row in retrainings)
            few = "" if n - lost[arm.name] >= MIN_SEEDS else ", too many for an interval"
            yield (
                f"{lost[arm.name]} of {n} retrainings of {arm.title} diverged without a score and "
                f"are left out{few}."
            )


def _budgets(arms: Mapping[str, ArmOutcome], trials: Sequence[TrialRow]) -> Iterable[str]:
    """Says so if one arm had more trials than another."""
    counts = {name: sum(row.arm == name for row in trials) for name in arms}
    least, most = min(counts, key=lambda a: counts[a]), max(counts, key=lambda a: counts[a])
    if counts[least] < counts[most]:
        yield (
            f"Budgets differ: {counts[least]:,} trials for {arms[least].title}, "
            f"{counts[most]:,} for {arms[most].title}."
        )
