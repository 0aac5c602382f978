"""A KerasTuner tuner that compiles once and trains every trial in the same program."""

import os
import sys
from typing import Any

import keras
import keras_tuner

from keras_leaky.tuning.callbacks import tuner_hooks
from keras_leaky.tuning.executions import run_executions
from keras_leaky.tuning.folder_lock import folder_lock
from keras_leaky.tuning.oracle_lock import release_after_errors
from keras_leaky.tuning.parallel_search import load_data, search_on_workers
from keras_leaky.tuning.project import (
    Project,
    check_objective,
    describe_objective,
    is_distributed,
)
from keras_leaky.tuning.trainer import Trainer

_Status = keras_tuner.engine.trial.TrialStatus


class ReusingTuner(keras_tuner.Tuner):
    """A `keras_tuner.Tuner` that compiles a program once and trains many trials in it.

    Use it, or `RandomSearch`, `BayesianOptimization`, `Hyperband` and `GridSearch` of this module,
    like the tuner of KerasTuner: the same `build(hp)`, oracles, arguments of `search`, project
    folder and results. For each trial `build(hp)` makes a new model. If one of the same structure
    is compiled already, the new model's numbers are loaded into it: weights, statistics, seeds,
    optimizer, learning rate, and the slopes of this package's layers. A hyperparameter that changes
    the structure, such as a width, costs one compilation a value; the eight programs that were
    used last are kept.

    Two trials share a program only if everything that can be reached from their models, optimizers,
    losses and metrics is equal, apart from these numbers: attributes of all objects, the code of
    functions, and the globals that they read. What cannot be looked into gets a program of its own,
    and so does a program that uses a variable which is not the model's.

    An epoch is one compiled call over data on the device, with TensorFlow or JAX. It covers arrays
    and tensors, with TensorFlow `tf.data` too, and the `model.fit` that a `HyperModel.fit` calls.
    What it does not cover is trained by `fit` on the reused model, and the log says why: callbacks
    with hooks for batches, generators, a `train_step` of your own. With PyTorch every trial trains
    its own model by `fit`.

    All trials see common random numbers, derived from the seed of the oracle: the same order of the
    data and, before they are scaled, the same initial draws.

    A trial whose training loss is not finite, or whose objective is NaN in every epoch, is FAILED
    with that as its message, is never among the best, and does not count as one of the consecutive
    failures that end a search.

    A search that is killed at any moment goes on when the script is started again: no finished
    trial is lost or trained twice. Files of the project are written whole and hold checksums; a
    damaged one is set aside under a name that says so, and its trial is trained again. One search
    at a time may run in a project.

    Not seen when trials are compared: what code reads from outside of Python, such as a file or a
    setting of TensorFlow.

    Args:
        oracle: `keras_tuner.Oracle`. KerasTuner's draw a random seed where 0 is
            given; the tuners named above do not.
        hypermodel: Function `build(hp)` that returns a compiled model, or a
            `keras_tuner.HyperModel`.
        **kwargs: As `keras_tuner.Tuner`: `executions_per_trial`, `directory`, `project_name`,
            `overwrite`, `max_model_size`, ... A project of the same name is resumed, unless its
            search space or objective is another one.

    Raises:
        ValueError: If `distribution_strategy` is given. If the project to resume has
            another search space or objective, or was written by another kind of oracle. From
            `search`, and with `overwrite=True`, if another process searches in the project.

    Example:

    >>> import keras, keras_tuner, numpy as np, tempfile
    >>> from keras_leaky.layers import LeakyReLU
    >>> from keras_leaky.tuning import ReusingTuner
    >>> def build(hp):
    ...     alpha = hp.Float("alpha", 1e-3, 0.5, sampling="log")
    ...     learning_rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    ...     layers = [keras.Input((4,)), keras.layers.Dense(8), LeakyReLU(alpha)]
    ...     model = keras.Sequential([*layers, keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.Adam(learning_rate), "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> oracle = keras_tuner.oracles.RandomSearchOracle(
    ...     objective="val_loss", max_trials=3, seed=1
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tuner = ReusingTuner(oracle, build, directory=folder)
    ...     tuner.search(x, x[:, 0], validation_split=0.25, epochs=2, verbose=0)
    ...     n_finished = sum(trial.status == "COMPLETED" for trial in oracle.trials.values())
    >>> n_finished
    3
    """

    hypermodel: Any

    def __init__(self, oracle, hypermodel=None, **kwargs):
        has_own_trials = type(self).run_trial not in _RUN_TRIALS
        if hypermodel is None and not has_own_trials:
            raise ValueError(
                "`hypermodel` must be a function `build(hp)` or a HyperModel, unless a subclass "
                f"has a `run_trial` of its own. Received: {hypermodel=}"
            )
        if kwargs.get("distribution_strategy") is not None:
            raise ValueError(
                "`distribution_strategy` must be left out: a compiled program runs on one device. "
                f"Received: distribution_strategy={kwargs['distribution_strategy']!r}"
            )
        self._trainer = Trainer()
        self._diverged = {}  # trial id -> why
        self._from_workers = {}  # trial id -> function that returns its `Executions`
        self._given_space = oracle.get_space()
        # As KerasTuner's BaseTuner has it, which reads the project at once.
        folder = os.path.join(
            str(kwargs.get("directory") or "."), kwargs.get("project_name") or "untitled_project"
        )
        self._project = Project(oracle, folder)
        release_after_errors(oracle)
        if kwargs.get("overwrite") and os.path.isdir(folder) and not is_distributed():
            with folder_lock(folder):
                pass  # nobody searches in what is deleted next
        super().__init__(oracle=oracle, hypermodel=hypermodel, **kwargs)
        # The oracle would count trials that diverged as well, and end the search without a reason.
        self._n_failures_allowed = oracle.max_consecutive_failed_trials
        self._n_failures = 0
        oracle.max_consecutive_failed_trials = sys.maxsize

    def search(self, *fit_args, client=None, retries=2, trial_timeout=None, **fit_kwargs):
        """As `keras_tuner.Tuner.search`, here or on the workers of a Dask cluster.

        Workers train one trial at a time each, in programs that they compile once, and need no
        disk in common. Which points a random or grid search tries, and what comes out, does not
        depend on their number, if the first call of `build` asks for all hyperparameters. What
        Bayesian optimization and Hyperband try depends on the trials that have ended by then.

        Args:
            *fit_args: As for `keras.Model.fit`; for workers things that can be pickled. Arrays are
                sent to each worker once. A function without arguments is called in their place,
                once on each worker, such as one that loads a file there.
            client: `distributed.Client`, such as one of `local_workers`, with workers that are
                processes: threads of one would share what they draw from. None: trials are trained
                in this process.
            retries: int >= 0. How often a trial is tried again whose worker was killed or ran out
                of time. After that it is FAILED.
            trial_timeout: Seconds after which a worker is taken for hung and restarted, or None.
            **fit_kwargs: As `fit_args`.

        Raises:
            ValueError: If another process searches in the project. With `client`: if an argument is
                out of range, something cannot be pickled, or the tuner has hooks of its own.
            SchedulerLostError: If the scheduler has gone away. What has finished is kept.
        """
        self._trainer.forget_data()  # it may have changed since the last search
        with self._project.searching(self.reload):
            self.save()
            if client is None:
                fit_args, fit_kwargs = load_data(fit_args, fit_kwargs)
                return super().search(*fit_args, **fit_kwargs)
            return search_on_workers(self, client, retries, trial_timeout, fit_args, fit_kwargs)

    def run_trial(self, trial, *args, **kwargs):
        """Trains the model of `trial` as often as `executions_per_trial` says."""
        if trial.trial_id in self._from_workers:
            return self._keep(trial, self._from_workers.pop(trial.trial_id)())
        given = kwargs.pop("callbacks", None) or []

        def callbacks(execution):
            return [*self._copy_callbacks(given, trial, execution), tuner_hooks(self, trial)]

        executions = run_executions(
            self._trainer,
            self._build_hypermodel,  # Hyperband loads the trial that it goes on with
            self.hypermodel,
            trial.hyperparameters,
            args,
            kwargs,
            callbacks=callbacks,
            objective=self.oracle.objective,
            seed=self.oracle.seed,
            n_executions=self.executions_per_trial,
            max_model_size=self.max_model_size,
        )
        return self._keep(trial, executions)

    def on_trial_end(self, trial):
        """Records the trial; ends the search after too many crashes in a row."""
        trial.message = self._diverged.get(trial.trial_id, trial.message)  # not a traceback
        super().on_trial_end(trial)
        failed = self.oracle.get_trial(trial.trial_id).status == _Status.FAILED
        is_crash = failed and trial.trial_id not in self._diverged
        self._n_failures = self._n_failures + 1 if is_crash else 0
        if self._n_failures == self._n_failures_allowed:
            raise RuntimeError(
                f"{self._n_failures} trials in a row failed; the last one, {trial.trial_id}:\n"
                f"{trial.message or ''}"
            )

    def get_best_models(self, num_models=1):
        """The models of the best trials at their best epochs, the best first.

        They are those that `build` makes, with weights that were trained in another.

        Raises:
            ValueError: If no trial was completed.
        """
        return [self.load_model(trial) for trial in self._best_trials(num_models)]

    def get_best_hyperparameters(self, num_trials=1):
        """The hyperparameters of the best completed trials, the best first.

        Raises:
            ValueError: If no trial was completed.
        """
        return [trial.hyperparameters for trial in self._best_trials(num_trials)]

    def save(self):
        """Saves the oracle and the tuner, if there is anything new."""
        if not self._is_worker():
            self.oracle.save()
        self._project.write_tuner(self._get_tuner_fname(), self.get_state())

    def reload(self):
        """Reads the project; damaged files of it are set aside, and their trials run again.

        Raises:
            ValueError: If its search space, objective or kind of oracle is another one.
        """
        with self._project.repairing():
            is_found = self._is_worker() or self.oracle.reload()
            state = self._project.read_tuner(self._get_tuner_fname(), self.get_state())
        if state is not None:
            self.set_state(state)
        if not is_found:
            super()._populate_initial_space()
        elif self.hypermodel is not None and not self._is_worker():
            self._check_space(self._given_space.copy())

    def get_state(self):
        return {**super().get_state(), "objective": describe_objective(self.oracle)}

    def set_state(self, state):
        super().set_state(state)
        objective = describe_objective(self.oracle)
        check_objective(state.get("objective", objective), objective, self.project_dir)

    def _populate_initial_space(self):
        # KerasTuner takes a project whose tuner's file is missing for a new one, and would write
        # over its trials. It comes here in the place of `reload`.
        if self._project.is_begun and not self._is_worker():
            self.reload()
        else:
            super()._populate_initial_space()

    def _keep(self, trial, executions):
        """Writes the checkpoint of `Executions`; returns what KerasTuner takes as results."""
        if executions.failure:
            self._diverged[trial.trial_id] = executions.failure
            raise keras_tuner.errors.FailedTrialError(executions.failure)
        self._project.write_checkpoint(trial.trial_id, executions.checkpoint)
        return executions.results

    def _copy_callbacks(self, callbacks, trial, execution):
        callbacks = list(self._deepcopy_callbacks(callbacks))
        if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in callbacks):
            # KerasTuner calls it for every trial, and it imports tensorboard.
            self._configure_tensorboard_dir(callbacks, trial, execution)
        return callbacks

    def _best_trials(self, n_trials):
        """KerasTuner fills up with trials that failed."""
        trials = self.oracle.get_best_trials(max(n_trials, 1))
        completed = [trial for trial in trials if trial.status == _Status.COMPLETED]
        if not completed:
            reasons = [trial.message for trial in trials if trial.message]
            raise ValueError(
                f"No trial was completed{': ' + reasons[0] if reasons else ''}. Call `search` first"
            )
        return completed[:n_trials]

    def _check_space(self, hp):
        """Refuses to go on with trials of another search space.

        Args:
            hp: `keras_tuner.HyperParameters` that the oracle was given. `build` adds to it.
        """
        given = [parameter.name for parameter in hp.space]
        self.hypermodel.build(hp)
        known = [parameter.get_config() for parameter in self.oracle.get_space().space]
        for parameter in hp.space:
            is_tuned = self.oracle.tune_new_entries or parameter.name in given
            if is_tuned and parameter.get_config() not in known:
                raise ValueError(
                    f"The search space must be that of the project in {self.project_dir} to "
                    "resume it; or give another `project_name`, or `overwrite=True`. "
                    f"Received: {parameter.get_config()}"
                )


_RUN_TRIALS = (ReusingTuner.run_trial, keras_tuner.Hyperband.run_trial)
