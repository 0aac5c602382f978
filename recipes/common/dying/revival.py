"""From the states of units over epochs to rows: who is inactive, and who comes back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipes.common.dying.intervals import mean_interval, ratio_interval
from recipes.common.dying.training_death import HIDDEN, History

LEARNING_ACCURACY = 0.5
"""A net learns if it is finite and gets this share of the validation images right at the end."""

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
    ci95_low: float
    ci95_high: float
    n_active_now: int  # at this epoch
    active_now_fraction: float


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
    if not values:
        return [None] * 3
    return [None if np.isnan(v) else v for v in mean_interval(values)]


def revival_rows(histories: Sequence[History], seed: int) -> list[RevivalRow]:
    """Follows the units that are inactive after epoch 1, by alpha and kind of layer.

    Only nets that learn count: a net that is dead as a whole has no way back and would decide the
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
