"""What a run keeps of each trial and each retraining: the truth that its tables are made from.

A record is one file, so that it is there or not; a table is one file for all.
"""

import functools
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from recipes.common.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow
from recipes.common.tables import format_lines

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class TrialRecord:
    """A finished trial.

    Attributes:
        row: Of trials.csv.
        epochs: Of epochs.csv: of the first execution, then of the next.
        state: KerasTuner's own of the trial.
    """

    row: TrialRow
    epochs: Sequence[EpochRow]
    state: Mapping[str, Any]

    @functools.cached_property  # once, though the tables are written after every trial
    def lines(self) -> dict[type, bytes]:
        """What it adds to each table."""
        return {
            TrialRow: format_lines([self.row], TrialRow),
            EpochRow: format_lines(self.epochs, EpochRow),
        }

    def to_json(self) -> dict[str, Any]:
        return {**self.state, "row": vars(self.row), "epochs": [*map(vars, self.epochs)]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "TrialRecord":
        """Checks everything that the recipes rely on.

        Raises:
            ValueError: Says what is wrong.
        """
        row, epochs = _row(TrialRow, content), _rows(EpochRow, content, "epochs")
        _require(row.trial_id.isdecimal(), f"trial_id {row.trial_id!r}")
        _require(row.status in ("COMPLETED", "FAILED"), f"status {row.status!r}")
        has_score = row.score is not None and math.isfinite(row.score)
        _require(has_score == (row.status == "COMPLETED"), f"score {row.score} of {row.status}")
        for epoch in epochs:
            _require_same(epoch, row, phase="search")
        state = {k: v for k, v in content.items() if k not in ("row", "epochs")}
        return cls(row, epochs, state)


@dataclass(frozen=True)
class RetrainingRecord:
    """A finished retraining.

    Attributes:
        index: Of its seed among those that `--seeds` draws, from 0.
        row, epochs, dead_units: Of the tables.
        model_sha256: Of best.keras if that is the model of this retraining, else None.
    """

    index: int
    row: RetrainingRow
    epochs: Sequence[EpochRow]
    dead_units: Sequence[DeadUnitRow]
    model_sha256: str | None = None

    @functools.cached_property
    def lines(self) -> dict[type, bytes]:
        """As of `TrialRecord`."""
        return {
            RetrainingRow: format_lines([self.row], RetrainingRow),
            EpochRow: format_lines(self.epochs, EpochRow),
            DeadUnitRow: format_lines(self.dead_units, DeadUnitRow),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "row": vars(self.row),
            "epochs": [*map(vars, self.epochs)],
            "dead_units": [*map(vars, self.dead_units)],
            "model_sha256": self.model_sha256,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RetrainingRecord":
        """As of `TrialRecord`."""
        row, epochs = _row(RetrainingRow, content), _rows(EpochRow, content, "epochs")
        units = _rows(DeadUnitRow, content, "dead_units")
        _require(row.trial_id.isdecimal(), f"trial_id {row.trial_id!r}")
        for epoch in epochs:
            _require_same(epoch, row, phase="retrain", seed=row.seed)
        for unit in units:
            _require_same(unit, row, seed=row.seed)
        index = _value(int, content.get("index"), "index")
        sha256 = _value(str | None, content.get("model_sha256"), "model_sha256")
        return cls(index, row, epochs, units, sha256)


def _row(cls: type[RowT], content: dict[str, Any]) -> RowT:
    return _parse(cls, content.get("row"))


def _rows(cls: type[RowT], content: dict[str, Any], name: str) -> list[RowT]:
    found = content.get(name)
    _require(isinstance(found, list), f"no list of {name}")
    return [_parse(cls, row) for row in found or ()]


_kinds = functools.cache(typing.get_type_hints)


def _parse(cls: type[RowT], content: Any) -> RowT:
    kinds = _kinds(cls)
    _require(isinstance(content, dict) and set(content) == set(kinds), f"no {cls.__name__}")
    return cls(**{name: _value(kind, content[name], name) for name, kind in kinds.items()})


def _value(kind: Any, value: Any, name: str) -> Any:
    """The value if it is of its kind; a whole number may stand for a float."""
    if isinstance(kind, types.UnionType):
        return None if value is None else _value(typing.get_args(kind)[0], value, name)
    if typing.get_origin(kind) is list:
        _require(isinstance(value, list), f"{name} {value!r}")
        return [_value(typing.get_args(kind)[0], item, name) for item in value]
    _require(type(value) is kind or (kind, type(value)) == (float, int), f"{name} {value!r}")
    return kind(value)


def _require_same(row: Any, owner: TrialRow | RetrainingRow, **others: Any) -> None:
    expected = {"arm": owner.arm, "trial_id": owner.trial_id, **others}
    found = {name: getattr(row, name) for name in expected}
    _require(found == expected, f"a {type(row).__name__} of {found} in the record of {expected}")


def _require(holds: bool, what_is_wrong: str) -> None:
    if not holds:
        raise ValueError(what_is_wrong)
