"""A KerasTuner tuner that compiles once and trains every trial in the same program."""

import json
import math
import sys
from functools import partial
from typing import Any

import keras
import keras_tuner

from keras_leaky.tuning.callbacks import BestEpoch, FiniteLoss, tuner_hooks
from keras_leaky.tuning.seeding import derive_seed
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

    An epoch is one compiled call over data on the device, with TensorFlow or JAX. What that does
    not cover is trained by `fit` on the reused model, and the log says why: callbacks with hooks
    for batches, data sets and generators, a `train_step` or `HyperModel.fit` of your own, PyTorch.

    All trials see common random numbers, derived from the seed of the oracle: the same order of the
    data and, before they are scaled, the same initial draws.

    A trial whose training loss is not finite, or whose objective is NaN in every epoch, is FAILED
    with that as its message, is never among the best, and does not count as one of the consecutive
    failures that end a search.

    Not seen when structures are compared: a global that a function reads, an attribute of a layer
    of Keras that was changed after the layer was made, and what a layer of your own draws with
    `keras.random` without a `keras.random.SeedGenerator`.

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
            another search space or objective, or a file of it is damaged.

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
        self._was_reloaded = False
        given_space = oracle.get_space()
        super().__init__(oracle=oracle, hypermodel=hypermodel, **kwargs)
        if self._was_reloaded and self.hypermodel is not None:
            self._check_space(given_space)
        # The oracle would count trials that diverged as well, and end the search without a reason.
        self._n_failures_allowed = oracle.max_consecutive_failed_trials
        self._n_failures = 0
        oracle.max_consecutive_failed_trials = sys.maxsize

    def search(self, *fit_args, **fit_kwargs):
        """As `keras_tuner.Tuner.search`."""
        self._trainer.forget_data()  # it may have changed since the last search
        return super().search(*fit_args, **fit_kwargs)

    def run_trial(self, trial, *args, **kwargs):
        """Trains the model of `trial` as often as `executions_per_trial` says."""
        given = kwargs.pop("callbacks", None) or []
        best = BestEpoch(self.oracle.objective)
        results = []
        for execution in range(self.executions_per_trial):
            finite_loss = FiniteLoss()
            callbacks = self._copy_callbacks(given, trial, execution)
            seed = derive_seed(self.oracle.seed, execution)
            callbacks += [tuner_hooks(self, trial), best, finite_loss]
            arguments = {**kwargs, "callbacks": callbacks}
            model, result = self._train(trial.hyperparameters, seed, args, arguments)
            failure = finite_loss.failure or best.failure
            if failure:
                self._diverged[trial.trial_id] = failure
                raise keras_tuner.errors.FailedTrialError(failure)
            results.append(result)
        best.save(
            model,
            self._get_checkpoint_fname(trial.trial_id),
            self._get_build_config_fname(trial.trial_id),
        )
        return results

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

    def reload(self):
        try:
            super().reload()
        except json.JSONDecodeError as error:
            raise ValueError(
                f"A file of the project in {self.project_dir} is damaged, as if its search was "
                "killed while writing. Give another `project_name`, or `overwrite=True`. "
                f"Received: {error}"
            ) from error

    def get_state(self):
        return {**super().get_state(), "objective": self._describe_objective()}

    def set_state(self, state):
        super().set_state(state)
        self._was_reloaded = True
        objective = self._describe_objective()
        if state.get("objective", objective) != objective:
            raise ValueError(
                f"The objective must be that of the project in {self.project_dir}, "
                f"{state['objective']}, to resume it; or give another `project_name`, or "
                f"`overwrite=True`. Received: {objective}"
            )

    def _train(self, hp, seed, args, kwargs):
        """The trained model, and what KerasTuner takes as the results of an execution."""
        x = kwargs.get("x", args[0] if args else None)
        model = self._trainer.build(lambda: self._build(hp, getattr(x, "shape", None)), seed)
        own_fit = None
        if type(self.hypermodel).fit is not keras_tuner.HyperModel.fit:
            own_fit = partial(self.hypermodel.fit, hp)
        return self._trainer.fit(model, *args, seed=seed, own_fit=own_fit, **kwargs)

    def _build(self, hp, data_shape):
        model = self._build_hypermodel(hp)  # Hyperband loads the trial that it goes on with
        if not isinstance(model, keras.Model):
            raise keras_tuner.errors.FatalTypeError(
                f"`build(hp)` must return a keras.Model. Received: {model!r}"
            )
        if isinstance(model, keras.Sequential) and not model.built and data_shape is not None:
            model.build((None, *data_shape[1:]))
        n_parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
        if self.max_model_size and n_parameters > self.max_model_size:
            raise keras_tuner.errors.FailedTrialError(
                f"The model has {n_parameters} parameters, more than `max_model_size`: "
                f"{self.max_model_size}"
            )
        return model

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

    def _describe_objective(self):
        objectives = getattr(self.oracle.objective, "objectives", [self.oracle.objective])
        return [f"{objective.direction} {objective.name}" for objective in objectives]

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
