"""A KerasTuner tuner that compiles once and trains every trial in the same program."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import keras_tuner

from keras_leaky.tuning._arguments import HyperModelOrBuild, check_arguments
from keras_leaky.tuning._engine.executions import Executions, build_and_fit, run_executions
from keras_leaky.tuning._engine.seeding import derive_seed
from keras_leaky.tuning._engine.trial_callbacks import callbacks_of, overrides
from keras_leaky.tuning._keras_tuner import (
    Trial,
    TrialStatus,
    checkpoint_paths,
    count_no_failures,
    release_after_errors,
    tuner_path,
)
from keras_leaky.tuning._lanes.crashes import Crashes
from keras_leaky.tuning._lanes.search import search
from keras_leaky.tuning._lanes.workplace import load_data
from keras_leaky.tuning._project.additions import TrialLog
from keras_leaky.tuning._project.data_digest import DataSeen
from keras_leaky.tuning._project.objectives import check_objective, describe_objective
from keras_leaky.tuning._project.project import Project, is_distributed
from keras_leaky.tuning._project.search_space import check_space
from keras_leaky.tuning.trainer import Trainer


class ReusingTuner(keras_tuner.Tuner):
    """A `keras_tuner.Tuner` that compiles a program once and trains many trials in it.

    Use it, or `RandomSearch`, `BayesianOptimization`, `Hyperband` and `GridSearch` of this module,
    like the tuner of KerasTuner: the same `build(hp)`, oracles, arguments of `search`, project
    folder and results. For each trial `build(hp)` makes a new model. If one of the same structure
    is compiled already, the new model's numbers are loaded into it: weights, statistics, seeds,
    optimizer, learning rate, and the slopes of this package's layers. A hyperparameter that changes
    the structure, such as a width, needs one compilation per value. The eight programs that were
    used last are kept.

    Two trials share a program only if everything that can be reached from their models, optimizers,
    losses and metrics is equal, apart from these numbers: attributes of all objects, the code of
    functions, and the globals that they read. A model that holds an object which cannot be
    inspected gets its own program. So does a model whose code uses a variable outside of the model.

    An epoch is one compiled call over data on the device, with TensorFlow or JAX. It covers arrays
    and tensors, with TensorFlow `tf.data` too, and the `model.fit` that a `HyperModel.fit` calls.
    It does not cover callbacks with hooks for batches, generators, or your own `train_step`. Such
    trials are trained by `fit` on the reused model, and the log says why. With PyTorch, every trial
    trains its own model by `fit`.

    All trials see common random numbers, derived from the seed of the oracle: the same order of the
    data and, before they are scaled, the same initial draws.

    A trial has diverged if its training or validation loss is not finite, or if its objective is
    NaN in every epoch. It is FAILED, with the reason as its message, and never among the best. It
    does not count among the consecutive failures that end a search.

    If a search is killed at any moment, start the script again to resume it: no finished trial is
    lost or trained twice. Files of the project are written atomically and hold checksums. A damaged
    file is renamed to `*.damaged`, and its trial is trained again. Only one search at a time may
    run in a project.

    The comparison of models does not see inputs from outside of Python, such as a file or a setting
    of TensorFlow.

    Args:
        oracle: `keras_tuner.Oracle`. KerasTuner's oracles replace `seed=0` by a random seed; the
            tuners named above do not.
        hypermodel: Function `build(hp)` that returns a compiled model, or a
            `keras_tuner.HyperModel`.
        **kwargs: As for `keras_tuner.Tuner`: `executions_per_trial`, `directory`, `project_name`,
            `overwrite`, `max_model_size`, ... A project of the same name is resumed if it has the
            same search space and objective.

    Raises:
        ValueError: If `distribution_strategy` is given. If the project to resume has a different
            search space or objective, or was written by another kind of oracle. From `search`, and
            with `overwrite=True`, if another process searches in the project.

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

    def __init__(
        self, oracle: keras_tuner.Oracle, hypermodel: HyperModelOrBuild | None = None, **kwargs: Any
    ) -> None:
        has_own_trials = type(self).run_trial not in _RUN_TRIALS
        check_arguments(oracle, hypermodel, has_own_trials, kwargs.get("distribution_strategy"))
        self._trainer = Trainer()
        self._own_oracle = oracle  # KerasTuner's own workers have a proxy instead
        self._execution = 0
        self._data_seen = DataSeen()
        self._diverged: dict[str, str] = {}  # trial id -> why
        self._from_workers: dict[str, Callable[[], Executions]] = {}  # by trial id
        self._given_space = oracle.get_space()
        # Like KerasTuner's BaseTuner, which reads the project at once.
        folder = os.path.join(
            str(kwargs.get("directory") or "."), kwargs.get("project_name") or "untitled_project"
        )
        self._project = Project(oracle, folder)
        release_after_errors(oracle)
        if kwargs.get("overwrite"):
            self._project.refuse_if_in_use()
        super().__init__(oracle=oracle, hypermodel=hypermodel, **kwargs)
        self._crashes = Crashes(oracle.max_consecutive_failed_trials)
        count_no_failures(oracle)
        if is_distributed() and not self._is_worker():
            self._crashes.stop_workers(oracle)

    def search(
        self,
        *fit_args: Any,
        client: Any = None,
        retries: int = 2,
        trial_timeout: float | None = None,
        **fit_kwargs: Any,
    ) -> None:
        """Searches like `keras_tuner.Tuner.search`, here or on the workers of a Dask cluster.

        Each worker trains one trial at a time, in programs that it compiles once. Workers need no
        shared disk. The points and results of a random or grid search do not depend on the number
        of workers, if the first call of `build` asks for all hyperparameters. The points of
        Bayesian optimization and Hyperband depend on the trials that have ended by then.

        Args:
            *fit_args: As for `keras.Model.fit`; workers need arguments that can be pickled. Arrays
                are sent to each worker once. You can pass a function without arguments instead,
                such as one that loads a file: it is called once on each worker.
            client: `distributed.Client`, such as from `local_workers`. Its workers must be
                processes: threads would share random generators. None trains in this process.
            retries: int >= 0. How often a trial is retried after its worker was killed or ran out
                of time. After that it is FAILED.
            trial_timeout: Seconds after which a worker counts as hung and is restarted, or None.
            **fit_kwargs: As for `fit_args`.

        Raises:
            ValueError: If another process searches in the project. With `client`: if an argument is
                out of range, something cannot be pickled, or the tuner has its own hooks.
            SchedulerLostError: If the connection to the scheduler is lost. Finished trials are
                kept.
        """
        self._trainer.forget_data()  # it may have changed since the last search
        if is_distributed():
            with self._project.searching(self.reload):
                fit_args, fit_kwargs = load_data(fit_args, fit_kwargs)
                self.save()
                super().search(*fit_args, **fit_kwargs)
        else:
            search(self, client, retries, trial_timeout, fit_args, fit_kwargs)
        self._crashes.raise_if_too_many()  # in the chief of KerasTuner's own workers

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains the model of `trial` as often as `executions_per_trial` says."""
        if trial.trial_id in self._from_workers:
            return self._keep(trial, self._from_workers.pop(trial.trial_id)())
        given = kwargs.pop("callbacks", None) or []

        def train(execution: int, callbacks: list[keras.callbacks.Callback]) -> Any:
            self._execution = execution
            return self._build_and_fit_model(trial, *args, **{**kwargs, "callbacks": callbacks})

        executions = run_executions(
            train,
            trial.hyperparameters,
            callbacks=partial(callbacks_of, self, given, trial),
            objective=self.oracle.objective,
            n_executions=self.executions_per_trial,
        )
        return self._keep(trial, executions)

    def _build_and_fit_model(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains the model of `trial` once. AutoKeras overrides it."""
        # Hyperband loads the trial that it continues.
        build = self._try_build if overrides(self, "_try_build") else self._build_hypermodel
        return build_and_fit(
            self._trainer,
            build,
            self.hypermodel,
            trial.hyperparameters,
            args,
            kwargs,
            objective=self.oracle.objective,
            seed=derive_seed(self._own_oracle.seed, self._execution),
            max_model_size=self.max_model_size,
        )

    def on_trial_end(self, trial: Trial) -> None:
        """Records the trial; ends the search after too many crashes in a row."""
        trial.message = self._diverged.get(trial.trial_id, trial.message)  # not a traceback
        super().on_trial_end(trial)
        if overrides(self, "on_trial_end"):
            self._project.flush()  # a subclass may look for the files of the trial
        if is_distributed():
            self._crashes.tell(trial)  # the chief counts, for all workers
        else:
            self._crashes.count(self.oracle.get_trial(trial.trial_id))
            self._crashes.raise_if_too_many()

    def load_model(self, trial: Trial) -> keras.Model:
        """The model of a trial with the weights of its best epoch.

        Raises:
            ValueError: If no weights were kept, because `HyperModel.fit` did not pass its callbacks
                on.
        """
        self._project.flush()
        if not os.path.exists(checkpoint_paths(self, trial.trial_id)[0]):
            self._project.read_checkpoint(trial.trial_id)  # says why
        model: Any = super().load_model(trial)
        return model

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The models of the best trials at their best epochs, the best first.

        `build` makes these models; their weights were trained in a shared program.

        Raises:
            ValueError: If no trial was completed.
        """
        return [self.load_model(trial) for trial in self._best_trials(num_models)]

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[keras_tuner.HyperParameters]:
        """The hyperparameters of the best completed trials, the best first.

        Raises:
            ValueError: If no trial was completed.
        """
        return [trial.hyperparameters for trial in self._best_trials(num_trials)]

    def save(self) -> None:
        """Saves the oracle and the tuner, if there is anything new."""
        if not self._is_worker():
            self.oracle.save()
        self._project.write_tuner(tuner_path(self), self.get_state())

    def reload(self) -> None:
        """Reads the project; damaged files are renamed, and their trials run again.

        Raises:
            ValueError: If its search space, objective or kind of oracle differs.
        """
        with self._project.repairing():
            is_found = self._is_worker() or self.oracle.reload()
            state = self._project.read_tuner(tuner_path(self), self.get_state())
        if state is not None:
            self.set_state(state)
        if not is_found:
            super()._populate_initial_space()
        elif self.hypermodel is not None and not self._is_worker():
            check_space(self, self._given_space.copy())

    def get_state(self) -> dict[str, Any]:
        ours = {"objective": describe_objective(self.oracle), "data": self._data_seen.digests}
        return {**super().get_state(), **ours}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._data_seen.digests = state.get("data", [])
        objective = describe_objective(self.oracle)
        if self._has_results():
            check_objective(state.get("objective", objective), objective, self.project_dir)

    def _populate_initial_space(self) -> None:
        # KerasTuner treats a project without a tuner's file as a new one, and would write
        # over its trials. It comes here instead of `reload`.
        if self._project.is_begun and not self._is_worker():
            self.reload()
        else:
            super()._populate_initial_space()

    def _keep(self, trial: Trial, executions: Executions) -> list[Any]:
        """Writes the checkpoint of `Executions`; returns results in KerasTuner's form."""
        seed = self._own_oracle.seed
        log = TrialLog(
            histories=executions.histories,
            seeds=[derive_seed(seed, i) for i in range(max(1, len(executions.histories)))],
            has_diverged=executions.has_diverged,
            seconds=executions.seconds,
        )
        self._project.keep_log(trial.trial_id, log)
        if executions.failure:
            self._diverged[trial.trial_id] = executions.failure
            raise keras_tuner.errors.FailedTrialError(executions.failure)
        self._project.write_checkpoint(trial.trial_id, executions.checkpoint)
        if executions.checkpoint and overrides(self, "get_trial_dir", "_get_checkpoint_fname"):
            executions.checkpoint.write_for(self, trial.trial_id)
        return executions.results

    def _see_data(self, digest: dict[str, str]) -> None:
        self._data_seen.add(digest, self.project_dir, self._has_results())

    def _has_results(self) -> bool:
        return any(trial.score is not None for trial in self.oracle.trials.values())

    def _best_trials(self, n_trials: int) -> list[Trial]:
        """KerasTuner fills up with trials that failed."""
        trials = self.oracle.get_best_trials(max(n_trials, 1))
        completed = [trial for trial in trials if trial.status == TrialStatus.COMPLETED]
        if not completed:
            reasons = [trial.message for trial in trials if trial.message]
            why = f"The first one failed: {reasons[0]}" if reasons else "Call `search` first"
            raise ValueError(f"No trial was completed. {why}")
        return completed[:n_trials]


_RUN_TRIALS = (ReusingTuner.run_trial, keras_tuner.Hyperband.run_trial)
