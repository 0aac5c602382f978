"""The results of each part in words: first one sentence that answers, then details."""

from recipes.dying_relu.born_dead import N_STANDARD_ERRORS, BornDead
from recipes.dying_relu.collapse import Collapse, CollapseRow
from recipes.dying_relu.dead_units import (
    BASELINE,
    LAYERS,
    CellRow,
    ComparisonRow,
    RevivalRow,
    TrainingDeath,
)
from recipes.dying_relu.intervals import (
    MIN_SEEDS,
    Share,
    interval,
    percent,
    points,
    ratio_of_shares,
)


def answer_born_dead(part: BornDead) -> list[str]:
    """How likely a deep and narrow net is to be born dead, and whether the theory holds."""
    shown = next(row for row in part.checked if (row.depth, row.width) == (10, 3))
    n_inside = sum(row.inside for row in part.checked)
    depth, width = part.remedies[0].depth, part.remedies[0].width
    here = {row.remedy: row for row in part.remedies if (row.depth, row.width) == (depth, width)}
    he, rai, leaky = here["ReLU, He"], here["ReLU, RAI"], here["Leaky ReLU 0.01"]
    others = [row for row in here.values() if row not in (he, rai)]
    n_constant, n_others = sum(r.n_constant for r in others), sum(r.n_nets for r in others)
    highest = Share(leaky.n_constant, leaky.n_nets).ci95[1]
    return [
        f"{Share(shown.n_dead, shown.n_nets)} of the ReLU nets with {shown.depth} layers of width "
        f"{shown.width} are dead before training. Theory allows "
        f"{interval(shown.lower_bound, shown.upper_bound)}.",
        f"Theory was checked at {len(part.checked)} shapes, with up to "
        f"{max(row.n_nets for row in part.checked):,} nets each. {n_inside} of them lie inside "
        f"its bounds by more than {N_STANDARD_ERRORS:g} standard errors.",
        f"RAI lowers the share of dead ReLU nets with {depth} layers of width {width} from "
        f"{percent(he.constant_fraction)} to {percent(rai.constant_fraction)} "
        f"(n = {he.n_nets:,} each).",
        f"{n_constant} of {n_others:,} Leaky ReLU and ELU nets of that shape are dead. For a leak "
        f"of 0.01 the share is at most {percent(highest)}, with 95 % confidence. But little of the "
        f"signal is left: {percent(leaky.inactive_layer_fraction)} of the nets with a leak of 0.01 "
        "have a hidden layer in which no unit is positive for any input.",
    ]


def answer_collapse(part: Collapse) -> list[str]:
    """How many nets collapse with He's initialization, and what the others change."""
    arms = {row.arm: row for row in part.arms}
    he, rai = arms["ReLU, He"], arms["ReLU, RAI"]
    ratio, low, high = rai_ratio(part)
    others = [
        f"{Share(row.n_collapsed, row.n_nets)} with {row.arm}"
        for row in part.arms
        if row not in (he, rai)
    ]
    return [
        f"After learning |x|, {Share(he.n_collapsed, he.n_nets)} of the ReLU nets with He's "
        f"initialization are constant functions. With RAI it is "
        f"{Share(rai.n_collapsed, rai.n_nets)}.",
        f"RAI lowers collapse by {percent(1 - ratio)} (95 % interval "
        f"{interval(1 - high, 1 - low)})."
        if high < 1
        else "That RAI lowers collapse is not shown: the 95 % interval of the ratio of the two "
        f"shares, {low:.2f} to {high:.2f}, contains 1.",
        f"Of the other nets this share collapses: {', '.join(others)}.",
        f"Lu et al. 2019 report {_published(he)} with He and {_published(rai)} with RAI.",
    ]


def _published(row: CollapseRow) -> str:
    value = row.published_fraction or 0.0
    inside = row.collapsed_ci95_low <= value <= row.collapsed_ci95_high
    return f"{percent(value)} ({'inside' if inside else 'outside'} our interval)"


def rai_ratio(part: Collapse) -> tuple[float, float, float]:
    """Collapsed fraction of RAI over that of He, with its 95 % interval."""
    arms = {row.arm: Share(row.n_collapsed, row.n_nets) for row in part.arms}
    return ratio_of_shares(arms["ReLU, RAI"], arms["ReLU, He"])


def answer_training_death(part: TrainingDeath) -> list[str]:
    """Where units die, what each remedy does, and whether dead units come back."""
    n_seeds = min(cell.n_seeds for cell in part.cells)
    if n_seeds < MIN_SEEDS:
        return [
            f"Too few nets for an answer: n = {n_seeds} at each setting, and an answer needs "
            f"{MIN_SEEDS}. The tables and pictures show what these nets did. Run without --quick."
        ]
    revival = _revival(part)
    if not part.comparison:
        return ["ReLU nets that learn lose no units at any of these settings.", revival]
    baselines = [row for row in part.comparison if row.setting == BASELINE]
    # The momentum under which most units die tells most.
    worst = max(baselines, key=lambda row: row.inactive_fraction or 0.0)
    remedies = [
        row
        for row in part.comparison
        if row.momentum == worst.momentum
        and row is not worst
        and not row.setting.startswith("both")
    ]
    return [
        f"{percent(worst.inactive_fraction)} of the hidden units of ReLU nets are dead after "
        f"training at learning rate {worst.learning_rate:g} with momentum {worst.momentum:g}. "
        f"Their accuracy is {percent(worst.val_accuracy)} (n = {worst.n_seeds} nets).",
        *map(_remedy, remedies),
        *_too_small(part.cells),
        revival,
    ]


def _remedy(row: ComparisonRow) -> str:
    name = f"A learning rate of {row.learning_rate:g}" if row.alpha == 0 else f"A {row.setting}"
    if row.inactive_fraction is None:
        return f"{name} instead: all {row.n_seeds} nets diverge."
    n_alive, state = row.n_seeds - row.n_diverged, "dead" if row.alpha == 0 else "inactive"
    diverged = f" {row.n_diverged} of {row.n_seeds} nets diverge." if row.n_diverged else ""
    seen = (
        f"{name} instead:{diverged} {percent(row.inactive_fraction)} of the units are {state}, and "
        f"the accuracy is {percent(row.val_accuracy)}"
    )
    if n_alive < MIN_SEEDS:
        return f"{seen}. With n = {n_alive} that is too few nets to compare."
    if row.difference_ci95_low is None or row.difference_ci95_high is None:
        return f"{seen}."
    ends = f"{points(row.difference_ci95_low)} to {points(row.difference_ci95_high)}"
    return (
        f"{seen}: {points(row.accuracy_difference)} points (95 % interval {ends}, n = {n_alive} "
        "pairs)."
    )


def _too_small(cells: list[CellRow]) -> list[str]:
    """Says if the smallest learning rate leaves twice as many ReLU units dead as a larger one."""
    sentences = []
    for momentum in dict.fromkeys(cell.momentum for cell in cells):
        relu = [c for c in cells if (c.momentum, c.alpha) == (momentum, 0.0)]
        relu = [cell for cell in relu if cell.n_seeds - cell.n_diverged >= MIN_SEEDS]
        if not relu:
            continue
        smallest = min(relu, key=lambda cell: cell.learning_rate)
        best = min(relu, key=lambda cell: cell.inactive_fraction or 0.0)
        if (smallest.inactive_fraction or 0) > 2 * (best.inactive_fraction or 0):
            sentences.append(
                f"The smallest rate is not the safest. With momentum {momentum:g}, "
                f"{percent(smallest.inactive_fraction)} of the units are dead at "
                f"{smallest.learning_rate:g}, and {percent(best.inactive_fraction)} at "
                f"{best.learning_rate:g} (n = {best.n_seeds} nets each)."
            )
    return sentences


def _revival(part: TrainingDeath) -> str:
    last = max((row.epoch for row in part.revival), default=0)
    rows = {row.layers: row for row in part.revival if row.alpha == 0 and row.epoch == last}
    if not rows or last < 2:
        return "No ReLU unit was dead after epoch 1 in nets that learn, so none could come back."
    texts = [f"{_again(rows[layers])} in the {layers}" for layers in LAYERS if layers in rows]
    return (
        "Do dead ReLU units come back? Of those that are dead after epoch 1, in nets that learn, "
        f"this share is active after a later epoch, up to epoch {last}: {'; '.join(texts)}."
    )


def _again(row: RevivalRow) -> str:
    if row.ci95_low is None:
        return f"too few nets to say (n = {row.n_nets})"
    return (
        f"{percent(row.active_again_fraction)} ({interval(row.ci95_low, row.ci95_high)}, "
        f"n = {row.n_inactive:,} units of {row.n_nets} nets)"
    )
