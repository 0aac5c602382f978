"""What came out, a part at a time: first one sentence with its numbers and n, then details."""

from collections.abc import Sequence

from recipes.common.dying.born_dead import N_STANDARD_ERRORS
from recipes.common.dying.collapse import CollapseRow
from recipes.common.dying.comparison import BASELINE, ComparisonRow
from recipes.common.dying.intervals import Share, percent, ratio_of_shares
from recipes.common.dying.results import BornDead, Collapse, TrainingDeath
from recipes.common.dying.revival import LAYERS, CellRow, RevivalRow


def answer_born_dead(part: BornDead, checked: list[tuple[int, int]]) -> list[str]:
    """How likely a deep and narrow net is to be born dead, and whether the theory holds."""
    rows = [row for row in part.nets if (row.depth, row.width) in checked]
    inside = sum(row.inside for row in rows)
    shown = next(row for row in rows if (row.depth, row.width) == (10, 3))
    largest = max(row.n_nets for row in rows)
    return [
        f"{Share(shown.n_dead, shown.n_nets)} of the ReLU nets with {shown.depth} layers of width "
        f"{shown.width} are dead before training, where theory allows "
        f"{percent(shown.lower_bound)} to {percent(shown.upper_bound)}; {inside} of {len(rows)} "
        f"checked shapes lie inside the bounds by more than {N_STANDARD_ERRORS:g} standard errors "
        f"(up to {largest:,} nets a shape).",
        _remedies(part),
    ]


def _remedies(part: BornDead) -> str:
    """What RAI, a leak and ELU change, at the first shape of the remedies."""
    depth, width = part.remedies[0].depth, part.remedies[0].width
    here = {row.remedy: row for row in part.remedies if (row.depth, row.width) == (depth, width)}
    he, rai, leaky = here["ReLU, He"], here["ReLU, RAI"], here["Leaky ReLU 0.01"]
    others = [row for row in here.values() if row not in (he, rai)]
    n_constant = sum(row.n_constant for row in others)
    highest = Share(leaky.n_constant, leaky.n_nets).ci95[1]
    return (
        f"At {depth} layers of width {width}, RAI lowers the share from "
        f"{percent(he.constant_fraction)} to {percent(rai.constant_fraction)} (n = {he.n_nets:,} "
        f"each); {n_constant} of {sum(row.n_nets for row in others):,} Leaky ReLU and ELU nets are "
        f"constant (for Leaky ReLU 0.01 at most {percent(highest)}, with 95 % confidence), but "
        f"{percent(leaky.inactive_layer_fraction)} of the Leaky ReLU 0.01 nets have a hidden layer "
        "that no input activates."
    )


def answer_collapse(part: Collapse) -> list[str]:
    """How many nets collapse with He's initialization, and what the others change."""
    arms = {row.arm: row for row in part.arms}
    he, rai = arms["ReLU, He"], arms["ReLU, RAI"]
    ratio, low, high = rai_ratio(part)
    others = ", ".join(
        f"{Share(row.n_collapsed, row.n_nets)} with {row.arm}"
        for row in part.arms
        if row not in (he, rai)
    )
    return [
        f"After learning |x|, {Share(he.n_collapsed, he.n_nets)} of the ReLU nets with He's "
        f"initialization are constant functions and {Share(rai.n_collapsed, rai.n_nets)} of those "
        f"with RAI: RAI lowers collapse by {percent(1 - ratio)} ({percent(1 - high)} to "
        f"{percent(1 - low)}).",
        f"The share is {others}.",
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
    if not part.comparison:
        return ["No ReLU nets of this grid both learn and lose units: there is nothing to remedy."]
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
        f"At learning rate {worst.learning_rate:g} and momentum {worst.momentum:g}, "
        f"{percent(worst.inactive_fraction or 0.0)} of the hidden units of ReLU nets are dead in "
        f"the end and {percent(worst.val_accuracy or 0.0)} of the validation images are right "
        f"(n = {worst.n_seeds} nets); {'; '.join(_remedy(row) for row in remedies)}.",
        *_too_small(part.cells),
        _revival(part),
    ]


def _remedy(row: ComparisonRow) -> str:
    name = f"a learning rate of {row.learning_rate:g}" if row.alpha == 0 else f"a {row.setting}"
    if row.inactive_fraction is None or row.val_accuracy is None:
        return f"with {name} all {row.n_seeds} diverge"
    state = "dead" if row.alpha == 0 else "inactive"
    diverged = f", {row.n_diverged} of {row.n_seeds} diverged" if row.n_diverged else ""
    return (
        f"with {name} it is {percent(row.inactive_fraction)} {state} and "
        f"{percent(row.val_accuracy)} right{diverged}"
    )


def _too_small(cells: Sequence[CellRow]) -> list[str]:
    """Where the smallest learning rate leaves twice as many ReLU units dead as some larger one."""
    sentences = []
    for momentum in dict.fromkeys(cell.momentum for cell in cells):
        relu = [c for c in cells if (c.momentum, c.alpha) == (momentum, 0.0)]
        relu = [cell for cell in relu if cell.inactive_fraction is not None]
        smallest = min(relu, key=lambda cell: cell.learning_rate)
        best = min(relu, key=lambda cell: cell.inactive_fraction or 0.0)
        if (smallest.inactive_fraction or 0) > 2 * (best.inactive_fraction or 0):
            sentences.append(
                f"The smallest rate is not the safest: with momentum {momentum:g}, "
                f"{percent(smallest.inactive_fraction or 0)} are dead at "
                f"{smallest.learning_rate:g} and {percent(best.inactive_fraction or 0)} at "
                f"{best.learning_rate:g} (n = {best.n_seeds} nets each)."
            )
    return sentences


def _revival(part: TrainingDeath) -> str:
    last = max((row.epoch for row in part.revival), default=0)
    rows = {row.layers: row for row in part.revival if row.alpha == 0 and row.epoch == last}
    if not rows or last < 2:
        return "No unit was dead after epoch 1 in nets that learn, so none could come back."
    texts = [f"{_again(rows[layers])} in the {layers}" for layers in LAYERS if layers in rows]
    return (
        f"Of the ReLU units that are dead after epoch 1 in nets that learn, this share has been "
        f"active again by epoch {last}: {' and '.join(texts)}."
    )


def _again(row: RevivalRow) -> str:
    return (
        f"{percent(row.active_again_fraction)} ({percent(row.ci95_low)} to "
        f"{percent(row.ci95_high)}, n = {row.n_inactive:,} units of {row.n_nets} nets; "
        f"{percent(row.active_now_fraction)} are active in that epoch)"
    )
