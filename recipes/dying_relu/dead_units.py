"""Part 3: which units are inactive, what the remedies change, and which units come back."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from keras_leaky.study.statistics import summarize
from recipes.datasets import Split
from recipes.dying_relu.budget import Budget
from recipes.dying_relu.intervals import ratio_interval
from recipes.dying_relu.training_death import HIDDEN, History, shape_of, train_ensemble

LEARNING_ACCURACY = 0.5
"""A net learns if it is finite and gets this share of the validation images right at the end."""

BASELINE = "ReLU that loses most units"

LAYERS = ("first hidden layer", "later hidden layers")


@dataclass(frozen=True)
class DeathRow:
    """One net at one epoch; epoch 0 is initialization. A diverged net has no fractions.

    Inactive: no positive pre-activation on the sample. Dead: inactive, and the derivative there is
    0, so that only ReLU units (alpha 0) die.
    """

    momentum: float
    learning_rate: float
    alpha: float
    seed: int
    epoch: int
    diverged: bool
    n_units: int
    n_inactive: int | None
    inactive_fraction: float | None
    dead_fraction: float | None
    inactive_fraction_layer_1: float | None
    inactive_fraction_layer_2: float | None
    inactive_fraction_layer_3: float | None
    val_accuracy: float | None


@dataclass(frozen=True)
class CellRow:
    """One point of the grid after the last epoch; means over the seeds that did not diverge."""

    momentum: float
    learning_rate: float
    alpha: float
    n_seeds: int
    n_diverged: int
    n_learning: int
    inactive_fraction: float | None
    inactive_ci95_low: float | None
    inactive_ci95_high: float | None
    val_accuracy: float | None
    val_accuracy_ci95_low: float | None
    val_accuracy_ci95_high: float | None


@dataclass(frozen=True)
class RevivalRow:
    """Of the units inactive after epoch 1 in nets that learn, how many are active again."""

    alpha: float
    layers: str
    epoch: int
    n_nets: int
    n_inactive: int  # after epoch 1
    n_active_again: int  # at this epoch or one before
    active_again_fraction: float
    ci95_low: float | None
    ci95_high: float | None
    n_active_now: int  # at this epoch
    active_now_fraction: float


@dataclass(frozen=True)
class ComparisonRow:
    """ReLU nets that lose units, or the same nets under a remedy, after the last epoch.

    The difference in accuracy is to the first row of the momentum, paired by seed, over the seeds
    where neither net diverged; with fewer than five such seeds it has no interval.
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


@dataclass(frozen=True)
class TrainingDeath:
    """Part 3.

    Attributes:
        nets, revival: What was measured; `cells` and `comparison` follow from `nets`.
        shape: Units of every layer, such as 784-100-100-100-10.
        n_images, n_sample, n_validation: Images for training, for the state of a unit, and for the
            accuracy.
    """

    title: ClassVar[str] = "Dying while learning"
    nets: list[DeathRow]
    revival: list[RevivalRow]
    shape: str
    n_images: int
    n_sample: int
    n_validation: int

    @functools.cached_property
    def cells(self) -> list[CellRow]:
        return cell_rows(self.nets)

    @functools.cached_property
    def comparison(self) -> list[ComparisonRow]:
        return comparison_rows(self.cells, self.nets)

    @property
    def tables(self) -> dict[str, Sequence[Any]]:
        return {
            "dead_units": self.nets,
            "dead_units_cells": self.cells,
            "remedies": self.comparison,
            "revival": self.revival,
        }


def measure_training_death(
    budget: Budget, seed: int, advance: Callable[[float], None], data: Split
) -> TrainingDeath:
    """Measures part 3.

    Args:
        seed: The run's.
        advance: Called with the fraction of the work that was done since the last call.
        data: Its test images are not used.
    """
    step = 1 / len(budget.momenta) / budget.death_epochs
    histories = [
        train_ensemble(
            *(momentum, budget.learning_rates, budget.alphas, budget.n_seeds),
            *(budget.death_epochs, data, seed, lambda epoch: advance(step)),
        )
        for momentum in budget.momenta
    ]
    return TrainingDeath(
        [row for history in histories for row in death_rows(history)],
        revival_rows(histories, seed),
        "-".join(map(str, shape_of(data))),
        n_images=len(data.x_train),
        n_sample=histories[0].n_sample,
        n_validation=len(data.x_validation),
    )


def death_rows(history: History) -> list[DeathRow]:
    """One row a net and epoch."""
    layers = history.layer_of_unit
    n_units = len(layers)
    rows = []
    for net, cell in enumerate(history.cells):
        for epoch in range(len(history.active)):
            inactive = ~history.active[epoch, net]
            finite = bool(history.finite[epoch, net])
            fraction = float(inactive.mean())
            by_layer = [float(inactive[layers == i + 1].mean()) for i in range(len(HIDDEN))]
            seen = [
                *(int(inactive.sum()), fraction, fraction if cell.alpha == 0 else 0.0),
                *(*by_layer, float(history.accuracy[epoch, net])),
            ]
            rows.append(
                DeathRow(
                    *(history.momentum, cell.learning_rate, cell.alpha, cell.seed),
                    *(epoch, not finite, n_units),
                    *(seen if finite else [None] * len(seen)),
                )
            )
    return rows


def cell_rows(rows: Sequence[DeathRow]) -> list[CellRow]:
    """One row for each momentum, learning rate and alpha, from the rows of the last epoch."""
    last = max(row.epoch for row in rows)
    cells: dict[tuple[float, float, float], list[DeathRow]] = {}
    for row in rows:
        if row.epoch == last:
            cells.setdefault((row.momentum, row.learning_rate, row.alpha), []).append(row)
    return [_cell_row(key, nets) for key, nets in cells.items()]


def _cell_row(key: tuple[float, float, float], nets: Sequence[DeathRow]) -> CellRow:
    inactive = [row.inactive_fraction for row in nets if row.inactive_fraction is not None]
    accuracy = [row.val_accuracy for row in nets if row.val_accuracy is not None]
    intervals = [*_interval(inactive), *_interval(accuracy)]
    n_learning = sum(a >= LEARNING_ACCURACY for a in accuracy)
    return CellRow(*key, len(nets), len(nets) - len(accuracy), n_learning, *intervals)


def _interval(values: Sequence[float]) -> list[float | None]:
    """Mean and ends of its interval, of fractions."""
    if not values:
        return [None] * 3
    summary = summarize(values, is_fraction=True)
    return [summary.mean, *(summary.ci95 or (None, None))]


def revival_rows(histories: Sequence[History], seed: int) -> list[RevivalRow]:
    """Follows the units that are inactive after epoch 1, by alpha and kind of layer.

    Only nets that learn count: a net that is dead as a whole cannot come back and would decide the
    share. The intervals are of a bootstrap over nets.
    """
    rows = []
    for alpha in dict.fromkeys(cell.alpha for cell in histories[0].cells):
        nets = [
            (history, net)
            for history in histories
            for net, cell in enumerate(history.cells)
            if cell.alpha == alpha and _learns(history, net)
        ]
        if not nets:
            continue
        active = np.stack([history.active[:, net] for history, net in nets], axis=1)
        is_first = histories[0].layer_of_unit == 1
        for name, units in zip(LAYERS, (is_first, ~is_first), strict=True):
            rows += _revival(alpha, name, active[:, :, units], seed)
    return rows


def _learns(history: History, net: int) -> bool:
    return bool(history.finite[-1, net] and history.accuracy[-1, net] >= LEARNING_ACCURACY)


def _revival(alpha: float, layers: str, active: np.ndarray, seed: int) -> list[RevivalRow]:
    """`active` is of shape (epochs + 1, nets, units)."""
    inactive = ~active[1]
    rows = []
    for epoch in range(1, len(active)):
        again = (inactive & active[2 : epoch + 1].any(0)).sum(1)
        now = int((inactive & active[epoch]).sum())
        n = int(inactive.sum())
        if n == 0:
            break
        interval = ratio_interval(again, inactive.sum(1), seed)
        counts = (active.shape[1], n, int(again.sum()))
        rows.append(RevivalRow(alpha, layers, epoch, *counts, *interval, now, now / n))
    return rows


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
    if cell is not baseline and differences:
        summary = summarize(differences, is_fraction=False)
        interval = [summary.mean, *(summary.ci95 or (None, None))]
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
