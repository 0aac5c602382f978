"""The files of a KerasTuner project, written and read so that a search survives any end.

KerasTuner writes files in place, and only oracle.json holds the state of the search. A kill during
a write makes the project unreadable, and a kill between two files loses a trial. Here every file is
written atomically, flushed, and holds its SHA-256. The files of the trials say which trials have
finished. Each of them holds the state of the oracle at its time and the values of the trial before
it, so that the other files can replace a lost one. So oracle.json, which grows with the search, is
only written when a search begins, when it ends, and each time it has grown by a fifth. KerasTuner
reads these files as its own.
"""

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import keras_tuner

from keras_leaky.storage import (
    BackgroundWriter,
    DamagedFileError,
    FolderInUseError,
    WriteError,
    checksum_of,
    encode_json,
    folder_lock,
    read_json,
    remove_leftovers,
    set_aside,
)
from keras_leaky.tuning._keras_tuner import Trial, TrialStatus, replace_files
from keras_leaky.tuning._project.additions import OURS, Additions, TrialLog
from keras_leaky.tuning._project.checkpoint import BUILD_CONFIG_FILE, WEIGHTS_FILE, Checkpoint
from keras_leaky.tuning._project.objectives import check_objective, describe_objective
from keras_leaky.tuning._project.reading import (
    ORACLE_FILE,
    TRIAL_FILE,
    is_finished,
    read_project,
)
from keras_leaky.tuning._project.recovery import OF_TRIALS, recover, take_back
from keras_leaky.tuning._project.writing import project_lock, write_whole

_logger = logging.getLogger(__name__)
_GROWTH = 1.2  # of the number of trials, until oracle.json is written again
_WAY_OUT = "give another `project_name`, or `overwrite=True`"


class Project:
    """The files of a project; replaces the methods with which its oracle writes and reads.

    Args:
        oracle: `keras_tuner.Oracle`.
        folder: Folder of the project.
    """

    def __init__(self, oracle: keras_tuner.Oracle, folder: str | os.PathLike[str]) -> None:
        self._oracle, self.folder = oracle, str(folder)
        self._files: dict[str, dict[str, str]] = {}  # trial id -> name -> SHA-256
        self._logs: dict[str, TrialLog] = {}  # by trial id
        self._revision = 0  # counts the writes, so that the newest state is known
        self._last_written: dict[str, str] = {}  # path -> checksum
        self._seen: tuple[int, int, int] | None = None  # oracle.json as we left it
        self._writer: BackgroundWriter | None = None  # `BackgroundWriter` of a search that runs
        self._n_saved = 0  # trials in oracle.json
        self._is_held = False  # the lock, or the decision to run without it
        self._can_repair = self._is_stale = False
        replace_files(oracle, self.save, self.save_trial, self.reload)

    @property
    def is_begun(self) -> bool:
        """Whether there is a trial, or a state of the oracle, finished or damaged."""
        return os.path.isdir(self.folder) and any(
            name == ORACLE_FILE or name.startswith("trial_") for name in os.listdir(self.folder)
        )

    def refuse_if_in_use(self) -> None:
        """Before a project is deleted: refuses if somebody else searches in it."""
        if os.path.isdir(self.folder) and not is_distributed():
            with project_lock(self.folder):
                pass

    def save(self) -> None:
        """Writes oracle.json, if enough is new."""
        oracle = self._oracle
        if self._writer and len(oracle.trials) < _GROWTH * self._n_saved:
            return
        # Within `end_trial` KerasTuner still counts the trial among these, and would run it again.
        ongoing = {
            lane: t.trial_id for lane, t in oracle.ongoing_trials.items() if not is_finished(t)
        }
        state = {**oracle.get_state(), "ongoing_trials": ongoing}
        values = {name: trial.hyperparameters.values for name, trial in oracle.trials.items()}
        ours = Additions(objective=describe_objective(oracle), trials=values)
        path = self._path(ORACLE_FILE)
        self._revision += 1
        content = {**state, OURS: dataclasses.replace(ours, revision=self._revision).to_json()}
        if self._write_if_new(path, [state, ours.to_json()], content):
            self._n_saved = len(oracle.trials)
        if not self._writer:
            self._seen = self._stat()

    def save_trial(self, trial: Trial) -> None:
        """Writes trial.json when a trial has begun or ended."""
        if trial.status == TrialStatus.RUNNING and trial.metrics.metrics:
            return  # results of a running trial: if it is killed, it starts again
        oracle = self._oracle
        state = oracle.get_state()
        self._revision += 1
        begun = _place_in(oracle.start_order, trial.trial_id)
        before = oracle.start_order[begun - 2 : begun - 1] if begun > 1 else []
        ours = Additions(
            before={name: oracle.trials[name].hyperparameters.values for name in before},
            files=self._files.get(trial.trial_id, {}),
            log=self.log_of(trial.trial_id) if is_finished(trial) else TrialLog(),
            n_ended=_place_in(oracle.end_order, trial.trial_id) if is_finished(trial) else 0,
            n_runs=state["run_times"].get(trial.trial_id, 0),
            objective=describe_objective(oracle),
            oracle={key: value for key, value in state.items() if key not in OF_TRIALS},
            revision=self._revision,
        )
        path = self._path(f"trial_{trial.trial_id}", TRIAL_FILE)
        self._write(write_whole, path, encode_json({**trial.get_state(), OURS: ours.to_json()}))

    def keep_log(self, trial_id: str, log: TrialLog) -> None:
        """Stores the course of a trial's trainings in its file when the trial ends."""
        self._logs[trial_id] = log

    def log_of(self, trial_id: str) -> TrialLog:
        """The log that `keep_log` got for a trial; empty if it got none."""
        return self._logs.get(trial_id, TrialLog())

    def write_checkpoint(self, trial_id: str, checkpoint: Checkpoint | None) -> None:
        """Writes the files of a `Checkpoint`; the trial's own file will hold their checksums.

        Args:
            trial_id: Id of its trial.
            checkpoint: `Checkpoint`; None removes the checkpoint of an earlier try.
        """
        folder = self._path(f"trial_{trial_id}")
        if checkpoint is None:
            self._files.pop(trial_id, None)
            self._write(_remove_checkpoint, folder)
            return
        files = checkpoint.files()
        for name, data in files.items():
            # The trial's own file, written when it ends, flushes the folder.
            self._write(partial(write_whole, flush_folder=False), os.path.join(folder, name), data)
        self._files[trial_id] = {name: checksum_of(data) for name, data in files.items()}

    def read_checkpoint(self, trial_id: str) -> Checkpoint:
        """The `Checkpoint` of a trial.

        Raises:
            keras_tuner.errors.FatalValueError: If nothing was saved.
        """
        self.flush()
        try:
            return Checkpoint.read(self._path(f"trial_{trial_id}"))
        except FileNotFoundError:
            raise keras_tuner.errors.FatalValueError(
                f"Trial {trial_id} has a score but no weights, because no epoch of its training "
                "was seen. To keep weights, `HyperModel.fit` must pass its `callbacks` on, as in "
                "`model.fit(..., callbacks=callbacks)`. Or train a model of "
                "`get_best_hyperparameters` yourself"
            ) from None

    def write_tuner(self, path: str, state: dict[str, Any]) -> None:
        """Writes the state of the tuner, if it is new."""
        self._write_if_new(path, state, state)

    def read_tuner(self, path: str, keys: Collection[str]) -> dict[str, Any] | None:
        """The state of the tuner; None if its file is missing or damaged.

        Args:
            path: Its file.
            keys: The keys of a state; a file without a checksum may have no others.
        """
        try:
            return read_json(path, keys)
        except FileNotFoundError:
            return None
        except DamagedFileError:
            self._set_aside(path)
            return None

    @contextlib.contextmanager
    def searching(self, reload: Callable[[], Any]) -> Iterator[None]:
        """Holds the lock of the project, with the oracle in its state on disk.

        Args:
            reload: Function to call if another process has searched in the meantime.

        Raises:
            ValueError: If another process, or thread, searches in the project.
        """
        if is_distributed():
            yield
            return
        with project_lock(self.folder):
            self._is_held = self._can_repair = True
            try:
                stat = self._stat()
                if self._is_stale or (stat is not None and stat != self._seen):
                    reload()
                self._end_what_an_error_interrupted()
                self._last_written = {}  # this write records that the search has begun
                self.save()
                try:
                    with BackgroundWriter() as self._writer:
                        yield
                except BaseException:
                    self._writer, self._last_written = None, {}
                    with contextlib.suppress(WriteError):  # it may be the reason
                        self.save()
                    raise
                self._writer = None
                self.save()
            finally:
                self._is_held = self._can_repair = False

    def flush(self) -> None:
        """Waits until all records so far are in the files."""
        if self._writer:
            self._writer.flush()

    @contextlib.contextmanager
    def repairing(self) -> Iterator[None]:
        """Renames damaged files, unless another process searches in the project."""
        if self._is_held:
            yield
            return
        with contextlib.ExitStack() as stack:
            self._can_repair = True
            if not is_distributed():
                try:
                    stack.enter_context(folder_lock(self.folder))
                # In use, or without a possible lock, such as in a read-only folder.
                except (FolderInUseError, DamagedFileError, OSError):
                    self._can_repair = False
            self._is_held, self._is_stale = True, not self._can_repair
            try:
                yield
            finally:
                self._is_held = self._can_repair = False

    def reload(self) -> bool:
        """Reads the project into the oracle; returns whether there was anything to read.

        Raises:
            ValueError: If the project has another objective or another kind of oracle.
        """
        with self.repairing():
            return self._reload()

    def _reload(self) -> bool:
        self._seen, self._last_written = self._stat(), {}
        if self._can_repair and not is_distributed():  # nobody else is writing
            remove_leftovers(self.folder)
        found = read_project(self.folder, self._oracle.get_state(), self._set_aside)
        if found.is_empty:
            self._oracle.trials, self._files, self._logs = {}, {}, {}
            return False
        objective, ours = describe_objective(self._oracle), found.newest
        if any(record.trial.score is not None for record in found.records.values()):
            check_objective(ours.objective or objective, objective, self.folder)
        if found.base_state is None:
            raise ValueError(
                f"The project in {self.folder} was written by KerasTuner and has lost oracle.json, "
                f"without which its search cannot be resumed: {_WAY_OUT}"
            )
        try:
            new = recover(self._oracle, found)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"The project in {self.folder} cannot be resumed by a "
                f"{type(self._oracle).__name__}: {_WAY_OUT}. Received: {error!r}"
            ) from error
        self._revision = max(self._revision, ours.revision)
        self._files = {
            name: found.records[name].ours.files or {}
            for name, trial in self._oracle.trials.items()
            if is_finished(trial) and name in found.records
        }
        self._logs = {
            name: record.ours.log
            for name, record in found.records.items()
            if record.ours.log is not None
        }
        for trial in new:
            if self._can_repair and is_finished(trial):
                self.save_trial(trial)
        return True

    def _set_aside(self, path: str, consequence: str = "") -> None:
        if self._can_repair:
            aside = set_aside(path).name
            _logger.warning("%s is damaged and was renamed to %s%s", path, aside, consequence)

    def _write_if_new(self, path: str, content: Any, whole_content: dict[str, Any]) -> bool:
        """Writes `whole_content`, unless `content` is what was last written; returns whether.

        KerasTuner saves more often than anything changes.
        """
        checksum = checksum_of(json.dumps(content).encode())
        if self._last_written.get(path) == checksum and os.path.exists(path):
            return False
        self._write(write_whole, path, encode_json(whole_content))
        self._last_written[path] = checksum
        return True

    def _write(self, function: Callable[..., Any], *args: Any) -> None:
        if self._writer:
            self._writer.submit(function, *args)
        else:
            function(*args)

    def _end_what_an_error_interrupted(self) -> None:
        """Ends trials that an earlier, ended search left ongoing.

        KerasTuner would run such a trial again even if it had finished, and a grid would wait for
        it forever.
        """
        interrupted = list(self._oracle.ongoing_trials.values())
        if interrupted:
            take_back(self._oracle)
            for trial in filter(is_finished, interrupted):
                self.save_trial(trial)

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(self._path(ORACLE_FILE))
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _path(self, *names: str) -> str:
        return os.path.join(self.folder, *names)


def _place_in(names: Sequence[str], name: str) -> int:
    """The place of a name, from 1, or 0. Searched from the end: most names asked for are new."""
    return next((place for place in range(len(names), 0, -1) if names[place - 1] == name), 0)


def _remove_checkpoint(folder: str) -> None:
    for name in (WEIGHTS_FILE, BUILD_CONFIG_FILE):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))


def is_distributed() -> bool:
    """Whether KerasTuner's own chief and workers share the project, on purpose."""
    return "KERASTUNER_ORACLE_IP" in os.environ
