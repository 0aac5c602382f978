"""What dead_units.csv says of an arm: shares of its units, by layer and in all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipes.common.run_folder import DeadUnitRow


@dataclass(frozen=True)
class LayerShares:
    """One rectifier of an arm over its retrainings.

    Attributes:
        dead_fraction, inactive_fraction: Means over the seeds.
        active_fraction: Of every unit of every seed.
    """

    layer: str
    n_units: int
    n_seeds: int
    dead_fraction: float
    inactive_fraction: float
    active_fraction: list[float]


def layer_shares(rows: Sequence[DeadUnitRow]) -> list[LayerShares]:
    """The rectifiers of one arm's retrainings, in the order of the net."""
    found = []
    for layer in dict.fromkeys(row.layer for row in rows):
        own = [row for row in rows if row.layer == layer]
        active = [fraction for row in own for fraction in row.active_fraction]
        dead, inactive = _mean_fraction(own, "dead"), _mean_fraction(own, "inactive")
        found.append(LayerShares(layer, own[0].n_units, len(own), dead, inactive, active))
    return found


def mean_fraction(rows: Sequence[DeadUnitRow], kind: str) -> float | None:
    """Share of "dead" or "inactive" units among all of an arm's, None if none were counted."""
    return _mean_fraction(rows, kind) if rows else None


def missed_fraction(n_samples: int) -> float:
    """On how large a share of images a unit may still be active that was so on none of the sample.

    The upper end of a one-sided 95 % interval: with this share, 0 of `n_samples` has a
    probability of 5 %.
    """
    return 1 - 0.05 ** (1 / n_samples)


def _mean_fraction(rows: Sequence[DeadUnitRow], kind: str) -> float:
    counts = [getattr(row, f"n_{kind}") for row in rows]
    return float(np.sum(counts) / np.sum([row.n_units for row in rows]))
