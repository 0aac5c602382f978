"""The two remedies side by side: a smaller learning rate, and a leak."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipes.common.dying.intervals import mean_interval
from recipes.common.dying.revival import CellRow, DeathRow

BASELINE = "ReLU that loses most units"


@dataclass(frozen=True)
class ComparisonRow:
    """ReLU nets that lose units, or the same nets under a remedy, after the last epoch.

    The difference in accuracy is to the first row of the momentum, paired by seed, over the seeds
    where neither net diverged; it and its Student t interval are empty where there are too few.
    """

    momentum: float
    setting: str
    learning_rate: float
    alpha: float
    n_seeds: int
    n_diverged: int
    inactive_fraction: float | None
    val_accuracy: float | None
    accuracy_difference: float | None
    difference_ci95_low: float | None
    difference_ci95_high: float | None


def comparison_rows(cells: Sequence[CellRow], nets: Sequence[DeathRow]) -> list[ComparisonRow]:
    """For each momentum: the ReLU nets that lose most units while all still learn, and remedies.

    The smaller learning rate is two steps down the grid, about a fifth.
    """
    rows = []
    for momentum in dict.fromkeys(cell.momentum for cell in cells):
        here = [cell for cell in cells if cell.momentum == momentum]
        baseline = find_baseline(here)
        if baseline is None:
            continue
        rates = sorted({cell.learning_rate for cell in here})
        rate = baseline.learning_rate
        smaller = rates[max(rates.index(rate) - _steps(rates), 0)]
        leaks = sorted({cell.alpha for cell in here} - {0.0})
        settings = [(BASELINE, rate, 0.0)]
        if smaller < rate:
            settings.append(("smaller learning rate", smaller, 0.0))
        settings += [(f"leak of {leak:g}", rate, leak) for leak in leaks]
        if smaller < rate:
            settings += [(f"both, leak of {leak:g}", smaller, leak) for leak in leaks]
        rows += [
            _row(cell, name, baseline, nets)
            for name, *point in settings
            for cell in here
            if [cell.learning_rate, cell.alpha] == point
        ]
    return rows


def find_baseline(cells: Sequence[CellRow]) -> CellRow | None:
    """Of the ReLU nets with one momentum that all learn, those with most inactive units."""
    learning = [
        cell
        for cell in cells
        if cell.alpha == 0 and cell.n_learning == cell.n_seeds and cell.inactive_fraction
    ]
    return max(learning, key=lambda cell: cell.inactive_fraction or 0.0, default=None)


def _steps(rates: Sequence[float]) -> int:
    """Steps down the grid that come closest to a fifth."""
    step = (rates[-1] / rates[0]) ** (1 / max(len(rates) - 1, 1))
    return max(round(np.log(5) / np.log(step)), 1) if step > 1 else 1


def _row(cell: CellRow, setting: str, baseline: CellRow, nets: Sequence[DeathRow]) -> ComparisonRow:
    ours, theirs = _accuracies(cell, nets), _accuracies(baseline, nets)
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    interval: list[float | None] = [None] * 3
    if cell is not baseline and len(differences) > 1:
        interval = list(mean_interval(differences))
    return ComparisonRow(
        *(cell.momentum, setting, cell.learning_rate, cell.alpha, cell.n_seeds, cell.n_diverged),
        *(cell.inactive_fraction, cell.val_accuracy, *interval),
    )


def _accuracies(cell: CellRow, nets: Sequence[DeathRow]) -> dict[int, float]:
    """The accuracy of each seed of a cell after the last epoch, diverged nets left out."""
    last = max(row.epoch for row in nets)
    key = (cell.momentum, cell.learning_rate, cell.alpha)
    return {
        row.seed: row.val_accuracy
        for row in nets
        if (row.momentum, row.learning_rate, row.alpha) == key
        and row.epoch == last
        and row.val_accuracy is not None
    }
