"""What `long` shows, from docs/evidence/data/cifar10_long.csv.

    python -m benchmarks.gpu.long_claims

prints the table of docs/evidence/cifar10_gpu.md. A test compares it with the page.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

DATA = Path(__file__).parents[2] / "docs" / "evidence" / "data"


def load_long() -> Any:
    """Test accuracy in percent, a row a seed and a column an arm; only seeds of all arms."""
    table: Any = pd.read_csv(DATA / "cifar10_long.csv")
    wide = 100 * table.pivot(index="seed", columns="arm", values="test_accuracy")
    return wide[[*dict.fromkeys(table["arm"])]].dropna()


def tabulate_long() -> str:
    """Means, and paired differences from ReLU with Student's interval and Holm's correction."""
    wide = load_long()
    train: Any = pd.read_csv(DATA / "cifar10_long.csv").query("seed in @wide.index")
    train = 100 * train.groupby("arm")["train_accuracy"].mean()
    arms = [arm for arm in wide if arm != "relu"]
    tests: Any = [stats.ttest_rel(wide[arm], wide["relu"]) for arm in arms]
    corrected: Any = multipletests([test.pvalue for test in tests], method="holm")[1]
    lines = [
        "| arm | test, % | std | training, % | difference from ReLU | p (Holm) | n |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    found = dict(zip(arms, zip(tests, corrected, strict=True), strict=True))
    for arm in wide:
        cells = [str(arm), f"{wide[arm].mean():.2f}", f"{wide[arm].std():.2f}"]
        cells.append(f"{train[arm]:.2f}")
        if arm in found:
            test, p = found[arm]
            interval = test.confidence_interval()
            mean = (wide[arm] - wide["relu"]).mean()
            cells.append(f"{mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]")
            cells.append("< 0.001" if p < 0.001 else f"{p:.3f}")
        else:
            cells += ["", ""]
        lines.append("| " + " | ".join([*cells, str(len(wide))]) + " |")
    return "\n".join(lines)


def tabulate_gap() -> str:
    """The CNN search's points trained by `Trainer` and by `fit`, from the same weights."""
    table: Any = pd.read_csv(DATA / "cnn_gap.csv")
    columns = ["ours", "fit_same_weights"]
    lines = [
        "| factors of matrix products | trainings of each | ours, mean | `fit`, mean | difference "
        "| best of 8 by seed, ours | best of 8 by seed, `fit` |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for precision, rows in table.groupby("matmul_precision"):
        name = {"default": "TF32 (JAX's default)", "highest": "float32"}[str(precision)]
        ours, fit = (100 * rows[column] for column in columns)
        difference: Any = stats.ttest_rel(ours, fit)
        ci = difference.confidence_interval()
        best = 100 * rows.groupby("seed")[columns].max()
        shown = (", ".join(f"{value:.2f}" for value in best[column]) for column in columns)
        gap = f"{(ours - fit).mean():+.2f} [{ci.low:+.2f}, {ci.high:+.2f}]"
        cells = [name, str(len(rows)), f"{ours.mean():.1f} %", f"{fit.mean():.1f} %", gap, *shown]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(tabulate_long(), tabulate_gap(), sep="\n\n")
