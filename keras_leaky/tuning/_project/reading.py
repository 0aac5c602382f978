"""Reads the readable files of a project, and finds the damaged ones."""

import dataclasses
import logging
import os
from collections.abc import Callable, Collection
from typing import Any

from keras_leaky.storage import DamagedFileError, checksum_of_file, read_json
from keras_leaky.tuning._keras_tuner import Trial, TrialStatus
from keras_leaky.tuning._project.additions import OURS, Additions
from keras_leaky.tuning._project.checkpoint import BUILD_CONFIG_FILE, WEIGHTS_FILE

ORACLE_FILE, TRIAL_FILE = "oracle.json", "trial.json"
_TRIAL_KEYS = (
    "trial_id",
    "hyperparameters",
    "metrics",
    "score",
    "best_step",
    "status",
    "message",
)
_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Record:
    """The file of a trial.

    Attributes:
        trial: `keras_tuner.engine.trial.Trial`.
        ours: Our entries in the file; none if KerasTuner wrote it.
    """

    trial: Trial
    ours: Additions

    def as_unfinished(self) -> "Record":
        """The record of a finished trial that has to run again, with all its tries."""
        trial = waiting(self.trial.trial_id, self.trial.hyperparameters)
        return Record(trial, dataclasses.replace(self.ours, n_runs=0))


@dataclasses.dataclass(frozen=True)
class Found:
    """The readable content of a project.

    Attributes:
        state: The oracle's, from oracle.json; None if that cannot be read.
        ours: Our entries in oracle.json.
        records: `Record` of each trial that has a file, by id.
    """

    state: dict[str, Any] | None
    ours: Additions
    records: dict[str, Record]

    @property
    def is_empty(self) -> bool:
        return self.state is None and not self.records

    @property
    def newest(self) -> Additions:
        """Our entries in the file that was written last."""
        ours = [self.ours, *(record.ours for record in self.records.values())]
        return max(ours, key=lambda ours: ours.revision)

    @property
    def base_state(self) -> dict[str, Any] | None:
        """The newest state of the oracle; None if no file has one."""
        newer = self.newest.oracle
        if self.state is None:
            return newer
        return {**self.state, **(newer or {})}


def is_finished(trial: Trial) -> bool:
    if trial.status == TrialStatus.COMPLETED:
        return trial.score is not None
    return trial.status == TrialStatus.FAILED


def waiting(name: str, hyperparameters: Any) -> Trial:
    """A trial that waits to be run, without the results of an earlier run.

    INVALID: subject to retries. With RUNNING, KerasTuner's Bayesian search would take the score of
    another trial for it.
    """
    return Trial(hyperparameters, name, TrialStatus.INVALID)


def read_project(
    folder: str, oracle_keys: Collection[str], set_aside: Callable[[str, str], None]
) -> Found:
    """Reads a project as `Found`.

    Args:
        folder: Its folder.
        oracle_keys: The keys of the oracle's state; an oracle.json without a checksum may have no
            others.
        set_aside: Function `(path, consequence)`, called for each damaged file; the consequence is
            "" if `recover` says it.
    """
    return Found(*_read_oracle(folder, oracle_keys, set_aside), read_records(folder, set_aside))


def read_records(folder: str, set_aside: Callable[[str, str], None]) -> dict[str, Record]:
    """`Record` of each trial that has a file, by id; `set_aside` as for `read_project`."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    records = {}
    for name in sorted(name for name in names if name.startswith("trial_")):
        trial_id = name.removeprefix("trial_")
        record = _read_trial(os.path.join(folder, name), trial_id, set_aside)
        if record is not None:
            records[trial_id] = record
    return records


def _read_oracle(
    folder: str, keys: Collection[str], set_aside: Callable[[str, str], None]
) -> tuple[dict[str, Any] | None, Additions]:
    path = os.path.join(folder, ORACLE_FILE)
    try:
        state = read_json(path, keys)
    except FileNotFoundError:
        return None, Additions()
    except DamagedFileError:
        set_aside(path, ". It is regenerated from the files of the trials")
        return None, Additions()
    return state, Additions.from_json(state.pop(OURS, {}))


def _read_trial(folder: str, trial_id: str, set_aside: Callable[[str, str], None]) -> Record | None:
    path, consequence = os.path.join(folder, TRIAL_FILE), f". Trial {trial_id} runs again"
    try:
        content = read_json(path, _TRIAL_KEYS)
        ours = Additions.from_json(content.pop(OURS, {}))
        record = Record(_trial_from(content, trial_id), ours)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except DamagedFileError:
        set_aside(path, "")
        return None
    for name in (WEIGHTS_FILE, BUILD_CONFIG_FILE):
        if os.path.isdir(os.path.join(folder, name)):  # nothing could be written there
            set_aside(os.path.join(folder, name), "")
    is_whole = True
    files = (ours.files or {}) if is_finished(record.trial) else {}
    for name, checksum in files.items():
        path = os.path.join(folder, name)
        try:
            if checksum_of_file(path) != checksum:
                set_aside(path, consequence)
                is_whole = False
        except FileNotFoundError:
            _logger.warning("%s is missing%s", path, consequence)
            is_whole = False
    return record if is_whole else record.as_unfinished()


def _trial_from(content: dict[str, Any], trial_id: str) -> Trial:
    """The trial of a file, which KerasTuner may have written without a checksum."""
    try:
        trial = Trial.from_state(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DamagedFileError(TRIAL_FILE, "it does not hold a trial") from error
    if trial.trial_id != trial_id:
        raise DamagedFileError(TRIAL_FILE, f"it holds trial {trial.trial_id}")
    return trial
