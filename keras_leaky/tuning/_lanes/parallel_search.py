"""The trials of a tuner on the workers of a Dask cluster."""

import dataclasses
import time
from functools import partial
from types import FunctionType
from typing import Any

import keras
import numpy as np

from keras_leaky.tuning._engine.executions import (
    Builder,
    CopiedCallbacks,
    Executions,
    build_and_fit,
    run_executions,
)
from keras_leaky.tuning._engine.seeding import derive_seed
from keras_leaky.tuning._engine.trial_callbacks import overrides
from keras_leaky.tuning._keras_tuner import TrialStatus, run_and_record
from keras_leaky.tuning._lanes.worker_outcome import WorkerLostError
from keras_leaky.tuning._lanes.worker_pool import WorkerPool
from keras_leaky.tuning.trainer import Trainer

_OF_WORKERS = (
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end"),
    *("run_trial", "_build_and_fit_model", "_build_hypermodel", "_try_build"),
    *("_override_compile_args", "_deepcopy_callbacks", "_configure_tensorboard_dir"),
)


@dataclasses.dataclass
class TrialWork:
    """What all trials share, and what a worker keeps from one to the next.

    Attributes:
        builder: `Builder` without a start.
        args, kwargs: For `fit`, or functions that load what is for `fit`.
        callbacks: For `fit`; copied for each training.
        objective, seed: Of the oracle.
        n_executions, max_model_size: Of the tuner.
        trainer: Of this process, once it has trained.
    """

    builder: Builder
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    callbacks: list[Any]
    objective: Any
    seed: int
    n_executions: int
    max_model_size: int | None

    trainer: Any = None

    def get_ready(self):
        """Loads the data, the first time on a worker; they stay the same objects."""
        if self.trainer is None:
            self.trainer = Trainer()
            self.args, self.kwargs = load_data(self.args, self.kwargs)


def load_data(args, kwargs):
    """Arguments of `fit`, with what the functions among them return in their place."""

    def load(part):
        return part() if isinstance(part, FunctionType | partial) else part

    return tuple(map(load, args)), {name: load(part) for name, part in kwargs.items()}


def run_trial(work, hyperparameters, start, epochs):
    """Does the work of a trial.

    Args:
        work: `TrialWork`.
        hyperparameters: `keras_tuner.HyperParameters`.
        start: `Checkpoint` that the model starts from, or None.
        epochs: Arguments of `fit` that the oracle sets.

    Returns:
        `Executions`.
    """
    work.get_ready()

    def train(execution, callbacks):
        return build_and_fit(
            work.trainer,
            dataclasses.replace(work.builder, start=start),
            work.builder.hypermodel,
            hyperparameters,
            work.args,
            {**work.kwargs, **epochs, "callbacks": callbacks},
            objective=work.objective,
            seed=derive_seed(work.seed, execution),
            max_model_size=work.max_model_size,
        )

    return run_executions(
        train,
        hyperparameters,
        callbacks=CopiedCallbacks(work.callbacks),
        objective=work.objective,
        n_executions=work.n_executions,
    )


def search_on_workers(tuner, client, retries, trial_timeout, args, kwargs):
    """Runs the search of a tuner; it proposes and records, the workers train.

    Args:
        tuner: `ReusingTuner`.
        client, retries, trial_timeout: As of `WorkerPool`.
        args, kwargs: For `fit`.

    Raises:
        ValueError: If something of the search cannot leave this process.
        SchedulerLostError: If the scheduler has gone away. What has finished is kept.
    """
    if "verbose" in kwargs:
        tuner.oracle.verbose = kwargs["verbose"]
    work = _work_of(tuner, args, {**kwargs, "verbose": 0})
    running, waiting, ended = {}, [], []
    with WorkerPool(client, run_trial, work, retries=retries, timeout=trial_timeout) as pool:
        tuner.on_search_begin()
        while True:
            for finished in ended:
                trial = running.pop(finished.key)
                _record(tuner, trial, finished)
                tuner.on_trial_end(trial)
            is_stopped = _start_trials(tuner, pool, running, waiting)
            if is_stopped and not running and not waiting:
                break
            if not running:
                time.sleep(0.05)  # the oracle is calculating
            ended = pool.wait()
        tuner.on_search_end()


def _start_trials(tuner, pool, running, waiting):
    """Gives every free worker a trial; whether the oracle has no more.

    Args:
        running: Trials that workers have, by id.
        waiting: Trials of Hyperband that go on with one that is running, as after a resume.
    """
    while pool.has_room():
        before = [trial.hyperparameters.values["tuner/trial_id"] for trial in waiting]
        ready = next((i for i, name in enumerate(before) if name not in running), None)
        if ready is not None:
            trial = waiting.pop(ready)
        else:
            tuner.pre_create_trial()
            # The oracle takes a name for one process, which has one trial at a time.
            names = (f"lane{i}" for i in range(len(tuner.oracle.ongoing_trials) + 1))
            name = next(name for name in names if name not in tuner.oracle.ongoing_trials)
            trial = tuner.oracle.create_trial(name)
            if trial.status != TrialStatus.RUNNING:
                return trial.status == TrialStatus.STOPPED
            tuner.on_trial_begin(trial)
            if trial.hyperparameters.values.get("tuner/trial_id") in running:
                waiting.append(trial)
                continue
        running[trial.trial_id] = trial
        values = trial.hyperparameters.values
        epochs = {}
        if "tuner/epochs" in values:  # Hyperband
            epochs["epochs"] = values["tuner/epochs"]
            epochs["initial_epoch"] = values["tuner/initial_epoch"]
        before = values.get("tuner/trial_id")  # the trial that one of Hyperband goes on with
        start = None if before is None else tuner._project.read_checkpoint(before)
        pool.submit(trial.trial_id, trial.hyperparameters, start, epochs)
    return False


def _record(tuner, trial, finished):
    """Records a trial as if the tuner's `run_trial` had trained it."""

    def executions():
        if isinstance(finished.error, WorkerLostError):
            return Executions([], None, str(finished.error), trial.hyperparameters)
        if finished.error is not None:
            raise finished.error
        trial.hyperparameters = finished.value.hyperparameters
        return finished.value

    tuner._from_workers[trial.trial_id] = executions
    # What KerasTuner makes of results and of errors; it calls `run_trial`.
    run_and_record(tuner, trial)
    trial.message = trial.message or "; ".join(finished.lost) or None


def _work_of(tuner, args, kwargs):
    for name in _OF_WORKERS:
        if overrides(tuner, name):
            raise ValueError(
                f"`client` must be left out for a tuner with a `{name}` of its own: workers have "
                f"no tuner. A callback or a HyperModel can do the same. Received: {type(tuner)}"
            )
    kwargs = dict(kwargs)
    callbacks = list(kwargs.pop("callbacks", None) or [])
    if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in callbacks):
        raise ValueError(
            "`callbacks` must be without TensorBoard where workers train: they have no folder in "
            f"common for its files. Received: {callbacks}"
        )
    builder = Builder(tuner.hypermodel, tuner.optimizer, tuner.loss, tuner.metrics)
    parts = {"hypermodel": builder, "callbacks": callbacks}
    parts |= {f"fit argument {i}": value for i, value in enumerate(args)} | kwargs
    for name, part in parts.items():
        _check_can_travel(name, part)
    return TrialWork(
        builder,
        args,
        kwargs,
        callbacks,
        tuner.oracle.objective,
        tuner.oracle.seed,
        tuner.executions_per_trial,
        tuner.max_model_size,
    )


def _check_can_travel(name, part):
    import cloudpickle

    leaves = keras.tree.flatten(part)
    if all(isinstance(leaf, np.ndarray) for leaf in leaves):
        return  # a copy would cost memory
    try:
        cloudpickle.dumps(part)
    except Exception as error:
        raise ValueError(
            f"`{name}` must be something that can be pickled for the workers, such as arrays. "
            f"Received: {part!r:.200} ({error})"
        ) from error
