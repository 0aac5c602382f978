"""The results of the plasticity runs: the tests that the hypotheses fixed, from raw numbers.

    python -m recipes.plasticity.claims

docs/evidence/data. A test compares all it prints with the page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
LEVEL = 0.05
N_RESAMPLES = 9_999

N_CHOOSING = {"regression": 50, "permuted": 15}  # the first runs choose a step size
EARLY = {"regression": slice(2, 5), "permuted": slice(5, 15)}  # bins of 40,000 examples; tasks
# The last tenth of 75 bins is 7.5 of them. Rounded up, before any late error was computed.
LATE = {"regression": slice(-8, None), "permuted": slice(-40, None)}
HEADLINE = {"regression": "error", "permuted": "accuracy"}

TITLES = {"relu": "ReLU", "prelu": "PReLU", "elu": "ELU"}


def title(arm: str) -> str:
    return TITLES.get(arm) or f"slope {arm.removeprefix('leaky_relu_')}"


def slope_of(arm: str) -> float | None:
    """The fixed slope, or None."""
    if arm == "relu":
        return 0.0
    return float(arm.removeprefix("leaky_relu_")) if arm.startswith("leaky") else None


@dataclass(frozen=True)
class Claim:
    """An estimate with its interval; p is corrected, or None where the interval decides."""

    hypothesis: str
    what: str
    estimate: float
    low: float
    high: float
    n: int
    p: float | None
    holds: bool  # as it was expected


class Runs:
    """Arrays (runs, bins or tasks) of one task, by quantity, arm, step size and gain."""

    def __init__(self, name: str, path: Path | None = None):
        self.name = name
        table: Any = pd.read_csv(path or EVIDENCE / "data" / f"plasticity_{name}.csv.gz")
        keys = ["quantity", "arm", "step_size", "init"]
        first = table.columns.get_loc("run") + 1
        self.arms = [*dict.fromkeys(table["arm"])]
        self.step_sizes = [*dict.fromkeys(table["step_size"])]
        self._numbers: dict[Any, np.ndarray] = {}
        for key, rows in table.groupby(keys, sort=False):
            if [*rows["run"]] != [*range(1, len(rows) + 1)]:
                raise ValueError(f"The runs of {key} must be in order. Received: {[*rows['run']]}")
            self._numbers[key] = rows.iloc[:, first:].to_numpy(float)
        self.n_runs = len(self.course(self.arms[0], self.step_sizes[0]))

    def course(self, arm: str, step_size: float, init="rectifier", quantity=None) -> np.ndarray:
        return self._numbers[quantity or HEADLINE[self.name], arm, step_size, init]

    def early(self, *key, **which) -> np.ndarray:
        """A number a run."""
        return self.course(*key, **which)[:, EARLY[self.name]].mean(1)

    def late(self, *key, **which) -> np.ndarray:
        return self.course(*key, **which)[:, LATE[self.name]].mean(1)

    def n_diverged(self, arm: str, step_size: float, init="rectifier") -> int:
        return int(np.isnan(self.course(arm, step_size, init)).any(1).sum())

    def choose(self, arm: str, init="rectifier") -> float:
        """The step size that the first half of the runs finds best."""
        sign = 1 if self.name == "regression" else -1
        n = N_CHOOSING[self.name]
        known = [size for size in self.step_sizes if not self.n_diverged(arm, size, init)]
        return min(known, key=lambda size: sign * self.late(arm, size, init)[:n].mean())

    def tested(self, arm: str, init="rectifier") -> np.ndarray:
        """The late numbers of the second half of the runs, at the step size chosen."""
        return self.late(arm, self.choose(arm, init), init)[N_CHOOSING[self.name] :]


def mean_interval(values: np.ndarray, level=LEVEL) -> tuple[float, float]:
    """Of the mean, by SciPy's bootstrap (BCa). Where all values are equal, that value."""
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    found: Any = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=N_RESAMPLES,
        confidence_level=1 - level,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def compare(
    hypothesis: str, pairs: dict[str, np.ndarray], signs: Sequence[int], as_ratio: bool
) -> list[Claim]:
    """Wilcoxon's signed-rank test of each row of paired differences, with Holm's correction.

    Args:
        pairs: Differences by what they are of; of logarithms if `as_ratio`.
        signs: The side that was expected of each; 0 for either.
    """
    tests: list[Any] = [stats.wilcoxon(values) for values in pairs.values()]
    corrected: Any = multipletests([test.pvalue for test in tests], LEVEL, method="holm")[1]
    scale: Callable[[Any], Any] = np.exp if as_ratio else np.asarray
    claims = []
    for (what, values), p, sign in zip(pairs.items(), corrected, signs, strict=True):
        low, high = mean_interval(values)
        mean = float(values.mean())
        holds = bool(p < LEVEL) and (sign == 0 or np.sign(mean) == sign)
        estimate, low, high = (float(scale(x)) for x in (mean, low, high))
        claims.append(Claim(hypothesis, what, estimate, low, high, len(values), float(p), holds))
    return claims


def loss_of_plasticity(runs: Runs, arm: str, step_size: float, init="he") -> np.ndarray:
    """log(late / early) error of each run."""
    return np.log(runs.late(arm, step_size, init)) - np.log(runs.early(arm, step_size, init))


def claim_regression(runs: Runs) -> dict[str, list[Claim]]:
    """R1 to R7."""
    largest = runs.step_sizes[0]
    found = {}
    found["R1"] = compare(
        "R1",
        {f"step size {s:g}": loss_of_plasticity(runs, "relu", s) for s in runs.step_sizes},
        [1] * len(runs.step_sizes),
        as_ratio=True,
    )
    relu = loss_of_plasticity(runs, "relu", largest)
    leaks = [f"leaky_relu_{slope}" for slope in (0.01, 0.1, 0.3, 0.7)]
    found["R2"] = compare(
        "R2",
        {title(arm): loss_of_plasticity(runs, arm, largest) - relu for arm in leaks},
        [-1] * len(leaks),
        as_ratio=True,
    )
    others = [arm for arm in runs.arms if arm != "relu"]
    relu = np.log(runs.tested("relu"))
    found["R3"] = compare(
        "R3",
        {title(arm): np.log(runs.tested(arm)) - relu for arm in others},
        [-1 if is_expected_lower(arm) else 0 for arm in others],
        as_ratio=True,
    )
    found["R4"] = [claim_best_slope(runs)]
    found["R5"] = claim_gain(runs)
    found["R6"] = [claim_dead_units(runs, largest)]
    found["R7"] = compare(
        "R7",
        {"slope 0.01": loss_of_plasticity(runs, "leaky_relu_0.01", largest)},
        [1],
        as_ratio=True,
    )
    return found


def is_expected_lower(arm: str) -> bool:
    slope = slope_of(arm)
    return slope is None or 0.1 <= slope <= 0.7


def draw_best_slopes(runs: Runs) -> np.ndarray:
    """The slope with the lowest mean log error in each resample of the tested runs."""
    fixed = [arm for arm in runs.arms if slope_of(arm) is not None]
    slopes = np.array([slope_of(arm) for arm in fixed])
    late = np.log([runs.tested(arm) for arm in fixed])
    drawn = np.random.default_rng(0).integers(late.shape[1], size=(N_RESAMPLES, late.shape[1]))
    return slopes[late[:, drawn].mean(2).argmin(0)]


def claim_best_slope(runs: Runs) -> Claim:
    """R4: the best of all fixed slopes is at 0.3 or above."""
    fixed = [arm for arm in runs.arms if slope_of(arm) is not None]
    best = min(fixed, key=lambda arm: np.log(runs.tested(arm)).mean())
    low, high = np.quantile(
        draw_best_slopes(runs), [LEVEL / 2, 1 - LEVEL / 2], method="inverted_cdf"
    )
    n, slope = len(runs.tested(best)), slope_of(best)
    assert slope is not None
    return Claim("R4", "best fixed slope", slope, float(low), float(high), n, None, low >= 0.3)


def claim_gain(runs: Runs) -> list[Claim]:
    """R5: the error with He's gain over that with the slope's own, within 2 %.

    The hypothesis names no step size, so it has to hold at each.
    """
    arms = [arm for arm in runs.arms if (slope := slope_of(arm)) is not None and slope <= 0.3]
    claims = []
    for step_size in runs.step_sizes:
        for arm in arms:
            he, own = (np.log(runs.late(arm, step_size, init)) for init in ("he", "rectifier"))
            low, high = np.exp(mean_interval(he - own, LEVEL / len(arms)))
            ratio, holds = float(np.exp((he - own).mean())), bool(low >= 0.98 and high <= 1.02)
            what = f"{title(arm)}, step size {step_size:g}"
            claims.append(Claim("R5", what, ratio, float(low), float(high), len(he), None, holds))
    return claims


def claim_dead_units(runs: Runs, step_size: float) -> Claim:
    """R6: runs with more dead units have a higher late error."""
    dead = runs.late("relu", step_size, "he", quantity="dead")
    error = runs.late("relu", step_size, "he")

    def correlate(x, y, axis):
        x, y = (stats.rankdata(values, axis=axis) for values in (x, y))
        x, y = (values - values.mean(axis, keepdims=True) for values in (x, y))
        return (x * y).sum(axis) / np.sqrt((x**2).sum(axis) * (y**2).sum(axis))

    test: Any = stats.spearmanr(dead, error)
    interval: Any = stats.bootstrap(
        (dead, error),
        correlate,
        paired=True,
        vectorized=True,
        n_resamples=N_RESAMPLES,
        rng=np.random.default_rng(0),
    ).confidence_interval
    rho, p = float(test.statistic), float(test.pvalue)
    low, high = float(interval.low), float(interval.high)
    what = "dead units and late error"
    return Claim("R6", what, rho, low, high, len(dead), p, p < LEVEL and rho > 0)


def claim_permuted(runs: Runs) -> dict[str, list[Claim]]:
    """M1 to M3, in points of accuracy and of the share of units."""
    others = [arm for arm in runs.arms if arm != "relu"]
    changes = {
        f"step size {size:g}": 100 * (runs.late("relu", size) - runs.early("relu", size))
        for size in runs.step_sizes
    }
    gains = {title(arm): 100 * (runs.tested(arm) - runs.tested("relu")) for arm in others}
    dead = {"quantity": "dead_3"}
    largest = runs.step_sizes[0]
    deaths = 100 / 64 * (runs.late("relu", largest, **dead) - runs.early("relu", largest, **dead))
    return {
        "M1": compare("M1", changes, [-1] * len(changes), as_ratio=False),
        "M2": compare("M2", gains, [1] * len(gains), as_ratio=False),
        "M3": compare("M3", {"third layer": deaths}, [1], as_ratio=False),
    }


def format_claim(claim: Claim) -> str:
    """Estimate [interval], as the page shows it."""
    if claim.hypothesis == "R4":
        return f"{claim.estimate:g} [{claim.low:g}, {claim.high:g}]"
    if claim.hypothesis[0] == "M":
        return f"{claim.estimate:+.1f} [{claim.low:+.1f}, {claim.high:+.1f}]"
    digits = 3 if claim.hypothesis == "R5" else 2
    return f"{claim.estimate:.{digits}f} [{claim.low:.{digits}f}, {claim.high:.{digits}f}]"


def format_p(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def as_markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tabulate_claims(claims: Sequence[Claim], heads: Sequence[str]) -> str:
    rows = [
        [c.what, format_claim(c), format_p(c.p), str(c.n), "yes" if c.holds else "no"]
        for c in claims
    ]
    return as_markdown([*heads, "p (Holm)", "n", "as expected"], rows)


def tabulate_summary(regression: Runs, permuted: Runs, claims: dict[str, list[Claim]]) -> str:
    """The first screen's table: R3 and M2 side by side."""
    r3 = {claim.what: claim for claim in claims["R3"]}
    m2 = {claim.what: claim for claim in claims["M2"]}
    rows = []
    for arm in regression.arms:
        name = title(arm)
        row = [name, f"{regression.choose(arm):g}", f"{regression.tested(arm).mean():.2f}"]
        row.append(mark(r3.get(name)))
        if arm in permuted.arms:
            row += [f"{permuted.choose(arm):g}", f"{100 * permuted.tested(arm).mean():.1f} %"]
            row.append(mark(m2.get(name)))
        else:
            row += ["", "", ""]
        rows.append(row)
    return as_markdown(
        ["", "step", "error", "ratio to ReLU", "step", "accuracy", "points over ReLU"], rows
    )


def mark(claim: Claim | None) -> str:
    if claim is None:
        return ""
    text = format_claim(claim)
    is_shown = claim.p is not None and claim.p < LEVEL
    return f"**{text.split(' ')[0]}** {text.split(' ', 1)[1]}" if is_shown else text


def tabulate_errors(runs: Runs) -> str:
    """Early and late error of every arm at every step size, own gain, all runs."""
    rows = []
    for arm in runs.arms:
        row = [title(arm)]
        for size in runs.step_sizes:
            n = runs.n_diverged(arm, size)
            early, late = runs.early(arm, size), runs.late(arm, size)
            text = f"{np.nanmean(early):.2f}, {np.nanmean(late):.2f}"
            row.append(f"{text} ({n} diverged)" if n else text)
        rows.append(row)
    return as_markdown(["", *(f"step size {size:g}" for size in runs.step_sizes)], rows)


def tabulate_accuracies(runs: Runs) -> str:
    rows = []
    for arm in runs.arms:
        row = [title(arm)]
        for size in runs.step_sizes:
            early, late = (100 * x.mean() for x in (runs.early(arm, size), runs.late(arm, size)))
            row.append(f"{early:.1f}, {late:.1f}")
        rows.append(row)
    return as_markdown(["", *(f"step size {size:g}" for size in runs.step_sizes)], rows)


def tabulate_units(regression: Runs, permuted: Runs) -> str:
    """Late shares of units at each arm's chosen step size, all runs."""
    rows = []
    for arm in permuted.arms:
        row = [title(arm)]
        for runs, quantity, of in ((regression, "", 5), (permuted, "_3", 64)):
            size = runs.choose(arm)
            row.append(f"{size:g}")
            for kind in ("inactive", "dead", "dormant"):
                share = 100 / of * runs.late(arm, size, quantity=kind + quantity)
                low, high = mean_interval(share)
                row.append(f"{share.mean():.1f} [{low:.1f}, {high:.1f}]")
        rows.append(row)
    heads = ["step", "inactive", "dead", "dormant"]
    return as_markdown(["", *heads, *heads], rows)


def explore_lines(regression: Runs, permuted: Runs) -> list[str]:
    """Figures beside the hypotheses; 95 % bootstrap intervals, not corrected."""

    def ratio(logs):
        low, high = np.exp(mean_interval(logs))
        return f"{np.exp(logs.mean()):.2f} [{low:.2f}, {high:.2f}]"

    def points(differences):
        low, high = mean_interval(100 * differences)
        return f"{100 * differences.mean():+.1f} [{low:+.1f}, {high:+.1f}]"

    best = draw_best_slopes(regression)
    positive = [arm for arm in regression.arms if (slope_of(arm) or -1) > 0 or arm == "relu"]
    late = np.log([regression.tested(arm) for arm in positive])
    drawn = np.random.default_rng(0).integers(late.shape[1], size=(N_RESAMPLES, late.shape[1]))
    winners = late[:, drawn].mean(2).argmin(0)
    lines = [f"regression, best slope -1 in {np.mean(best == -1):.1%} of resamples"]
    lines.append(f"regression, best slope -0.5 in {np.mean(best == -0.5):.1%} of resamples")
    for i, arm in enumerate(positive):
        if np.any(winners == i):
            share = np.mean(winners == i)
            lines.append(f"regression, of slopes from 0 on the best: {title(arm)}, {share:.1%}")
    for arm in regression.arms:
        own = ratio(loss_of_plasticity(regression, arm, 0.01))
        lines.append(f"regression, late / early, step size 0.01, He: {title(arm)} {own}")
    linear = np.log(regression.tested("leaky_relu_1"))
    for arm in ("relu", "leaky_relu_0.01", "leaky_relu_0.3"):
        against = ratio(np.log(regression.tested(arm)) - linear)
        lines.append(f"regression, best step size, to the linear net: {title(arm)} {against}")
    for arm in permuted.arms:
        size = permuted.choose(arm)
        change = points(permuted.late(arm, size) - permuted.early(arm, size))
        lines.append(f"permuted, late - early, step size {size:g}: {title(arm)} {change}")
    seven, three = permuted.tested("leaky_relu_0.7"), permuted.tested("leaky_relu_0.3")
    lines.append(f"permuted, slope 0.7 over 0.3: {points(seven - three)}")
    return lines


def make_tables() -> dict[str, str]:
    """Every table of the page by its name, and the list of exploratory figures."""
    regression, permuted = Runs("regression"), Runs("permuted")
    claims = claim_regression(regression) | claim_permuted(permuted)
    tables = {"summary": tabulate_summary(regression, permuted, claims)}
    heads = {
        "R1": ["ReLU", "late / early error"],
        "R2": ["", "loss, ratio to ReLU's"],
        "R3": ["", "late error, ratio to ReLU's"],
        "R4": ["", "slope"],
        "R5": ["", "He's gain / own gain"],
        "R6": ["", "Spearman's correlation"],
        "R7": ["", "late / early error"],
        "M1": ["ReLU", "late - early, points"],
        "M2": ["", "over ReLU, points"],
        "M3": ["ReLU's dead units", "late - early, points of the share"],
    }
    for name, found in claims.items():
        tables[name] = tabulate_claims(found, heads[name])
    tables["errors"] = tabulate_errors(regression)
    tables["accuracies"] = tabulate_accuracies(permuted)
    tables["units"] = tabulate_units(regression, permuted)
    lines = explore_lines(regression, permuted)
    tables["exploratory"] = "\n".join(f"- {line}." for line in lines)
    return tables


def main() -> None:
    from recipes.plasticity.pictures import draw_all

    for name, table in make_tables().items():
        print(f"{name}\n\n{table}\n")
    draw_all(Runs("regression"), Runs("permuted"), EVIDENCE.parent / "images")


if __name__ == "__main__":
    main()
