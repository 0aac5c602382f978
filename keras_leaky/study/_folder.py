"""The run folder of a study.

    study.json          the settings, and what must not change
    environment.json    machine and versions, of every session
    search/ARM/         KerasTuner's projects
    retrainings/ARM/    one record per retraining, and the best model of the arm
    *.csv summary.json  tables, generated from the records
    best.keras report.html plots/

The projects and the records are the truth; they hold checksums. Everything else is generated from
them.
"""

import base64
import csv
import dataclasses
import io
import json
import logging
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from keras_leaky import storage
from keras_leaky.study.errors import InputError
from keras_leaky.study.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow, flatten_row
from keras_leaky.tuning import TrialRecord, read_trials

_logger = logging.getLogger(__name__)
VERSION = 1
_WRITTEN_AGAIN = (
    *("environment.json", "summary.json", "*.csv", "best.keras", "report.html", "plots/*"),
    "retrainings/*/best.keras",
)


@dataclasses.dataclass(frozen=True)
class RetrainingRecord:
    """The stored record of a retraining.

    Attributes:
        history: Metric -> its value in each epoch.
        dead_units: One row per rectifier layer; only for final retrainings.
        model_sha256: Checksum of the arm's model file, if it holds the model of this retraining.
    """

    row: RetrainingRow
    history: dict[str, list[float]]
    dead_units: list[DeadUnitRow]
    model_sha256: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return self.row.stage, self.row.trial_id, self.row.seed

    @property
    def file_name(self) -> str:
        return f"{self.row.stage}-{self.row.trial_id}-{self.row.seed}.json"

    def to_json(self) -> dict[str, Any]:
        row = {**vars(self.row), "test_examples": _pack(self.row.test_examples)}
        units = [vars(one) for one in self.dead_units]
        return {
            "row": row,
            "history": self.history,
            "dead_units": units,
            "model_sha256": self.model_sha256,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "RetrainingRecord":
        row = content["row"]
        return cls(
            RetrainingRow(**{**row, "test_examples": _unpack(row["test_examples"])}),
            content["history"],
            [DeadUnitRow(**one) for one in content["dead_units"]],
            content["model_sha256"],
        )


@dataclasses.dataclass(frozen=True)
class StoredArm:
    """An arm as study.json stores it.

    Attributes:
        fixed_alpha: Alpha of every trial; None if it is searched, or if there is no alpha.
        space: Searched range of each hyperparameter: low, high, scale.
    """

    name: str
    title: str
    rectifier: str | None
    is_baseline: bool
    color: str
    fixed_alpha: float | None
    space: dict[str, list[Any]]


@dataclasses.dataclass
class StudyState:
    """The progress of a study.

    Attributes:
        chosen: Trial whose point was chosen, by arm.
        failed: Why an arm has no chosen trial, by arm.
        n_test_looks: How often test data were used.
        tested: Chosen trial and number of seeds by arm, at the last use of the test data.
    """

    chosen: dict[str, str] = dataclasses.field(default_factory=dict)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    is_finished: bool = False
    n_test_looks: int = 0
    tested: dict[str, list[Any]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class StudyContent:
    """The content of study.json.

    Attributes:
        study: The arguments of `Study`, as JSON keeps them.
        about: Title, data source and warning.
        options: Flags of the command line.
        fit: The arguments of `fit` that JSON can keep.
        final_seeds: Seeds of the final retrainings.
        fingerprint: Settings and digests that must not change.
        workers: Number of worker processes that the study began with; 0 for none.
        chance: Accuracy on validation data of a model that always names the most common class; None
            for other objectives, and for unknown labels.
    """

    study: dict[str, Any]
    about: dict[str, str]
    options: dict[str, Any] | None
    fit: dict[str, Any]
    arms: list[StoredArm]
    final_seeds: list[int]
    has_test: bool
    notes: list[str]
    fingerprint: dict[str, Any]
    workers: int = 0
    chance: float | None = None
    state: StudyState = dataclasses.field(default_factory=StudyState)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "StudyContent":
        arms = [StoredArm(**arm) for arm in content["arms"]]
        state = StudyState(**content["state"])
        return cls(**{**content, "arms": arms, "state": state})


class StudyFolder:
    """The files of a study.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.study_file = path / "study.json"
        self.best_keras = path / "best.keras"

    @property
    def holds_study(self) -> bool:
        return self.study_file.exists()

    def check_free(self) -> None:
        """Refuses a folder that holds files but no study.

        Raises:
            InputError: Names the folder.
        """
        try:
            if self.path.exists() and not self.path.is_dir():
                raise InputError(
                    f"`directory` must be a folder. Received: directory={str(self.path)!r}, which "
                    "is a file"
                )
            if self.path.exists() and not self.holds_study and not storage.is_empty(self.path):
                raise InputError(
                    "`directory` must be new, empty, or hold a study. Received: "
                    f"directory={str(self.path)!r}, which holds other files. Choose another folder"
                )
        except OSError as error:
            raise InputError(
                f"`directory` cannot be read: {error}. Received: directory={str(self.path)!r}"
            ) from error

    def set_aside_folders(self) -> None:
        """Renames folders that have the name of a file that is written again."""
        for pattern in _WRITTEN_AGAIN:
            for path in self.path.glob(pattern):
                if path.is_dir() and not path.is_symlink() and ".damaged" not in path.name:
                    aside = storage.set_aside(path).name
                    _logger.warning(
                        "%s must be a file, but is a folder: it was renamed to %s", path, aside
                    )

    def project(self, arm: str) -> Path:
        """The folder of an arm's search."""
        return self.path / "search" / quote_name(arm)

    def model_file(self, arm: str) -> Path:
        """The best model of an arm's final retrainings."""
        return self.path / "retrainings" / quote_name(arm) / "best.keras"

    def read_study(self) -> StudyContent:
        """Reads study.json.

        Raises:
            InputError: If it is missing, damaged, or of a later version.
        """
        try:
            content = storage.read_json(self.study_file)
        except FileNotFoundError as error:
            raise InputError(f"{self.path} holds no study: there is no study.json.") from error
        except storage.DamagedFileError as error:
            raise InputError(
                f"{error}. It has no second copy, so this study cannot be resumed: start a new one "
                "in another folder."
            ) from error
        if content.get("version") != VERSION:
            raise InputError(
                f"{self.study_file} has format version {content.get('version')}, but this "
                f"keras_leaky reads version {VERSION}. Install the version that made the study, or "
                "start a new study in another folder."
            )
        del content["version"]
        return StudyContent.from_json(content)

    def write_study(self, content: StudyContent) -> None:
        plain = {"version": VERSION, **dataclasses.asdict(content)}
        storage.write_json(self.study_file, plain, readable=True)

    def read_environment(self) -> dict[str, Any] | None:
        """None if it is missing or damaged: nothing depends on it."""
        try:
            return storage.read_json(self.path / "environment.json")
        except (FileNotFoundError, storage.DamagedFileError):
            return None

    def write_environment(self, content: dict[str, Any]) -> None:
        storage.write_json(self.path / "environment.json", content, readable=True)

    def read_trials(self, arm: str) -> list[TrialRecord]:
        return read_trials(self.project(arm))

    def read_retrainings(self, arm: str, repair: bool = False) -> list[RetrainingRecord]:
        """The records of an arm, in the order of stage, trial and seed.

        Args:
            repair: Rename damaged files. Otherwise they are left out.
        """
        records = []
        for path in sorted(self.model_file(arm).parent.glob("*.json")):
            try:
                record = RetrainingRecord.from_json(storage.read_json(path))
                if (record.row.arm, record.file_name) != (arm, path.name):
                    raise ValueError(
                        f"its content belongs to {record.file_name} of arm {record.row.arm!r}"
                    )
                records.append(record)
            except FileNotFoundError:
                continue
            except (storage.DamagedFileError, KeyError, TypeError, ValueError) as error:
                if repair:
                    aside = storage.set_aside(path).name
                    _logger.warning("%s is damaged and was renamed to %s: %s", path, aside, error)
        return records

    def write_retraining(self, record: RetrainingRecord) -> None:
        path = self.model_file(record.row.arm).parent / record.file_name
        storage.write_json(path, record.to_json())

    def write_model(self, arm: str, content: bytes) -> str:
        """Writes the best model of an arm; returns its SHA-256."""
        storage.write_whole(self.model_file(arm), content)
        return storage.checksum_of(content)

    def write_best(self, content: bytes) -> None:
        storage.write_whole(self.best_keras, content)

    def has_model(self, record: RetrainingRecord) -> bool:
        """Whether the model of a record is there, and whole."""
        path = self.model_file(record.row.arm)
        try:
            return storage.checksum_of_file(path) == record.model_sha256
        except (FileNotFoundError, IsADirectoryError):
            return False

    def write_table(self, name: str, rows: Iterable[Any], first: Sequence[str]) -> None:
        """Writes NAME.csv.

        Args:
            rows: Rows of one class of the module `rows`.
            first: Columns that the table has even without rows, in order. Others follow; `reason`
                comes last.
        """
        flat = [flatten_row(row) for row in rows]
        others = dict.fromkeys(key for row in flat for key in row if key not in first)
        columns = [*(c for c in first if c != "reason"), *others]
        columns += ["reason"] if "reason" in first else []
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        for row in flat:
            writer.writerow({key: _cell(value) for key, value in row.items()})
        storage.write_whole(self.path / f"{name}.csv", text.getvalue().encode())

    def write_summary(self, summary: dict[str, Any]) -> None:
        text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
        storage.write_whole(self.path / "summary.json", text.encode())


TRIAL_COLUMNS = (
    *("arm", "trial_id", "status", "alpha", "learning_rate", "seed", "score", "best_epoch"),
    *("epochs", "seconds", "reason"),
)
EPOCH_COLUMNS = ("stage", "arm", "trial_id", "seed", "epoch")
RETRAINING_COLUMNS = (
    *("arm", "trial_id", "stage", "seed", "val_score", "test_score", "best_epoch", "seconds"),
    "reason",
)
DEAD_UNIT_COLUMNS = tuple(field.name for field in dataclasses.fields(DeadUnitRow))


def write_tables(
    folder: StudyFolder,
    trials: Sequence[TrialRow],
    epochs: Sequence[EpochRow],
    retrainings: Sequence[RetrainingRow],
    dead_units: Sequence[DeadUnitRow],
) -> None:
    """Writes the four tables of a study."""
    folder.write_table("trials", trials, TRIAL_COLUMNS)
    folder.write_table("epochs", epochs, EPOCH_COLUMNS)
    folder.write_table("retrainings", retrainings, RETRAINING_COLUMNS)
    folder.write_table("dead_units", dead_units, DEAD_UNIT_COLUMNS)


def quote_name(name: str) -> str:
    """The folder name of an arm."""
    quoted = quote(name, safe="=+-_.,() ")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    return "" if value is None else value


def _pack(values: Any) -> str | None:
    if values is None:
        return None
    return base64.b64encode(zlib.compress(np.asarray(values, "float32").tobytes())).decode()


def _unpack(text: str | None) -> np.ndarray | None:
    if text is None:
        return None
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "float32")
