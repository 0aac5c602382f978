"""The run folder: the only file that knows its file names and columns.

Every file is written whole and moved into place (`atomic.py`).
"""

import csv
import dataclasses
import errno
import io
import json
import os
import shutil
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from recipes.common.atomic import write_atomically
from recipes.common.errors import InputError

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


RowT = TypeVar("RowT", TrialRow, EpochRow, RetrainingRow)


class RunFolder:
    """Reads and writes one run. Make one with `create` or `open`.

    Attributes:
        path: The folder.
        config: The content of config.json.
        trials, epochs, retrainings: The rows written so far. Only `add_trial` and
            `add_retraining` change them, and leave the files in step.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}
        self.trials: list[TrialRow] = []
        self.epochs: list[EpochRow] = []
        self.retrainings: list[RetrainingRow] = []

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def trials_file(self) -> Path:
        return self.path / "trials.csv"

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
        path = path.resolve()  # a link to a run is replaced where it points to
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        run = cls(path)
        try:
            if overwrite and path.exists():
                shutil.rmtree(path)
            path.mkdir(parents=True, exist_ok=True)
            run.write_config(config)
        except OSError as error:
            for folder in missing:  # from the inside out; only what was made here, only if empty
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
            raise _not_writable(path, error) from error
        return run

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens a run that exists and reads its settings and rows.

        Raises:
            InputError: There is no run of ours, or a file in it cannot be read.
        """
        run = cls(path)
        run.config = read_config(run.config_file)
        run.trials = run._read_rows("trials", TrialRow)
        run.retrainings = run._read_rows("retrainings", RetrainingRow)
        finished = {("search", row.arm, row.trial_id) for row in run.trials}
        finished |= {("retrain", row.arm, row.trial_id, row.seed) for row in run.retrainings}
        # Epochs are written before the row that closes them: those of an interrupted one go.
        run.epochs = [
            row
            for row in run._read_rows("epochs", EpochRow)
            if (row.phase, row.arm, row.trial_id) in finished
            or (row.phase, row.arm, row.trial_id, row.seed) in finished
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

    def add_trial(self, row: TrialRow, epochs: Iterable[EpochRow]) -> None:
        self.epochs.extend(epochs)
        self._write_rows("epochs", self.epochs, EpochRow)
        self.trials.append(row)
        self._write_rows("trials", self.trials, TrialRow)

    def add_retraining(self, row: RetrainingRow, epochs: Iterable[EpochRow]) -> None:
        self.epochs.extend(epochs)
        self._write_rows("epochs", self.epochs, EpochRow)
        self.retrainings.append(row)
        self._write_rows("retrainings", self.retrainings, RetrainingRow)

    def write_config(self, config: dict[str, Any]) -> None:
        self.config = {"format": FORMAT, **config}
        self.write_json("config", self.config)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=2, allow_nan=False, default=str) + "\n"
        write_atomically(self.path / f"{name}.json", text.encode())

    def read_json(self, name: str) -> dict[str, Any]:
        return _read_json(self.path / f"{name}.json", "the run did not get that far")

    def _write_rows(self, name: str, rows: list[RowT], cls: type[RowT]) -> None:
        text = io.StringIO()
        columns = [field.name for field in dataclasses.fields(cls)]
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)  # None becomes an empty cell
        write_atomically(self.path / f"{name}.csv", text.getvalue().encode())

    def _read_rows(self, name: str, cls: type[RowT]) -> list[RowT]:
        path = self.path / f"{name}.csv"
        if not path.exists():
            return []
        try:
            with path.open(newline="") as file:
                reader = csv.DictReader(file, strict=True)
                if reader.fieldnames != [field.name for field in dataclasses.fields(cls)]:
                    raise ValueError(f"wrong header {reader.fieldnames}")
                return [_parse_row(cls, row) for row in reader]
        except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
            raise InputError(f"{path} cannot be read as a table of a run: {error!r}") from error


def _parse_row(cls: type[RowT], row: dict[str, str]) -> RowT:
    """Turns the cells of one row back into what was written; `repr` of a float reads back exact."""
    values: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(cls).items():
        if isinstance(kind, types.UnionType):
            kind = typing.get_args(kind)[0] if row[name] else lambda _: None
        values[name] = kind(row[name])
    return cls(**values)


def read_config(path: Path) -> dict[str, Any]:
    """Reads a run's config.json.

    Raises:
        InputError: It is absent, not JSON, or not a run's.
    """
    config = _read_json(path, "there is no run to read")
    parts = ("given", "options", "fingerprint")
    is_dict = [isinstance(config.get(part), dict) for part in parts]
    if config.get("format") != FORMAT or not all(is_dict):
        raise InputError(f"{path} is not the config.json of a run of these recipes.")
    return config


def _read_json(path: Path, if_absent: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: {if_absent}.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object.")
    return content


def check_output(path: Path, overwrite: bool) -> None:
    """Refuses a folder that cannot be written, or that holds something.

    A run is no hindrance if `overwrite` is given.

    Raises:
        InputError: Says which, and what to do.
    """
    try:
        nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not nearest.is_dir():
            raise InputError(
                f"`--output` must be a folder. Received: --output {path}, but {nearest} is a file."
            )
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        is_empty = nearest != path or not any(path.iterdir())
    except OSError as error:
        raise _not_writable(path, error) from error
    if is_empty:
        return
    if not overwrite:
        raise InputError(
            f"`--output` must be a new or empty folder. Received: --output {path}, which is not "
            "empty. Choose another, go on with that run by `--resume`, or replace it by "
            "`--overwrite`."
        )
    try:
        read_config(RunFolder(path).config_file)
    except InputError as error:
        raise InputError(
            f"`--overwrite` deletes only a folder that holds a run's config.json. Received: "
            f"--output {path}. Nothing was deleted."
        ) from error


def _not_writable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"`--output` must be a folder that can be written. Received: --output {path} "
        f"({error.strerror or error})"
    )
