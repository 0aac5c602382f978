"""The tables of docs/evidence/comparison.md: `python -m recipes.comparison_claims [RUN]`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import tyro
from scipy import stats
from statsmodels.stats.multitest import multipletests

from keras_leaky import study
from keras_leaky.study import InputError
from keras_leaky.study.command_line import run_program
from recipes.tables import read_rows, table_head, write_rows

Table = Any  # a pandas.DataFrame, of whose columns the type checker knows too little
FOLDER = Path(__file__).parents[1] / "docs" / "evidence" / "data"
COLUMNS = (
    *("net", "arm", "alpha", "learning_rate", "seed", "val_accuracy", "test_accuracy"),
    "inactive_fraction",
)
TEXTS = ("net", "arm")
RELU = "relu"
NETS = {
    "mlp2": "2 layers",
    "mlp2_bn": "2 layers, batch norm",
    "mlp8": "8 layers",
    "mlp8_bn": "8 layers, batch norm",
    "cnn1": "3 convolutions",
}


@dataclass(frozen=True)
class Options:
    """The tables of a run of `recipes.compare`, or of the raw numbers in docs/evidence/data."""

    program: ClassVar = "python -m recipes.comparison_claims"
    run: tyro.conf.Positional[Path | None] = None
    """Folder of the run. Without it, the raw numbers in docs/evidence/data."""
    collect: Path | None = None
    """A .csv.gz to which the raw numbers of the run are written."""
    pictures: Path | None = None
    """Folder for the pictures."""


@dataclass(frozen=True)
class Difference:
    """An arm less ReLU in one net, in points of test accuracy, over pairs with the same seed.

    Attributes:
        low, high: Student's 95 % interval.
        p: Of the paired t-test, corrected by Holm over all arms of all nets of the data set.
    """

    net: str
    arm: str
    mean: float
    low: float
    high: float
    p: float
    n: int

    @property
    def is_better(self) -> bool:
        return self.p < 0.05 and self.mean > 0

    @property
    def is_worse(self) -> bool:
        return self.p < 0.05 and self.mean < 0


def collect(run: Path) -> list[dict[str, Any]]:
    """A row a final retraining, from the folders of the nets."""
    rows = []
    for net in NETS:
        if not (run / net / "study.json").exists():
            continue
        outcome = study.load(run / net)
        arms = outcome.arms
        for one in outcome.retrainings:
            best = arms[one.arm].best
            if one.stage != "final" or best is None:
                continue
            rows.append(
                {
                    "net": net,
                    "arm": one.arm,
                    "alpha": best.hyperparameters.get("alpha"),
                    "learning_rate": best.hyperparameters["learning_rate"],
                    "seed": one.seed,
                    "val_accuracy": one.val_score,
                    "test_accuracy": one.test_score,
                    "inactive_fraction": arms[one.arm].inactive_fraction,
                }
            )
    if not rows:
        raise InputError(f"`run` must be the folder of a run of recipes.compare. Received: {run}")
    return rows


def accuracies(table: Table, net: str) -> dict[str, np.ndarray]:
    """Arm -> test accuracy in percent, by seed."""
    own = table[table["net"] == net]
    wide = own.pivot(index="seed", columns="arm", values="test_accuracy").astype(float)
    return {arm: 100 * wide[arm].to_numpy() for arm in own["arm"].unique()}


def compare(values: np.ndarray, base: np.ndarray) -> tuple[float, float, float, float, int]:
    """Mean difference of the pairs, its 95 % interval, p of the paired t-test, and their number."""
    pairs = (values - base)[np.isfinite(values - base)]
    mean = float(pairs.mean())
    if np.ptp(pairs) == 0:
        return mean, mean, mean, float(mean == 0), len(pairs)
    test: Any = stats.ttest_1samp(pairs, 0.0)
    ends = test.confidence_interval()
    return mean, float(ends.low), float(ends.high), float(test.pvalue), len(pairs)


def find_differences(table: Table) -> list[Difference]:
    """Every arm of every net less ReLU."""
    found: list[tuple[Any, ...]] = []
    for net in table["net"].unique():
        of_arm = accuracies(table, net)
        base = of_arm.pop(RELU)
        found += [(net, arm, *compare(values, base)) for arm, values in of_arm.items()]
    corrected: Any = multipletests([one[5] for one in found], method="holm")[1]
    return [
        Difference(net, arm, mean, low, high, float(p), n)
        for (net, arm, mean, low, high, _, n), p in zip(found, corrected, strict=True)
    ]


def tabulate(table: Table, differences: Sequence[Difference]) -> str:
    """Every arm less ReLU, one column per net."""
    found = {(one.net, one.arm): one for one in differences}
    nets = list(table["net"].unique())
    lines = table_head("", *(NETS[net] for net in nets))
    relu = [accuracies(table, net)[RELU] for net in nets]
    cells = [f"{np.nanmean(one):.2f} % ± {np.nanstd(one, ddof=1):.2f}" for one in relu]
    lines.append("| ReLU | " + " | ".join(cells) + " |")
    for arm in table["arm"].unique():
        if arm != RELU:
            cells = []
            for net in nets:
                one = found[net, arm]
                star = "**" if one.p < 0.05 else ""
                cells.append(f"{star}{one.mean:+.2f}{star} [{one.low:+.2f}, {one.high:+.2f}]")
            lines.append(f"| {_title(arm)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tabulate_choices(table: Table) -> str:
    """The point that was chosen for each arm, and its inactive units."""
    nets = list(table["net"].unique())
    lines = table_head("", *(NETS[net] for net in nets))
    for arm in table["arm"].unique():
        cells = []
        for net in nets:
            row = table[(table["net"] == net) & (table["arm"] == arm)].iloc[0]
            alpha = f"slope {row['alpha']:.2g}, " if arm == "leaky_relu" else ""
            inactive = f"{100 * row['inactive_fraction']:.1f} % inactive"
            cells.append(f"{alpha}rate {row['learning_rate']:.2g}, {inactive}")
        lines.append(f"| {_title(arm)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _title(arm: str) -> str:
    name, _, alpha = arm.partition("=")
    title = {
        "relu": "ReLU", "leaky_relu": "Leaky ReLU", "prelu": "PReLU", "elu": "ELU", "celu": "CELU",
        "selu": "SELU", "rrelu": "RReLU",
    }[name]  # fmt: skip
    if arm == "leaky_relu":
        return "Leaky ReLU, slope searched"
    return f"{title} {alpha}".strip()


def decide_mnist(differences: Sequence[Difference]) -> dict[str, bool]:
    """Hypothesis of docs/evidence/comparison_hypotheses.md -> whether it holds."""
    found = {(one.net, one.arm): one for one in differences}
    nets = list(dict.fromkeys(one.net for one in differences))

    def holds(arm: str, test: Callable[[Difference], bool], of: Sequence[str] = nets) -> bool:
        return all(test(found[net, arm]) for net in of)

    return {
        "C1": holds("leaky_relu=0.3", lambda one: one.is_worse, ["mlp2", "mlp2_bn"]),
        "C2": holds("leaky_relu=0.01", lambda one: one.low >= -0.1 and one.high <= 0.1),
        "C3": all(found["mlp8", arm].is_better for arm in ("celu=0.5", "elu=1")),
        "C4": found["mlp8_bn", "leaky_relu=0.1"].is_better,
        "C5": found["mlp2", "leaky_relu=-1"].is_better,
        "C6": holds("leaky_relu", lambda one: not one.is_better),
        "C7": holds("selu", lambda one: one.is_worse),
    }


def decide_cifar10(table: Table, differences: Sequence[Difference]) -> dict[str, bool]:
    """Hypothesis of docs/evidence/comparison_hypotheses.md -> whether it holds."""
    found = {one.arm: one for one in differences}
    large = ("leaky_relu=0.1", "leaky_relu=0.3", "prelu=0.25", "elu=1", "rrelu")
    of_arm = accuracies(table, "cnn1")
    return {
        "C8": all(found[arm].low > 1 for arm in large),
        "C9": found["leaky_relu=0.01"].low >= -0.5 and found["leaky_relu=0.01"].high <= 0.5,
        "C10": compare(of_arm["leaky_relu=0.3"], of_arm["leaky_relu=0.1"])[1] > 0,
        "C11": found["leaky_relu=-0.5"].is_better,
    }


def read(dataset: str) -> Table:
    """The raw numbers of a data set, mnist or cifar10."""
    return pd.DataFrame(read_rows(_path(dataset), TEXTS))


def _path(dataset: str) -> Path:
    return FOLDER / f"comparison_{dataset}.csv.gz"


def make_tables(table: Table, differences: Sequence[Difference]) -> dict[str, str]:
    """The tables of the page, in Markdown."""
    is_cifar10 = "cnn1" in set(table["net"])
    decided = decide_cifar10(table, differences) if is_cifar10 else decide_mnist(differences)
    lines = [f"| {name} | {'yes' if holds else 'no'} |" for name, holds in decided.items()]
    return {
        "differences": tabulate(table, differences),
        "choices": tabulate_choices(table),
        "decisions": "\n".join([*table_head("", "holds"), *lines]),
    }


def draw(table: Table, found: Sequence[Difference], path: Path) -> None:
    """Differences from ReLU with their intervals: one panel per net, one line per arm."""
    from matplotlib.figure import Figure

    nets = list(table["net"].unique())
    arms = [arm for arm in table["arm"].unique() if arm != RELU]
    figure = Figure(figsize=(2.2 + 2.4 * len(nets), 0.8 + 0.32 * len(arms)), layout="constrained")
    panels = figure.subplots(1, len(nets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, net in zip(panels, nets, strict=True):
        for one in found:
            if one.net == net:
                y, is_shown = arms.index(one.arm), one.p < 0.05
                axes.plot([one.low, one.high], [y, y], color="#0b6fb8", linewidth=1.5)
                fill = "#0b6fb8" if is_shown else "white"
                axes.plot(one.mean, y, "o", color=fill, markeredgecolor="#0b6fb8", markersize=5)
        axes.axvline(0, color="#555555", linewidth=1)
        axes.set_title(NETS[net], fontsize=10)
        axes.set_yticks(range(len(arms)), [_title(arm) for arm in arms])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    panels[0].invert_yaxis()
    figure.supxlabel("difference from ReLU, points of test accuracy", fontsize=10)
    figure.savefig(path, dpi=150)


def main(options: Options) -> None:
    if options.run is None:
        tables = {name: read(name) for name in ("mnist", "cifar10") if _path(name).exists()}
    else:
        rows = collect(options.run)
        if options.collect is not None:
            write_rows(options.collect, COLUMNS, rows)
        tables = {options.run.name: pd.DataFrame(rows)}
    for name, table in tables.items():
        differences = find_differences(table)
        for what, text in make_tables(table, differences).items():
            print(f"{name}, {what}\n\n{text}\n")
        if options.pictures is not None:
            draw(table, differences, options.pictures / f"comparison_{name}.png")


if __name__ == "__main__":
    sys.exit(run_program(Options, main))
