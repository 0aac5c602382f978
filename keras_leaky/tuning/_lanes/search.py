"""The search of a tuner: it proposes and records, lanes train."""

import dataclasses
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner

from keras_leaky.tuning._engine.executions import (
    Builder,
    CopiedCallbacks,
    Executions,
    build_and_fit,
    run_executions,
)
from keras_leaky.tuning._engine.seeding import derive_seed
from keras_leaky.tuning._engine.trial_callbacks import overrides
from keras_leaky.tuning._keras_tuner import Trial, TrialStatus, propose_by, run_and_record
from keras_leaky.tuning._lanes.scheduler import Job, open_lanes, run_jobs
from keras_leaky.tuning._lanes.worker_outcome import Finished, WorkerLostError
from keras_leaky.tuning._lanes.workplace import Workplace
from keras_leaky.tuning._project.additions import TrialLog
from keras_leaky.tuning._project.checkpoint import Checkpoint
from keras_leaky.tuning._project.data_digest import digest_of

if TYPE_CHECKING:  # it imports this file
    from keras_leaky.tuning.reusing_tuner import ReusingTuner

_OF_WORKERS = (
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"),
    *("run_trial", "_build_and_fit_model", "_build_hypermodel", "_try_build"),
    *("_override_compile_args", "_deepcopy_callbacks", "_configure_tensorboard_dir"),
)


@dataclasses.dataclass(kw_only=True)
class TrialWork:
    """The work that all trials of a search share. Calling it does one trial.

    Attributes:
        place: `Workplace`.
        builder: `Builder` without a start.
        callbacks: Callbacks of `fit`; copied for each training.
        objective, seed: From the oracle.
        n_executions, max_model_size: From the tuner.
    """

    place: Workplace
    builder: Builder
    callbacks: list[Any]
    objective: keras_tuner.Objective
    seed: int
    n_executions: int
    max_model_size: int | None

    def __call__(
        self,
        hyperparameters: keras_tuner.HyperParameters,
        start: Checkpoint | None,
        epochs: dict[str, int],
    ) -> Executions:
        """Does the work of a trial.

        Args:
            hyperparameters: `keras_tuner.HyperParameters`.
            start: `Checkpoint` that the model starts from, or None.
            epochs: Arguments of `fit` that the oracle sets.

        Returns:
            `Executions`.
        """
        trainer = self.place.get_trainer()

        def train(execution: int, callbacks: list[keras.callbacks.Callback]) -> Any:
            return build_and_fit(
                trainer,
                dataclasses.replace(self.builder, start=start),
                self.builder.hypermodel,
                hyperparameters,
                self.place.args,
                {**self.place.kwargs, **epochs, "callbacks": callbacks},
                objective=self.objective,
                seed=derive_seed(self.seed, execution),
                max_model_size=self.max_model_size,
            )

        return run_executions(
            train,
            hyperparameters,
            callbacks=CopiedCallbacks(self.callbacks),
            objective=self.objective,
            n_executions=self.n_executions,
        )


class TrialSource:
    """The trials of a tuner, as jobs for lanes.

    Args:
        tuner: `ReusingTuner`.
        place: `Workplace` with the arguments of `fit`, for workers or for this process.
        callbacks: Callbacks of `fit`.
        has_workers: Whether workers do the jobs; else the tuner's own `run_trial` does.

    Raises:
        ValueError: If a part of the search must reach workers but cannot be pickled.
    """

    def __init__(
        self, tuner: "ReusingTuner", place: Workplace, callbacks: Any, has_workers: bool
    ) -> None:
        self._tuner, self._place, self._callbacks = tuner, place, callbacks
        self._has_workers = has_workers
        self.work = _work_of(tuner, place, list(callbacks or [])) if has_workers else None
        self._running: dict[Hashable, Trial] = {}  # trials, by id
        # Trials of Hyperband that continue one that is running, as after a resume.
        self._waiting: list[Trial] = []
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether the oracle has no other trial."""
        return self._is_stopped

    def log_of(self, trial_id: str) -> TrialLog:
        """The course of a trial's trainings, for the file of the trial."""
        return self._tuner._project.log_of(trial_id)

    @property
    def is_done(self) -> bool:
        return self._is_stopped and not self._running and not self._waiting

    def next_job(self) -> Job | None:
        trial = self._next_trial()
        if trial is None:
            return None
        self._running[trial.trial_id] = trial
        if not self._has_workers:
            return Job(trial.trial_id)
        values = trial.hyperparameters.values
        epochs = {}
        if "tuner/epochs" in values:  # Hyperband
            epochs["epochs"] = values["tuner/epochs"]
            epochs["initial_epoch"] = values["tuner/initial_epoch"]
        before = values.get("tuner/trial_id")  # a trial of Hyperband continues another
        start = None if before is None else self._tuner._project.read_checkpoint(before)
        return Job(trial.trial_id, (trial.hyperparameters, start, epochs))

    def perform(self, job: Job) -> None:
        args, kwargs = self._place.args, dict(self._place.kwargs)
        if self._callbacks is not None:
            kwargs["callbacks"] = self._callbacks
        run_and_record(self._tuner, self._running[job.name], *args, **kwargs)

    def record(self, job: Job, finished: Finished) -> None:
        trial = self._running.pop(job.name)
        if self._has_workers:
            self._take_over(trial, finished)
        elif finished.error is not None:
            raise finished.error  # what ends a search
        self._tuner.on_trial_end(trial)

    def _next_trial(self) -> Trial | None:
        parents = [trial.hyperparameters.values["tuner/trial_id"] for trial in self._waiting]
        ready = next((i for i, name in enumerate(parents) if name not in self._running), None)
        if ready is not None:
            return self._waiting.pop(ready)
        oracle = self._tuner.oracle
        while True:
            self._tuner.pre_create_trial()
            # The oracle takes a name for one process, which has one trial at a time.
            names = (f"lane{i}" for i in range(len(oracle.ongoing_trials) + 1))
            name = next(name for name in names if name not in oracle.ongoing_trials)
            trial = oracle.create_trial(name if self._has_workers else self._tuner.tuner_id)
            self._is_stopped = trial.status == TrialStatus.STOPPED
            if trial.status != TrialStatus.RUNNING:
                return None  # or the oracle is calculating
            self._tuner.on_trial_begin(trial)
            if trial.hyperparameters.values.get("tuner/trial_id") not in self._running:
                return trial
            self._waiting.append(trial)

    def _take_over(self, trial: Trial, finished: Finished) -> None:
        """Records a trial as if the tuner's `run_trial` had trained it."""

        def executions() -> Executions:
            if isinstance(finished.error, WorkerLostError):
                return Executions([], None, str(finished.error), trial.hyperparameters)
            if finished.error is not None:
                raise finished.error
            trial.hyperparameters = finished.value.hyperparameters
            return finished.value

        self._tuner._from_workers[trial.trial_id] = executions
        run_and_record(self._tuner, trial)  # it calls `run_trial`
        trial.message = trial.message or "; ".join(finished.lost) or None


@contextmanager
def open_search(
    tuner: "ReusingTuner",
    place: Workplace,
    callbacks: Any,
    has_workers: bool,
    propose: Callable[[Any, int], dict[str, Any] | None] | None = None,
) -> Iterator[TrialSource]:
    """The trials of a tuner, whose project is held until the block ends.

    Args:
        tuner, place, callbacks, has_workers: As for `TrialSource`.
        propose: As for `propose_by`; None lets the oracle propose.

    Raises:
        ValueError: If another process searches in the project, or if a part of the search must
            reach workers but cannot be pickled.
    """
    if propose is not None:
        propose_by(tuner.oracle, propose)
    with tuner._project.searching(tuner.reload):
        if not has_workers:
            tuner._trainer = place.get_trainer()
        tuner._see_data(digest_of(place.args, place.kwargs))
        tuner.save()
        source = TrialSource(tuner, place, callbacks, has_workers)
        tuner.on_search_begin()
        yield source
        tuner.on_search_end()


def search(
    tuner: "ReusingTuner",
    client: Any,
    retries: int,
    trial_timeout: float | None,
    args: Any,
    kwargs: Any,
) -> None:
    """Runs the search of a tuner.

    Args:
        tuner: `ReusingTuner`.
        client, retries, trial_timeout: As for `WorkerPool`; without a client, this process trains.
        args, kwargs: Arguments of `fit`.

    Raises:
        ValueError: If a part of the search must reach workers but cannot be pickled.
        SchedulerLostError: If the connection to the scheduler is lost. Finished trials are kept.
    """
    kwargs = dict(kwargs)
    callbacks = kwargs.pop("callbacks", None)
    if "verbose" in kwargs:
        oracle: Any = tuner.oracle
        oracle.verbose = kwargs["verbose"]
    if client is not None:
        kwargs["verbose"] = 0
    place = Workplace(args, kwargs, None if client is not None else tuner._trainer)
    with (
        open_search(tuner, place, callbacks, client is not None) as source,
        open_lanes([source], client, retries=retries, timeout=trial_timeout) as lanes,
    ):
        run_jobs([source], lanes)


def _work_of(tuner: "ReusingTuner", place: Workplace, callbacks: list[Any]) -> TrialWork:
    for name in _OF_WORKERS:
        if overrides(tuner, name):
            raise ValueError(
                f"`client` must be left out for a tuner with its own `{name}`: workers have no "
                f"tuner. Use a callback or a HyperModel instead. Received: {type(tuner)}"
            )
    if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in callbacks):
        raise ValueError(
            "`callbacks` must not hold TensorBoard if workers train: they share no folder for its "
            f"files. Received: {callbacks}"
        )
    builder = Builder(tuner.hypermodel, tuner.optimizer, tuner.loss, tuner.metrics)
    work = TrialWork(
        place=place,
        builder=builder,
        callbacks=callbacks,
        objective=tuner.oracle.objective,
        seed=tuner.oracle.seed,
        n_executions=tuner.executions_per_trial,
        max_model_size=tuner.max_model_size,
    )
    place.check_can_travel(hypermodel=builder, callbacks=callbacks)
    return work
