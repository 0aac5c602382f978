"""The best learning rate of every slope, from the tables of `recipes.atlas`, and its map."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from keras_leaky import storage
from keras_leaky.study import InputError
from recipes.atlas import PRELU, SECOND_NETS, TEXTS
from recipes.tables import read_rows

N_BOOTSTRAP = 2_000
MAX_FACTOR = 1.25  # either way, of an interval of a best rate
NEAR_BEST = 0.002  # of accuracy


def best_rate(rates: np.ndarray, losses: np.ndarray) -> float:
    """The minimum of a parabola in the log rate through losses; NaN if it opens downwards.

    Args:
        rates: Of shape (n,).
        losses: Means over seeds, of shape (n,); losses without a logarithm are left out.
    """
    x, is_known = np.log(rates), np.isfinite(losses) & (losses > 0)
    if is_known.sum() < 3:
        return float("nan")
    x, y = x[is_known], np.log(losses[is_known])
    a, b, _ = np.polyfit(x - x.mean(), y, 2)
    if a <= 0:
        return float("nan")
    # Outside of the rates that were tried a parabola says nothing.
    return float(np.exp(np.clip(x.mean() - b / (2 * a), x.min(), x.max())))


def summarize(rows: Sequence[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """One row per slope: the best rate with its interval, and the rates that are as good.

    Args:
        rows: Rows of the second pass, for one net, optimizer and initialization.
    """
    rng, found = np.random.default_rng(seed), []
    for slope in dict.fromkeys(row["slope"] for row in rows):
        own = [row for row in rows if row["slope"] == slope]
        rates = np.array(sorted({row["learning_rate"] for row in own}))
        seeds = sorted({row["seed"] for row in own})
        losses = np.full((len(rates), len(seeds)), np.inf)
        accuracies = np.zeros_like(losses)
        for row in own:
            place = np.searchsorted(rates, row["learning_rate"]), seeds.index(row["seed"])
            if row["val_loss"] is not None:
                losses[place], accuracies[place] = row["val_loss"], row["val_accuracy"]
        draws = [
            best_rate(rates, losses[:, rng.integers(len(seeds), size=len(seeds))].mean(1))
            for _ in range(N_BOOTSTRAP)
        ]
        best, ci95, is_sharp = best_rate(rates, losses.mean(1)), None, False
        # A parabola that opens downwards in some draws leaves no interval.
        if np.isfinite([best, *draws]).all():
            low, high = np.quantile(draws, [0.025, 0.975])
            ci95 = [float(low), float(high)]
            is_sharp = bool(high / best <= MAX_FACTOR and best / low <= MAX_FACTOR)
        means = accuracies.mean(1)
        good = rates[means >= means.max() - NEAR_BEST]
        found.append(
            {
                "slope": slope,
                "best_rate": best if np.isfinite(best) else None,
                "ci95": ci95,
                "is_sharp": is_sharp,
                "n": len(seeds),
                "good_rates": [float(good.min()), float(good.max())],
                "accuracy": float(means.max()),
            }
        )
    return found


def fit_power(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The exponent p of best rate ~ (1 + slope^2)^p over the fixed slopes, with its interval."""
    from scipy import stats

    own = [row for row in found if row["slope"] != PRELU and row["best_rate"] is not None]
    if len(own) < 3:
        return {"exponent": None, "ci95": None, "n_slopes": len(own)}
    x = np.log1p(np.square([row["slope"] for row in own]))
    line: Any = stats.linregress(x, np.log([row["best_rate"] for row in own]))
    half = float(stats.t.ppf(0.975, len(own) - 2) * line.stderr)
    p = float(line.slope)
    return {"exponent": p, "ci95": [p - half, p + half], "n_slopes": len(own)}


def draw(folder: Path, name: str, rows: Sequence[dict[str, Any]]) -> Path:
    """A heat map of validation accuracy over slope and learning rate, of the first pass."""
    from matplotlib.figure import Figure

    slopes = list(dict.fromkeys(row["slope"] for row in rows))
    rates = sorted({row["learning_rate"] for row in rows})
    accuracy = np.full((len(rates), len(slopes)), np.nan)
    for i, rate in enumerate(rates):
        for j, slope in enumerate(slopes):
            own = [r for r in rows if (r["learning_rate"], r["slope"]) == (rate, slope)]
            accuracy[i, j] = np.mean([r["val_accuracy"] or 0.0 for r in own])
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * accuracy, origin="lower", aspect="auto", cmap="viridis")
    axes.set_xticks(range(len(slopes)), [str(slope) for slope in slopes])
    axes.set_yticks(range(len(rates)), [f"{rate:.2g}" for rate in rates])
    axes.set_xlabel("negative slope")
    axes.set_ylabel("learning rate")
    axes.set_title(f"{name}: validation accuracy, %")
    best = np.nanargmax(accuracy, axis=0)
    axes.plot(range(len(slopes)), best, "o", color="white", markeredgecolor="black")
    figure.colorbar(image)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=120)
    return path


def _told(value: float | None, ci95: Sequence[float] | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3g}" + (f" ({ci95[0]:.3g} to {ci95[1]:.3g})" if ci95 else " (no interval)")


def main(run: tyro.conf.Positional[Path]) -> None:
    """Draws the maps of a run of `recipes.atlas`, and writes summary.json.

    Args:
        run: The folder of the run.
    """
    summary = []
    for path in sorted(run.glob("first-*.csv.gz")):
        name = path.name.removeprefix("first-").removesuffix(".csv.gz")
        print(f"Map: {draw(run, name, read_rows(path, TEXTS))}")
        net, optimizer, init = name.split("-")
        second = run / f"second-{name}.csv.gz"
        if net in SECOND_NETS and second.exists():
            found = summarize(read_rows(second, TEXTS))
            own = {"net": net, "optimizer": optimizer, "init": init}
            summary.append({**own, "rates": found, "power": fit_power(found)})
            for row in found:
                told = _told(row["best_rate"], row["ci95"])
                print(f"{name} slope {row['slope']}: best rate {told}, n = {row['n']}")
            power = summary[-1]["power"]
            print(f"{name}: rate ~ (1 + slope^2)^p, p = {_told(power['exponent'], power['ci95'])}")
    if not summary:
        print("No second pass yet.", file=sys.stderr)
    storage.write_whole(run / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
