"""The records of a run as files, and the tables that they give."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from recipes.common.damage import Damage
from recipes.common.records import RetrainingRecord, TrialRecord
from recipes.common.rows import RetrainingRow, TrialRow
from recipes.common.run_files import write_run_json
from recipes.common.tables import format_header

RecordT = TypeVar("RecordT", TrialRecord, RetrainingRecord)


class RecordFiles:
    """Reads and writes the records of one run.

    Args:
        folder: Of the run.
        arms: Names of the arms, in the order that the rows are to have.
    """

    def __init__(self, folder: Path, arms: Sequence[str]) -> None:
        self.search, self._retrained = folder / "search", folder / "retrainings"
        self.arms = arms
        self._trials: dict[Path, TrialRecord] = {}
        self._retrainings: dict[Path, RetrainingRecord] = {}

    def read(self, damage: Damage) -> None:
        """Reads all that are whole.

        Raises:
            DamagedRunError: One is not, and damage is refused.
            InputError: One cannot be read.
        """
        for base in (self.search, self._retrained):
            damage.clear_folder(base)
            for parts in (Path(arm).parts for arm in self.arms):
                for i in range(len(parts)):
                    damage.clear_folder(base.joinpath(*parts[: i + 1]))
        for path in sorted(self.search.rglob("trial_*")):
            if not path.suffix:  # else it was set aside before
                damage.clear_folder(path)
        self._trials = damage.read_records(
            self.search.rglob("trial_*/trial.json"),
            lambda content: self._own(TrialRecord.from_json(content)),
            lambda record: self._trial_file(record.row),
            "Its trial runs again.",
        )
        self._retrainings = damage.read_records(
            self._retrained.rglob("*.json"),
            lambda content: self._own(RetrainingRecord.from_json(content)),
            lambda record: self._retraining_file(record.row),
            "Its retraining runs again.",
        )

    def write_trial(self, record: TrialRecord) -> None:
        path = self._trial_file(record.row)
        write_run_json(path, record.to_json())
        self._trials[path] = record

    def write_retraining(self, record: RetrainingRecord) -> None:
        path = self._retraining_file(record.row)
        write_run_json(path, record.to_json())
        self._retrainings[path] = record

    def retraining(self, row: RetrainingRow) -> RetrainingRecord:
        """The record that a row is of."""
        return self._retrainings[self._retraining_file(row)]

    @property
    def of_model(self) -> RetrainingRecord | None:
        """The record of the retraining whose model is best.keras, None if there is none."""
        records = self._retrainings.values()
        return next((record for record in records if record.model_sha256), None)

    def disown_model(self) -> None:
        """Lets no record name a model any more."""
        while record := self.of_model:
            self.write_retraining(dataclasses.replace(record, model_sha256=None))

    def in_order(self) -> tuple[list[TrialRecord], list[RetrainingRecord]]:
        """All of them, in an order that does not depend on which finished first."""
        order = {arm: i for i, arm in enumerate(self.arms)}

        def place(record: TrialRecord | RetrainingRecord) -> tuple[int, int]:
            return order[record.row.arm], int(record.row.trial_id)

        return sorted(self._trials.values(), key=place), sorted(
            self._retrainings.values(), key=lambda record: (*place(record), record.index)
        )

    def table(self, cls: type) -> bytes:
        """The content of the table with rows of `cls`."""
        trials, retrainings = self.in_order()
        lines = [record.lines.get(cls, b"") for record in (*trials, *retrainings)]
        return format_header(cls) + b"".join(lines)

    def _own(self, record: RecordT) -> RecordT:
        if record.row.arm not in self.arms:
            raise ValueError(f"the run has no arm {record.row.arm}")
        return record

    def _trial_file(self, row: TrialRow) -> Path:
        return self.search / row.arm / f"trial_{row.trial_id}" / "trial.json"

    def _retraining_file(self, row: RetrainingRow) -> Path:
        return self._retrained / row.arm / f"{row.trial_id}-{row.seed}.json"
