"""All that is measured, as the tables hold it."""

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.common.dying.born_dead import BornDeadRow, RemedyRow
from recipes.common.dying.collapse import CollapseRow, FunctionRow, NetRow
from recipes.common.dying.comparison import ComparisonRow, comparison_rows
from recipes.common.dying.revival import (
    CellRow,
    DeathRow,
    RevivalRow,
    cell_rows,
    death_rows,
    revival_rows,
)
from recipes.common.dying.theory import born_dead_bounds
from recipes.common.dying.training_death import History


@dataclass(frozen=True)
class BoundsRow:
    """The band of the first picture."""

    depth: int
    width: int
    lower_bound: float
    upper_bound: float


@dataclass(frozen=True)
class BornDead:
    """Part 1."""

    nets: list[BornDeadRow]
    remedies: list[RemedyRow]

    @property
    def bounds(self) -> list[BoundsRow]:
        deepest = max(row.depth for row in self.nets)
        return [
            BoundsRow(depth, width, *born_dead_bounds(depth, width))
            for width in dict.fromkeys(row.width for row in self.nets)
            for depth in range(2, deepest + 1)
        ]

    @property
    def tables(self) -> dict[str, Sequence]:
        return {
            "born_dead": self.nets,
            "born_dead_bounds": self.bounds,
            "born_dead_remedies": self.remedies,
        }


@dataclass(frozen=True)
class Collapse:
    """Part 2."""

    arms: list[CollapseRow]
    nets: list[NetRow]
    functions: list[FunctionRow]

    @property
    def tables(self) -> dict[str, Sequence]:
        return {
            "collapse": self.arms,
            "collapse_nets": self.nets,
            "collapse_functions": self.functions,
        }


@dataclass(frozen=True)
class TrainingDeath:
    """Part 3."""

    nets: list[DeathRow]
    cells: list[CellRow]
    comparison: list[ComparisonRow]
    revival: list[RevivalRow]
    n_sample: int
    n_validation: int

    @classmethod
    def of(cls, histories: Sequence[History], n_validation: int, seed: int) -> "TrainingDeath":
        nets = [row for history in histories for row in death_rows(history)]
        cells = cell_rows(nets)
        revival = revival_rows(histories, seed)
        n_sample = histories[0].n_sample
        return cls(nets, cells, comparison_rows(cells, nets), revival, n_sample, n_validation)

    @property
    def tables(self) -> dict[str, Sequence]:
        return {
            "dead_units": self.nets,
            "dead_units_cells": self.cells,
            "remedies": self.comparison,
            "revival": self.revival,
        }


@dataclass(frozen=True)
class Results:
    """The three parts."""

    born_dead: BornDead
    collapse: Collapse
    training_death: TrainingDeath
