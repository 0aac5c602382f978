"""The run folder: the only file that knows its file names and columns.

Every file is written whole and moved into place (`atomic.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.common.errors import InputError
from recipes.common.json_files import read_json, write_json
from recipes.common.output_folder import check_folder, make_folder
from recipes.common.tables import RowT, read_rows, write_rows

FORMAT = "keras_leaky run 1"  # in config.json; tells a run of ours from anybody's folder


@dataclass(frozen=True)
class TrialRow:
    """One row of trials.csv. Scores are validation accuracies, epochs count from 1."""

    arm: str
    trial_id: str
    status: str  # COMPLETED or FAILED
    alpha: float | None
    learning_rate: float
    seed: int
    score: float | None
    best_epoch: int | None
    seconds: float
    reason: str


@dataclass(frozen=True)
class EpochRow:
    """One row of epochs.csv. `phase` is search, or retrain: of the point that the trial found."""

    phase: str
    arm: str
    trial_id: str
    seed: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class RetrainingRow:
    """One row of retrainings.csv: the point that a trial found, trained again from one seed."""

    arm: str
    trial_id: str
    seed: int
    val_accuracy: float | None
    test_accuracy: float
    best_epoch: int | None
    seconds: float
    reason: str


@dataclass(frozen=True)
class DeadUnitRow:
    """One row of dead_units.csv: a rectifier of a retrained net, at its best epoch.

    From `layer` on as in `to_dict()` of what `dead_units` returns. A unit is a feature of a dense
    layer or a channel of a convolution.
    """

    arm: str
    trial_id: str
    seed: int
    n_samples: int
    layer: str
    kind: str
    n_units: int
    n_dead: int
    dead_fraction: float
    n_inactive: int
    inactive_fraction: float
    n_always_on: int
    always_on_fraction: float
    n_dormant: int
    dormant_fraction: float
    active_fraction: list[float]  # one a unit


_TABLES: dict[type, str] = {
    TrialRow: "trials.csv",
    EpochRow: "epochs.csv",
    RetrainingRow: "retrainings.csv",
    DeadUnitRow: "dead_units.csv",
}


class RunFolder:
    """Reads and writes one run. Make one with `create` or `open`.

    Attributes:
        path: The folder.
        config: The content of config.json.
        trials, epochs, retrainings, dead_units: The rows written so far. Only `add_trial` and
            `add_retraining` change them, and leave the files in step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}
        self.trials: list[TrialRow] = []
        self.epochs: list[EpochRow] = []
        self.retrainings: list[RetrainingRow] = []
        self.dead_units: list[DeadUnitRow] = []

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def trials_file(self) -> Path:
        return self.path / _TABLES[TrialRow]

    @property
    def best_model(self) -> Path:
        return self.path / "best.keras"

    @property
    def page(self) -> Path:
        return self.path / "report.html"

    @property
    def search(self) -> Path:
        """KerasTuner's own project folder."""
        return self.path / "search"

    def plot(self, name: str) -> Path:
        return self.path / "plots" / f"{name}.png"

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], overwrite: bool) -> "RunFolder":
        """Makes the folder and puts config.json into it, or leaves everything as it was.

        Raises:
            InputError: The folder is not empty, is not ours to delete, or cannot be written.
        """
        check_output(path, overwrite)
        run = cls(path.resolve())
        make_folder(run.path, overwrite, lambda: run.write_config(config))
        return run

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens a run that exists and reads its settings and rows.

        Raises:
            InputError: There is no run of ours, or a file in it cannot be read.
        """
        run = cls(path)
        run.config = read_config(run.config_file)
        run.trials = run._read(TrialRow)
        run.retrainings = run._read(RetrainingRow)
        trained = {(row.arm, row.trial_id, row.seed) for row in run.retrainings}
        searched = {(row.arm, row.trial_id) for row in run.trials}
        # Epochs and units are written before the row that closes them: those of an interrupted
        # training go.
        run.epochs = [
            row
            for row in run._read(EpochRow)
            if (row.phase == "search" and (row.arm, row.trial_id) in searched)
            or (row.phase == "retrain" and (row.arm, row.trial_id, row.seed) in trained)
        ]
        run.dead_units = [
            row for row in run._read(DeadUnitRow) if (row.arm, row.trial_id, row.seed) in trained
        ]
        return run

    def remove_leftovers(self) -> None:
        """Removes the half-written files of a process that was killed."""
        for path in (*self.path.glob(".*.tmp*"), *self.path.glob("plots/.*.tmp*")):
            path.unlink(missing_ok=True)

    def retrainings_of(self, trial: TrialRow) -> list[RetrainingRow]:
        """The retrainings of the point that `trial` found, in the order of their seeds."""
        return [
            row
            for row in self.retrainings
            if (row.arm, row.trial_id) == (trial.arm, trial.trial_id)
        ]

    def dead_units_of(self, trial: TrialRow) -> list[DeadUnitRow]:
        """The rectifiers of those retrainings, from the first layer of the first seed on."""
        return [
            row for row in self.dead_units if (row.arm, row.trial_id) == (trial.arm, trial.trial_id)
        ]

    def add_trial(self, row: TrialRow, epochs: Iterable[EpochRow]) -> None:
        self._add(self.epochs, EpochRow, epochs)
        self._add(self.trials, TrialRow, [row])

    def add_retraining(
        self, row: RetrainingRow, epochs: Iterable[EpochRow], dead_units: Iterable[DeadUnitRow]
    ) -> None:
        self._add(self.epochs, EpochRow, epochs)
        self._add(self.dead_units, DeadUnitRow, dead_units)
        self._add(self.retrainings, RetrainingRow, [row])

    def write_config(self, config: dict[str, Any]) -> None:
        self.config = {"format": FORMAT, **config}
        self.write_json("config", self.config)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        write_json(self.path / f"{name}.json", content)

    def read_json(self, name: str) -> dict[str, Any]:
        return read_json(self.path / f"{name}.json", "the run did not get that far")

    def _add(self, rows: list[RowT], cls: type[RowT], new: Iterable[RowT]) -> None:
        rows.extend(new)
        write_rows(self.path / _TABLES[cls], rows, cls)

    def _read(self, cls: type[RowT]) -> list[RowT]:
        return read_rows(self.path / _TABLES[cls], cls)


def read_config(path: Path) -> dict[str, Any]:
    """Reads a run's config.json.

    Raises:
        InputError: It is absent, not JSON, or not a run's.
    """
    config = read_json(path, "there is no run to read")
    parts = ("given", "options", "fingerprint")
    is_dict = [isinstance(config.get(part), dict) for part in parts]
    if config.get("format") != FORMAT or not all(is_dict):
        raise InputError(f"{path} is not the config.json of a run of these recipes.")
    return config


def check_output(path: Path, overwrite: bool) -> None:
    """Refuses a folder that cannot be written, or that holds something.

    A run is no hindrance if `overwrite` is given.

    Raises:
        InputError: Says which, and what to do.
    """
    ways_out = "Choose another, go on with that run by `--resume`, or replace it by `--overwrite`."
    check_folder(path, overwrite, _is_run, ways_out)


def _is_run(path: Path) -> bool:
    try:
        read_config(RunFolder(path).config_file)
    except InputError:
        return False
    return True
