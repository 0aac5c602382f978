"""The tables and pictures of docs/evidence/atlas.md: `python -m recipes.atlas_map [RUN]`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import tyro
from scipy import stats
from statsmodels.stats.multitest import multipletests

from keras_leaky import storage
from keras_leaky.study import InputError
from keras_leaky.study.command_line import run_program
from recipes.atlas import COLUMNS, INITS, NETS, OPTIMIZERS, PRELU, TEXTS
from recipes.comparison_claims import compare
from recipes.tables import read_rows, table_head, write_rows

Table = Any  # a pandas.DataFrame, of whose columns the type checker knows too little
FOLDER = Path(__file__).parents[1] / "docs" / "evidence" / "data"
KEYS = ["net", "optimizer", "init"]
N_BOOTSTRAP = 2_000
MAX_FACTOR = 1.25  # either way, of an interval of a best rate
NEAR_BEST = 0.002  # of accuracy
LEARNS = 0.5  # accuracy; below it training has broken down
NAMES = {"sgd": "SGD", "adam": "Adam", "mlp2": "2 layers", "mlp8": "8 layers", "mlp30": "30 layers"}


@dataclass(frozen=True)
class Options:
    """The tables and pictures of a run of `recipes.atlas`."""

    program: ClassVar = "python -m recipes.atlas_map"
    run: tyro.conf.Positional[Path | None] = None
    """Folder of the run. Without it, the raw numbers in docs/evidence/data."""
    dataset: str = "mnist"
    """Which raw numbers in docs/evidence/data, mnist or cifar10; of no use with a run."""
    pictures: Path | None = None
    """Folder for the pictures; the run's folder if there is one."""
    collect: Path | None = None
    """Folder to which the raw numbers of the run are copied, one file a pass."""


@dataclass(frozen=True)
class BestRate:
    """The best rate of a slope in one net, with one optimizer and initialization.

    Attributes:
        rate: Least of the parabola, in the rates that were tried; NaN if it opens downwards.
        low: End of the 95 % bootstrap interval over seeds; NaN with `high` where a parabola of a
            sample opens downwards.
        at_edge: The interval touches the smallest or the largest rate that was tried, so it says
            nothing about the rates beyond it.
        good: The smallest and the largest rate with an accuracy within 0.2 points of the best.
        accuracy: Mean validation accuracy at the best rate that was tried.
        draws: Best rates of bootstrap samples of the seeds, the same samples for all slopes.
    """

    net: str
    optimizer: str
    init: str
    slope: float | str
    rate: float
    low: float
    high: float
    at_edge: bool
    good: tuple[float, float]
    accuracy: float
    n: int
    draws: np.ndarray

    @property
    def is_sharp(self) -> bool:
        factor = max(self.high / self.rate, self.rate / self.low)
        return not self.at_edge and factor <= MAX_FACTOR


@dataclass(frozen=True)
class Power:
    """The exponent p of best rate ~ (1 + slope^2)^p over the fixed slopes.

    Attributes:
        explained: R^2 of the line in logarithms.
    """

    p: float
    error: float
    n: int
    explained: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        half = float(stats.t.ppf((1 + level) / 2, self.n - 2) * self.error)
        return self.p - half, self.p + half


def read(options: Options, stage: str) -> Table:
    """A row a training of one pass."""
    if options.run is None:
        paths = [FOLDER / f"atlas_{options.dataset}_{stage}.csv.gz"]
    else:
        paths = [
            options.run / f"{stage}-{net}-{optimizer}-{init}.csv.gz"
            for net in NETS for optimizer in OPTIMIZERS for init in INITS
        ]  # fmt: skip
        paths = [path for path in paths if path.exists()]
    rows = [row for path in paths for row in read_rows(path, TEXTS)]
    if not rows:
        raise InputError(f"`run` must hold the tables of recipes.atlas. Received: {options.run}")
    return pd.DataFrame(rows)


def best_rate(rates: np.ndarray, losses: np.ndarray) -> Any:
    """The minimum of a parabola in the log rate through losses; NaN if it opens downwards.

    Args:
        rates: Of shape (n,).
        losses: Means over seeds, of shape (n,) or (n, samples); those without a logarithm are left
            out.

    Returns:
        A number, or an array of shape (samples,).
    """
    columns = np.reshape(losses, (len(rates), -1))
    known, found = np.isfinite(columns) & (columns > 0), np.full(columns.shape[1], np.nan)
    for kept in np.unique(known, axis=1).T:
        if kept.sum() >= 3:
            own = (kept == known.T).all(1)
            x = np.log(rates[kept])
            a, b, _ = np.polyfit(x - x.mean(), np.log(columns[kept][:, own]), 2)
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                vertex = x.mean() - b / (2 * a)
            # Outside of the rates that were tried a parabola says nothing.
            found[own] = np.where(a > 0, np.exp(np.clip(vertex, x.min(), x.max())), np.nan)
    return found if losses.ndim > 1 else float(found[0])


def grid(rows: Table, value: str, missing: float) -> tuple[np.ndarray, np.ndarray]:
    """The rates, of shape (n,), and the values, of shape (n, seeds)."""
    table = rows.pivot(index="learning_rate", columns="seed", values=value)
    return table.index.to_numpy(float), table.fillna(missing).to_numpy(float)


def find_best_rates(second: Table, seed: int = 0) -> list[BestRate]:
    """The best rate of every slope in every setting, from the second pass."""
    found = []
    for (*setting, slope), rows in second.groupby([*KEYS, "slope"], sort=False):
        rates, losses = grid(rows, "val_loss", np.inf)
        _, accuracies = grid(rows, "val_accuracy", 0.0)
        n = losses.shape[1]
        samples = np.random.default_rng(seed).integers(n, size=(N_BOOTSTRAP, n))
        draws = best_rate(rates, losses[:, samples].mean(2))
        rate = best_rate(rates, losses.mean(1))
        low, high = np.quantile(draws, [0.025, 0.975])  # NaN if one of the draws is
        # A rate at which a training diverged bounds the parabola as well as the last rate does.
        known = rates[np.isfinite(losses.mean(1))]
        at_edge = bool(known.size and (low <= known.min() * 1.0001 or high >= known.max() / 1.0001))
        means = accuracies.mean(1)
        good = rates[means >= means.max() - NEAR_BEST]
        net, optimizer, init = setting
        found.append(
            BestRate(
                *(net, optimizer, init, slope, rate, float(low), float(high), at_edge),
                *((float(good.min()), float(good.max())), float(means.max()), n, draws),
            )
        )
    return found


def fit_power(found: Sequence[BestRate]) -> Power:
    """The exponent over the fixed slopes of one setting; NaN for fewer than three."""
    own = [one for one in found if one.slope != PRELU and np.isfinite(one.rate)]
    if len(own) < 3:
        return Power(np.nan, np.nan, len(own), np.nan)
    x = np.log1p(np.square([float(one.slope) for one in own]))
    line: Any = stats.linregress(x, np.log([one.rate for one in own]))
    return Power(float(line.slope), float(line.stderr), len(own), float(line.rvalue**2))


def breakdown(first: Table) -> dict[tuple[Any, ...], float]:
    """Setting and slope -> smallest rate above the best one at which training breaks down."""
    found = {}
    for key, rows in first.groupby([*KEYS, "slope"], sort=False):
        rates, accuracies = grid(rows, "val_accuracy", 0.0)
        means = accuracies.mean(1)
        broken = rates[(np.arange(len(rates)) > means.argmax()) & (means < LEARNS)]
        found[key] = float(broken[0]) if broken.size else float("nan")
    return found


def _of(found: Sequence[BestRate], net: str, optimizer: str, init: str) -> list[BestRate]:
    return [one for one in found if (one.net, one.optimizer, one.init) == (net, optimizer, init)]


def settings_of(found: Sequence[BestRate]) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys((one.net, one.optimizer, one.init) for one in found))


def name_of(setting: Sequence[str]) -> str:
    net, optimizer, init = setting
    gain = "He's gain" if init == "he" else "own gain"
    return f"{NAMES[net]}, {NAMES[optimizer]}, {gain}"


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]


def decide(found: Sequence[BestRate], level: float = 0.95) -> dict[str, dict[str, bool]]:
    """Hypothesis -> part -> whether it holds, with intervals of a level for the exponents.

    Parts whose settings were not all trained are left out.
    """
    powers = {setting: fit_power(_of(found, *setting)) for setting in settings_of(found)}
    n_all = len(OPTIMIZERS) * len(INITS)
    nets = [net for net in ("mlp2", "mlp8") if sum(one[0] == net for one in powers) == n_all]

    def ends(net: str, optimizer: str = "sgd", init: str = "he") -> tuple[float, float]:
        return powers[net, optimizer, init].interval(level)

    def is_nearer_to_0(one: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
        a, b = powers[one], powers[other]
        return abs(a.p) < abs(b.p) and not _overlap(a.interval(level), b.interval(level))

    made = {
        "A1": {NAMES[net]: ends(net)[1] < 0 for net in nets},
        "A2": {NAMES[net]: ends(net)[0] <= -1 <= ends(net)[1] for net in nets if net == "mlp2"},
        "A3": {NAMES[net]: is_nearer_to_0((net, "sgd", "own"), (net, "sgd", "he")) for net in nets},
        "A5": {NAMES[net]: is_nearer_to_0((net, "adam", "he"), (net, "sgd", "he")) for net in nets},
        "A6": {},
    }
    if nets == ["mlp2", "mlp8"]:
        made["A4"] = {"": is_nearer_to_0(("mlp2", "sgd", "he"), ("mlp8", "sgd", "he"))}
    for setting in powers:
        own = {one.slope: (one.low, one.high) for one in _of(found, *setting)}
        for slope in sorted({0.01, 0.03} & set(own), key=str):
            made["A6"][f"{name_of(setting)}, {slope}"] = _overlap(own[slope], own[0.0])
    return {name: {k: bool(v) for k, v in made[name].items()} for name in sorted(made)}


def tabulate_rates(found: Sequence[BestRate], net: str) -> str:
    """The best rate of ReLU in one net, and that of every slope divided by it."""
    settings = [setting for setting in settings_of(found) if setting[0] == net]
    heads = [name_of(setting).split(", ", 1)[1] for setting in settings]
    lines = table_head("slope", *heads)
    for slope in dict.fromkeys(one.slope for one in found):
        cells = []
        for setting in settings:
            own = {one.slope: one for one in _of(found, *setting)}
            one, relu = own.get(slope), own[0.0]
            if one is None or np.isnan(one.rate):
                cells.append("unknown")
                continue
            scale, draws = (1.0, 1.0) if slope == 0.0 else (relu.rate, relu.draws)
            low, high = np.quantile(one.draws / draws, [0.025, 0.975])
            value = f"{one.rate / scale:.2g}"
            # A parabola that opens downwards in one sample leaves no interval.
            ends = "" if np.isnan(low) else f" [{low:.2g}, {high:.2g}]"
            cells.append(value + ends + (" (edge)" if one.at_edge else ""))
        name = {0.0: "ReLU, rate", PRELU: "PReLU"}.get(slope, str(slope))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tabulate_powers(found: Sequence[BestRate]) -> str:
    settings = settings_of(found)
    lines = table_head("setting", "p", "R²", "n")
    for setting in settings:
        power = fit_power(_of(found, *setting))
        if np.isnan(power.p):
            lines.append(f"| {name_of(setting)} | unknown | | {power.n} |")
            continue
        low, high = power.interval()
        lines.append(
            f"| {name_of(setting)} | {power.p:.2f} [{low:.2f}, {high:.2f}] | "
            f"{power.explained:.2f} | {power.n} |"
        )
    return "\n".join(lines)


def tabulate_decisions(found: Sequence[BestRate]) -> str:
    """What was found of every hypothesis, with intervals for one and for all exponents together."""
    plain = decide(found)
    together = decide(found, 1 - 0.05 / len(settings_of(found)))
    lines = table_head("", "holds", "with intervals for all together")

    def told(parts: dict[str, bool]) -> str:
        if len(set(parts.values())) == 1:
            return "yes" if all(parts.values()) else "no"
        if len(parts) > 2:
            return f"in {sum(parts.values())} of {len(parts)}"
        return ", ".join(f"{name}: {'yes' if holds else 'no'}" for name, holds in parts.items())

    for name, parts in plain.items():
        if parts:
            lines.append(f"| {name} | {told(parts)} | {told(together[name])} |")
    return "\n".join(lines)


def tabulate_accuracy(second: Table, found: Sequence[BestRate]) -> str:
    """Accuracy of every slope at the best rate that was tried, less that of ReLU, in points.

    p of the paired t-test is corrected by Holm over all cells of the table.
    """
    settings = settings_of(found)
    cells: dict[tuple[Any, ...], tuple[float, float, float, float]] = {}
    base: dict[tuple[str, str, str], float] = {}
    for setting in settings:
        own = {}
        for slope in dict.fromkeys(one.slope for one in _of(found, *setting)):
            is_own = (second[KEYS] == list(setting)).all(axis=1) & second["slope"].eq(slope)
            _, accuracies = grid(second[is_own], "val_accuracy", 0.0)
            own[slope] = 100 * accuracies[accuracies.mean(1).argmax()]
        base[setting] = float(own[0.0].mean())
        for slope, values in own.items():
            if slope != 0.0:
                cells[*setting, slope] = compare(values, own[0.0])[:4]
    corrected: Any = multipletests([cell[3] for cell in cells.values()], method="holm")[1]
    is_shown = dict(zip(cells, corrected < 0.05, strict=True))
    lines = [
        *table_head("slope", *map(name_of, settings)),
        "| ReLU | " + " | ".join(f"{base[setting]:.2f} %" for setting in settings) + " |",
    ]
    for slope in dict.fromkeys(one.slope for one in found):
        if slope == 0.0:
            continue
        line = []
        for setting in settings:
            cell = cells.get((*setting, slope))
            if cell is None:
                line.append("diverged")
                continue
            mean, low, high, _ = cell
            star = "**" if is_shown[*setting, slope] else ""
            line.append(f"{star}{mean:+.2f}{star} [{low:+.2f}, {high:+.2f}]")
        lines.append(f"| {slope if slope != PRELU else 'PReLU'} | " + " | ".join(line) + " |")
    return "\n".join(lines)


def tabulate_first(first: Table) -> str:
    """Breakdown and inactive units in the first pass with He's gain, for a few slopes."""
    broken = breakdown(first)
    slopes = [slope for slope in (-1.0, 0.0, 0.1, 0.3, 1.0) if slope in set(first["slope"])]
    heads = ["ReLU" if slope == 0 else f"slope {slope:g}" for slope in slopes]
    lines = table_head("", *heads)
    for (net, optimizer, init), rows in first.groupby(KEYS, sort=False):
        if init == "he":
            cells = []
            for slope in slopes:
                own = rows[rows["slope"] == slope]
                if grid(own, "val_accuracy", 0.0)[1].mean(1).max() < LEARNS:
                    cells.append("does not learn")
                    continue
                rates, inactive = grid(own, "inactive_fraction", np.nan)
                limit = broken[net, optimizer, init, slope]
                last = len(rates) if np.isnan(limit) else int(np.searchsorted(rates, limit))
                told = "not seen" if np.isnan(limit) else f"{limit:.2g}"
                share = 100 * inactive[last - 1].mean()  # NaN if one of the trainings diverged
                cells.append(told if np.isnan(share) else f"{told}, {share:.0f} %")
            lines.append(f"| {NAMES[net]}, {NAMES[optimizer]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def make_tables(first: Table, second: Table) -> dict[str, str]:
    """The tables of the page, in Markdown."""
    found = find_best_rates(second)
    nets = dict.fromkeys(one.net for one in found)
    return {
        **{f"rates-{net}": tabulate_rates(found, net) for net in nets},
        "powers": tabulate_powers(found),
        "decisions": tabulate_decisions(found),
        "accuracy": tabulate_accuracy(second, found),
        "first": tabulate_first(first),
    }


def draw_rates(found: Sequence[BestRate], path: Path) -> None:
    """Best rate against slope: one panel per net and optimizer, one line per initialization."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    nets = list(dict.fromkeys(one.net for one in found))
    figure = Figure(figsize=(8, 3.2 * len(nets)), layout="constrained")
    panels = figure.subplots(len(nets), len(OPTIMIZERS), squeeze=False)
    colors = {"he": "#c2500b", "own": "#0b6fb8"}
    for row, net in zip(panels, nets, strict=True):
        for axes, optimizer in zip(row, OPTIMIZERS, strict=True):
            for init in INITS:
                own = [one for one in _of(found, net, optimizer, init) if one.slope != PRELU]
                x = [float(one.slope) for one in own]
                y = np.array([one.rate for one in own])
                ends = np.abs(np.array([[one.low, one.high] for one in own]).T - y)
                label = "He's gain for ReLU" if init == "he" else "gain of the slope"
                axes.errorbar(
                    x, y, np.nan_to_num(ends), fmt="o-", color=colors[init], markersize=4,
                    linewidth=1, label=label,
                )  # fmt: skip
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
            axes.set_title(f"{NAMES[net]}, {NAMES[optimizer]}", fontsize=10)
            axes.set_xlabel("negative slope")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color="#dddddd", which="both", linewidth=0.5)
        row[0].set_ylabel("best learning rate")
    panels[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def draw_map(first: Table, path: Path) -> None:
    """Heat maps of validation accuracy over slope and learning rate: one panel per setting."""
    from matplotlib.figure import Figure

    groups = list(first.groupby(KEYS, sort=False))
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(2.9 * columns + 1, 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    image: Any = None
    for axes, (setting, own) in zip(panels.flat, groups, strict=False):
        slopes = list(dict.fromkeys(own["slope"]))
        parts = [grid(own[own["slope"] == slope], "val_accuracy", 0.0) for slope in slopes]
        rates, accuracy = parts[0][0], 100 * np.stack([part.mean(1) for _, part in parts], axis=1)
        image = axes.imshow(
            accuracy, origin="lower", aspect="auto", cmap="viridis", vmin=10, vmax=100
        )
        axes.plot(accuracy.argmax(0), "o", color="white", markeredgecolor="black", markersize=3)
        names = ["PReLU" if slope == PRELU else f"{slope:g}" for slope in slopes]
        axes.set_xticks(range(len(slopes)), names, rotation=90, fontsize=6)
        shown = range(0, len(rates), 3)
        axes.set_yticks(shown, [f"{rates[i]:.2g}" for i in shown], fontsize=6)
        axes.set_title(name_of(setting), fontsize=7)
    for axes in panels.flat[len(groups) :]:
        axes.set_axis_off()
    for axes in panels[-1]:
        axes.set_xlabel("negative slope", fontsize=7)
    for axes in panels[:, 0]:
        axes.set_ylabel("learning rate", fontsize=7)
    figure.colorbar(image, ax=panels, label="validation accuracy, %", shrink=0.6)
    figure.savefig(path, dpi=150)


def main(options: Options) -> None:
    first, second = read(options, "first"), read(options, "second")
    for name, table in make_tables(first, second).items():
        print(f"{name}\n\n{table}\n")
    folder = options.pictures or options.run
    if folder is not None:
        draw_rates(find_best_rates(second), folder / "atlas_rates.png")
        draw_map(first, folder / "atlas_map.png")
        print(f"Pictures: {folder}/atlas_rates.png, {folder}/atlas_map.png")
    if options.collect is not None and options.run is not None:
        settings = storage.read_json(options.run / "atlas.json")
        for stage, table in (("first", first), ("second", second)):
            rows = [
                {key: "" if pd.isna(value) else value for key, value in row.items()}
                for row in table.to_dict("records")
            ]
            write_rows(
                options.collect / f"atlas_{settings['dataset']}_{stage}.csv.gz", COLUMNS, rows
            )


if __name__ == "__main__":
    sys.exit(run_program(Options, main))
