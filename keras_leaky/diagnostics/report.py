"""The results of `dead_units`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # importing the pack does not import matplotlib
    from matplotlib.figure import Figure

_COLUMNS = ("dead", "inactive", "always_on", "dormant")


@dataclass(frozen=True)
class LayerUnits:
    """The units of one activation.

    Arrays have one entry per unit: shape (n_units,), or with `per_element` the shape of the layer's
    output without batch.

    Attributes:
        layer: Name of the layer that has the activation, or of the activation layer.
        kind: Name of the activation.
        n_values: Pre-activations of a unit in the sample; a channel has one at each position.
        active_fraction: Fraction of them that are active, in [0, 1].
        is_dead: Whether the derivative is 0 at all of them, so that the unit gets no gradient.
        relative_output: Mean magnitude of the unit's output, divided by the mean over the layer; at
            least 0.
        tau: A unit with a `relative_output` of at most this is dormant.
    """

    layer: str
    kind: str
    n_values: int
    active_fraction: np.ndarray
    is_dead: np.ndarray
    relative_output: np.ndarray
    tau: float

    @property
    def n_units(self) -> int:
        return self.active_fraction.size

    @property
    def is_inactive(self) -> np.ndarray:
        return self.active_fraction == 0

    @property
    def is_always_on(self) -> np.ndarray:
        return self.active_fraction == 1

    @property
    def is_dormant(self) -> np.ndarray:
        return self.relative_output <= self.tau

    def count(self, column: str) -> int:
        """How many units are "dead", "inactive", "always_on" or "dormant"."""
        return int(np.sum(getattr(self, f"is_{column}")))

    def to_dict(self) -> dict[str, Any]:
        counts = {}
        for column in _COLUMNS:
            counts[f"n_{column}"] = self.count(column)
            counts[f"{column}_fraction"] = self.count(column) / self.n_units
        active = self.active_fraction.ravel().tolist()
        head = {"layer": self.layer, "kind": self.kind, "n_units": self.n_units}
        return {**head, **counts, "active_fraction": active}


@dataclass(frozen=True)
class DeadUnitReport:
    """The result of `dead_units`: print it, `plot` it, or take `to_dict()`.

    `report["dense"]` is the `LayerUnits` of the layer called "dense". Iterating over the report
    gives the `LayerUnits` of all layers, and `len(report)` is their number.

    Attributes:
        n_samples: Number of samples that the model was shown.
        layers: `LayerUnits`, in the order in which the model applies the activations.
    """

    n_samples: int
    layers: tuple[LayerUnits, ...]

    def __getitem__(self, layer: str) -> LayerUnits:
        for units in self.layers:
            if units.layer == layer:
                return units
        names = ", ".join(units.layer for units in self.layers)
        raise KeyError(f"No activation of layer {layer!r}. There are: {names}")

    def __iter__(self) -> Iterator[LayerUnits]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __contains__(self, layer: object) -> bool:
        """Whether `report[layer]` is there."""
        return any(units.layer == layer for units in self.layers)

    @property
    def n_units(self) -> int:
        return sum(units.n_units for units in self.layers)

    @property
    def dead_fraction(self) -> float:
        """Fraction of dead units among the units of all layers."""
        return self._count("dead") / self.n_units

    @property
    def inactive_fraction(self) -> float:
        """Fraction of inactive units among the units of all layers."""
        return self._count("inactive") / self.n_units

    @property
    def missed_fraction(self) -> float:
        """Fraction of all samples on which an inactive unit may still be active.

        It is the 95 % upper bound of the fraction of samples with an active pre-activation, if 0 of
        `n_samples` had one: 1 - 0.05 ** (1 / n_samples), about 3 / n_samples.
        """
        return 1 - 0.05 ** (1 / self.n_samples)

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON values, with the active fraction of every unit."""
        return {"n_samples": self.n_samples, "layers": [units.to_dict() for units in self.layers]}

    def plot(self) -> "Figure":
        """A `matplotlib.figure.Figure`: the fractions of units, and the active fraction of each."""
        from keras_leaky.diagnostics._plots import draw_report

        return draw_report(self)

    def _count(self, column):
        return sum(units.count(column) for units in self.layers)

    def __str__(self) -> str:
        columns = [column.replace("_", " ") for column in _COLUMNS]
        rows = [["layer", "activation", "units", *columns, "active fraction"]]
        for units in self.layers:
            counts = [f"{units.count(column):,}" for column in _COLUMNS]
            low, middle, high = np.quantile(units.active_fraction, [0, 0.5, 1])
            active = f"{low:.2f} .. {middle:.2f} .. {high:.2f}"
            rows.append([units.layer, units.kind, f"{units.n_units:,}", *counts, active])
        counts = [f"{self._count(column):,}" for column in _COLUMNS]
        rows.append(["all", "", f"{self.n_units:,}", *counts, ""])
        legend = f"""
dead: the derivative is 0 at every pre-activation, so the unit gets no gradient
inactive: no active pre-activation in {self.n_samples:,} samples; with 95 % confidence,
    at most {self.missed_fraction:.2%} of all samples have one
always on: all pre-activations are active
dormant: mean |output| of at most {self.layers[0].tau:g} of the layer's mean (ReDo)
active fraction: fraction of pre-activations that are positive, or above the threshold of the
    activation; smallest .. median .. largest of the units
"""
        return "\n".join([*_align(rows), legend])


def _align(rows):
    """Lines of a table: two columns of text, then numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join(names + numbers).rstrip()
