"""The tables of docs/evidence/survival.md: `python -m recipes.survival_claims [RUN [PICTURE]]`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.multitest import multipletests

from recipes.survival import FILE, TEXTS
from recipes.tables import read_rows, table_head

Table = Any  # a pandas.DataFrame, of whose columns the type checker knows too little
EVIDENCE = Path(__file__).parents[1] / "docs" / "evidence" / "data" / "survival.csv.gz"
LEARNS = 0.5
N_BOOT = 1000


@dataclass(frozen=True)
class Claim:
    """What was found of a hypothesis.

    Attributes:
        p: Two-sided, not corrected.
    """

    name: str
    what: str
    value: float
    low: float
    high: float
    p: float
    n: int


def read_units(path: Path = EVIDENCE) -> Table:
    """A row a unit of the nets that learn, with `net_id` and `is_later`."""
    table: Table = pd.DataFrame(read_rows(path, TEXTS))
    keys = ["net", "optimizer", "learning_rate", "seed"]
    table["net_id"] = table.groupby(keys, sort=False).ngroup()
    learns = table["states"].ne("") & table["val_accuracy"].gt(LEARNS)
    table = table[learns].copy()
    table["is_later"] = table["layer"] > 1
    return table


def first_deaths(units: Table) -> Table:
    """The units that die before the last epoch: epochs until they fire again, or until the end.

    `is_back` tells which. `log_rate` is the distance to the mean of the optimizer, in decades.
    """
    (n_epochs,) = units["states"].str.len().unique()
    dead = units[units["states"].str.find("0").between(0, n_epochs - 2)].copy()
    death = dead["states"].str.find("0")
    back = [state.find("1", at) for state, at in zip(dead["states"], death, strict=True)]
    dead["is_back"] = [one >= 0 for one in back]
    ends = [one if one >= 0 else n_epochs - 1 for one in back]
    dead["epochs"] = np.array(ends) - death.to_numpy()
    rates = units.groupby("optimizer")["learning_rate"]
    means = rates.apply(lambda r: np.log10(r.unique()).mean())
    dead["log_rate"] = np.log10(dead["learning_rate"]) - dead["optimizer"].map(means)
    return dead


def survival(dead: Table, after: Sequence[int]) -> list[float]:
    """Kaplan-Meier: the share that is still dead so many epochs after its death."""
    if not dead["is_back"].any():
        return [1.0] * len(after)
    curve: Any = SurvfuncRight(dead["epochs"], dead["is_back"])
    places = np.searchsorted(curve.surv_times, after, side="right") - 1
    return [1.0 if place < 0 else float(curve.surv_prob[place]) for place in places]


def bootstrap(dead: Table, measure: Callable[[Table], Any], seed: int = 0) -> np.ndarray:
    """`measure` of samples of whole nets, drawn with replacement."""
    rng = np.random.default_rng(seed)
    nets = list(dead.groupby("net_id").indices.values())
    found = []
    for _ in range(N_BOOT):
        drawn = rng.integers(len(nets), size=len(nets))
        found.append(measure(dead.take(np.concatenate([nets[i] for i in drawn]))))
    return np.array(found, float)


def cox(dead: Table) -> dict[str, tuple[float, float]]:
    """Logarithm of the hazard ratio of firing again, and its error by a jackknife over nets.

    A covariate that is the same for all dead units is left out. The sandwich of statsmodels,
    clustered by net, gives errors that are too small where many units come back at the same epoch:
    in a simulation it rejected a null effect at 5 % in 12 % of runs.
    """
    columns = {
        "later layer": dead["is_later"],
        "log10 of the rate": dead["log_rate"],
        "momentum": dead["optimizer"].eq("momentum"),
        "Adam": dead["optimizer"].eq("adam"),
        "batch normalization": dead["net"].eq("batch_norm"),
    }
    columns = {name: column for name, column in columns.items() if column.nunique() > 1}
    x = np.column_stack(list(columns.values())).astype(float)
    epochs, is_back = dead["epochs"].to_numpy(), dead["is_back"].to_numpy()

    def fit(rows: Any) -> np.ndarray:
        model = PHReg(epochs[rows], x[rows], is_back[rows], ties="efron")
        return np.asarray(model.fit().params)

    nets = dead["net_id"].to_numpy()
    left = np.array([fit(nets != net) for net in np.unique(nets)])
    spread = np.square(left - left.mean(0)).sum(0)
    errors = np.sqrt((len(left) - 1) / len(left) * spread)
    return dict(zip(columns, zip(fit(nets >= 0), errors, strict=True), strict=True))


def early_hazard(dead: Table) -> float:
    """The share that is back after one epoch, less that of each later epoch at risk."""
    first = dead["is_back"] & dead["epochs"].eq(1)
    later_at_risk = (dead["epochs"] - 1).clip(lower=0).sum()
    later = (dead["is_back"] & dead["epochs"].gt(1)).sum()
    return float(first.mean() - later / max(later_at_risk, 1))


def area(scores: Any, is_back: Any) -> float:
    """Area under the ROC curve; 0.5 where all or none come back."""
    if is_back.all() or not is_back.any():
        return 0.5
    back, dead = scores[is_back], scores[~is_back]
    return float(stats.mannwhitneyu(back, dead).statistic / (len(back) * len(dead)))


def areas(dead: Table) -> list[float]:
    """Of the gradient, of the output, and their difference: who is back after one epoch."""
    soon = (dead["is_back"] & dead["epochs"].eq(1)).to_numpy()
    by_gradient = area(dead["gradient_at_death"], soon)
    by_output = area(dead["output_at_death"], soon)
    return [by_gradient, by_output, by_gradient - by_output]


def claims(dead: Table) -> list[Claim]:
    """What can be said of each hypothesis; nothing of one whose covariate does not vary."""
    found, n = cox(dead), len(dead)

    def of_cox(name: str, covariate: str) -> Claim | None:
        if covariate not in found:
            return None
        log, error = found[covariate]
        low, high = np.exp(log + np.array([-1.96, 1.96]) * error)
        p = float(2 * stats.norm.sf(abs(log) / error))
        what = f"hazard ratio, {covariate}"
        return Claim(name, what, float(np.exp(log)), float(low), float(high), p, n)

    def of_bootstrap(name: str, what: str, value: float, drawn: np.ndarray) -> Claim:
        low, high = np.percentile(drawn, [2.5, 97.5])
        tail = (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / (1 + len(drawn))
        return Claim(name, what, value, float(low), float(high), float(min(2 * tail, 1)), n)

    made = [
        of_cox("S1", "later layer"),
        of_cox("S2", "log10 of the rate"),
        of_bootstrap(
            "S3", "hazard of the first epoch less later ones", early_hazard(dead),
            bootstrap(dead, early_hazard),
        ),
        of_cox("S4", "batch normalization"),
        of_bootstrap(
            "S5", "area of the gradient less area of the output", areas(dead)[2],
            bootstrap(dead, areas)[:, 2],
        ),
    ]  # fmt: skip
    return [one for one in made if one]


def make_tables(units: Table) -> dict[str, str]:
    """The tables of the page, in Markdown."""
    dead = first_deaths(units)
    after = (1, 3, 5, 9)
    lines = table_head(
        *("net", "optimizer", "layers", "nets", "died"), *(f"dead after {n}" for n in after)
    )
    for (net, optimizer, is_later), group in dead.groupby(
        ["net", "optimizer", "is_later"], sort=False
    ):
        drawn = bootstrap(group, lambda g: survival(g, after))
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        cells = [
            f"{100 * s:.0f} % [{100 * a:.0f}, {100 * b:.0f}]"
            for s, a, b in zip(survival(group, after), low, high, strict=True)
        ]
        lines.append(
            f"| {net.replace('_', ' ')} | {optimizer} | {'later' if is_later else 'first'} | "
            f"{group['net_id'].nunique()} | {len(group)} | " + " | ".join(cells) + " |"
        )
    found = claims(dead)
    holm: Any = multipletests([one.p for one in found], method="holm")[1]
    verdicts = table_head("", "what", "value", "p (Holm)", "n", "as expected")
    for one, p in zip(found, holm, strict=True):
        none = 1.0 if one.what.startswith("hazard ratio") else 0.0
        holds = "yes" if p < 0.05 and one.value > none else "no"
        shown = "< 0.001" if p < 0.001 else f"{p:.3f}"
        verdicts.append(
            f"| {one.name} | {one.what} | {one.value:.2f} [{one.low:.2f}, {one.high:.2f}] | "
            f"{shown} | {one.n} | {holds} |"
        )
    return {"survival": "\n".join(lines), "claims": "\n".join(verdicts)}


def draw(units: Table, path: Path) -> None:
    """Draws the survival curves: the share of dead units that has not fired again."""
    import matplotlib.pyplot as plt

    dead = first_deaths(units)
    after = range(dead["epochs"].max() + 1)
    colors = {"sgd": "#555555", "momentum": "#0b6fb8", "adam": "#c2500b"}
    names = {"sgd": "SGD", "momentum": "SGD, momentum 0.9", "adam": "Adam"}
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
    for panel, is_later in zip(panels, (False, True), strict=True):
        for optimizer, group in dead[dead["is_later"] == is_later].groupby("optimizer", sort=False):
            low, high = np.percentile(
                bootstrap(group, lambda g: survival(g, after)), [2.5, 97.5], axis=0
            )
            label = f"{names[optimizer]}, n = {len(group)}"
            panel.fill_between(
                after, low, high, step="post", alpha=0.2, color=colors[optimizer], linewidth=0
            )
            panel.step(
                after, survival(group, after), where="post", color=colors[optimizer], label=label
            )
        panel.set_title("later layers" if is_later else "first layer", fontsize=10)
        panel.set_xlabel("epochs after death")
        panel.set_ylim(0, 1)
        panel.legend(frameon=False, fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("share still dead")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else EVIDENCE
    path = path / FILE if path.is_dir() else path
    units = read_units(path)
    for name, table in make_tables(units).items():
        print(f"{name}\n\n{table}\n")
    if len(sys.argv) > 2:
        draw(units, Path(sys.argv[2]))


if __name__ == "__main__":
    main()
