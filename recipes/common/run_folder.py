"""The run folder: the only file that knows its file names, but for those of the records.

Every file is written whole and moved into place (`keras_leaky.storage`). What is true is the
records, one file a trial and one a retraining; the tables are made from them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_leaky import storage
from recipes.common.damage import RESUME, Damage
from recipes.common.errors import DamagedRunError, InputError, RunError
from recipes.common.output_folder import make_folder
from recipes.common.record_files import RecordFiles
from recipes.common.records import RetrainingRecord, TrialRecord
from recipes.common.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow
from recipes.common.run_config import CONFIG_NAME, FORMAT, check_output, read_config
from recipes.common.run_files import read_run_json, write_run_file, write_run_json

_TABLES: dict[type, str] = {
    EpochRow: "epochs.csv",
    TrialRow: "trials.csv",
    DeadUnitRow: "dead_units.csv",
    RetrainingRow: "retrainings.csv",
}


class RunFolder:
    """Reads and writes one run. Make one with `create` or `open`.

    Attributes:
        path: The folder.
        config: The content of config.json.
        trials, epochs, retrainings, dead_units: The rows written so far: arms in the order of
            `config["arms"]`, then trials by number, then seeds in the order they are drawn in,
            whatever order they finished in; as of the last `write_tables`.
        damage: A sentence about each damaged file that was set aside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config: dict[str, Any] = {}
        self.trials: list[TrialRow] = []
        self.epochs: list[EpochRow] = []
        self.retrainings: list[RetrainingRow] = []
        self.dead_units: list[DeadUnitRow] = []
        self._records = RecordFiles(path, ())
        self._damage = Damage(path)
        self._behind: set[type] = set()  # tables that lack something

    @property
    def damage(self) -> list[str]:
        return self._damage.notes

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG_NAME

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
        """Records of the trials, and KerasTuner's own state of each search."""
        return self._records.search

    def plot(self, name: str) -> Path:
        return self.path / "plots" / f"{name}.png"

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], overwrite: bool) -> "RunFolder":
        """Makes the folder and puts config.json into it.

        Raises:
            InputError: The folder is not empty, is not ours to delete, or cannot be written.
            DiskFullError: There is no room for it.
        """
        check_output(path, overwrite)
        run = cls(path.resolve())
        make_folder(run.path, overwrite, lambda: run.write_config(config))
        return run

    @classmethod
    def open(cls, path: Path, repair: bool = True) -> "RunFolder":
        """Opens a run that exists and reads its settings and records.

        Args:
            repair: Set aside what is damaged, so that it is made again, and bring the tables in
                step with the records. Else damage is refused, and nothing is changed.

        Raises:
            DamagedRunError: config.json is damaged; without `repair`, anything else is.
            InputError: There is no run of ours, or a file in it cannot be read or written.
        """
        run = cls(path)
        run._use(read_config(run.config_file))
        run._damage = Damage(path, repair)
        try:
            run._records.read(run._damage)
            run._collect()
            run._check_model()
            if repair:
                run._repair()
        except OSError as error:
            raise InputError(f"{path} cannot be read and written: {error}") from error
        return run

    def retrainings_of(self, trial: TrialRow) -> list[RetrainingRow]:
        """The retrainings of the point that `trial` found, in the order of their seeds."""
        return [row for row in self.retrainings if _is_of(row, trial)]

    def dead_units_of(self, trial: TrialRow) -> list[DeadUnitRow]:
        """The rectifiers of those retrainings, from the first layer of the first seed on."""
        return [row for row in self.dead_units if _is_of(row, trial)]

    def kept_retrainings(self, trial: TrialRow, with_model: bool) -> dict[int, RetrainingRow]:
        """The retrainings of that point that need not be run again, by seed.

        Args:
            with_model: best.keras has to be the model of the first that has a best epoch. That one
                is left out where it is not: it was damaged, or is the model of another point.
        """
        rows = self.retrainings_of(trial)
        kept = {row.seed: row for row in rows}
        first = next((i for i, row in enumerate(rows) if row.best_epoch), None)
        if with_model and first is not None and self.model_row != rows[first]:
            is_next = self._records.retraining(rows[first]).index == first
            if is_next:  # else one before it is missing, and will give the model
                del kept[rows[first].seed]
        return kept

    @property
    def model_row(self) -> RetrainingRow | None:
        """The retraining whose model is best.keras, None if there is none."""
        record = self._records.of_model
        return record.row if record else None

    def add_trial(
        self, row: TrialRow, epochs: Iterable[EpochRow], state: Mapping[str, Any]
    ) -> None:
        """Records a finished trial, which is then safe; `write_tables` brings the tables in step.

        Args:
            epochs: Of its first execution, then of the next.
            state: KerasTuner's own of the trial, which goes into the same file.

        Raises:
            RunError: There is no room for it, or no folder any more.
        """
        self._check_there()
        self._records.write_trial(TrialRecord(row, [*epochs], state))
        self._behind |= {EpochRow, TrialRow}

    def add_retraining(
        self,
        row: RetrainingRow,
        epochs: Iterable[EpochRow],
        dead_units: Iterable[DeadUnitRow],
        index: int,
        model: bytes | None = None,
    ) -> None:
        """Records a finished retraining, in place of an earlier one of the same seed, likewise.

        Args:
            index: Of its seed among those that `--seeds` draws, from 0.
            model: What becomes best.keras.

        Raises:
            RunError: As of `add_trial`.
        """
        self._check_there()
        sha256 = None
        if model is not None:
            self._records.disown_model()  # no record ever names a model that is not there
            write_run_file(self.best_model, model)
            sha256 = storage.checksum_of(model)
        record = RetrainingRecord(index, row, [*epochs], [*dead_units], sha256)
        self._records.write_retraining(record)
        self._behind |= {EpochRow, DeadUnitRow, RetrainingRow}

    def write_tables(self) -> None:
        """Brings the tables in step; each is written whole, which takes longer as a run grows.

        Raises:
            RunError: As of `add_trial`.
        """
        if self._behind:
            self._check_there()
            self._collect()
        for cls in [cls for cls in _TABLES if cls in self._behind]:
            write_run_file(self.path / _TABLES[cls], self._records.table(cls))
            self._behind.remove(cls)

    def remove_model(self) -> None:
        """Removes best.keras, which an earlier choice of point may have left."""
        self._records.disown_model()
        self.best_model.unlink(missing_ok=True)

    def write_oracle(self, arm: str, state: Mapping[str, Any]) -> None:
        """Writes KerasTuner's state of an arm's search."""
        self._check_there()
        write_run_json(self._oracle_file(arm), {**state, "arm": arm})

    def read_oracle(self, arm: str) -> dict[str, Any] | None:
        """Reads it. None if there is none, also if it was damaged and is now set aside."""
        what_now = "The search writes it anew."
        return self._damage.read(self._oracle_file(arm), what_now, lambda c: c.get("arm") == arm)

    def write_config(self, config: dict[str, Any]) -> None:
        self._use({"format": FORMAT, **config})
        self.write_json("config", self.config)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        write_run_json(self.path / f"{name}.json", content)

    def read_json(self, name: str) -> dict[str, Any]:
        return read_run_json(self.path / f"{name}.json", "the run did not get that far", RESUME)

    def read_environment(self) -> dict[str, Any] | None:
        """What the run began in. None if that is not known, also if it was damaged."""
        what_now = "What the run began in is not known any more."
        return self._damage.read(self.path / "environment.json", what_now, _is_environment)

    def _use(self, config: dict[str, Any]) -> None:
        self.config = config
        self._records.arms = config.get("arms", ())

    def _oracle_file(self, arm: str) -> Path:
        return self.search / arm / "oracle.json"

    def _check_there(self) -> None:
        """Refuses to write into a folder that would be made anew, and hold a part of the run."""
        if not self.config_file.exists():
            raise RunError(
                f"{self.config_file} is gone: the folder was moved or deleted during the run."
            )

    def _check_model(self) -> None:
        """Looks whether best.keras is the model that a record names."""
        record = self._records.of_model
        if record is None:
            return  # it is what a process left that was killed before it wrote the record
        found = _sha256(self.best_model)
        if found != record.model_sha256:
            problem = "it is missing" if found is None else "its SHA-256 is not that of its record"
            error = DamagedRunError(self.best_model, problem, RESUME)
            self._damage.found(error, "Its retraining runs again.")
            self._records.disown_model()

    def _repair(self) -> None:
        """Sets aside what else is damaged, and writes the tables anew."""
        storage.remove_leftovers(self.path)
        self._damage.clear_folder(self.path / "plots")
        names = (*_TABLES.values(), "environment.json", "summary.json", self.page.name)
        files = [self.path / name for name in names]
        for path in (*files, self.best_model, *self.path.glob("plots/*.png")):
            self._damage.clear_file(path)
        self.read_environment()
        for arm in self.config["arms"]:
            self.read_oracle(arm)
        self._collect()
        for cls, name in _TABLES.items():
            path, content = self.path / name, self._records.table(cls)
            is_right = path.is_file() and path.read_bytes() == content
            if not is_right and (path.exists() or content.count(b"\n") > 1):
                self._damage.check_table(path, content)
                write_run_file(path, content)

    def _collect(self) -> None:
        """Brings the rows in step with the records."""
        trials, retrainings = self._records.in_order()
        self.trials = [record.row for record in trials]
        self.retrainings = [record.row for record in retrainings]
        self.epochs = [row for record in (*trials, *retrainings) for row in record.epochs]
        self.dead_units = [row for record in retrainings for row in record.dead_units]


def _is_environment(content: dict[str, Any]) -> bool:
    versions, resumes = content.get("versions"), content.get("resumes", [])
    return isinstance(versions, dict) and isinstance(resumes, list)


def _is_of(row: RetrainingRow | DeadUnitRow, trial: TrialRow) -> bool:
    return (row.arm, row.trial_id) == (trial.arm, trial.trial_id)


def _sha256(path: Path) -> str | None:
    """The sum of a file, None if there is none."""
    return storage.checksum_of_file(path) if path.is_file() else None
