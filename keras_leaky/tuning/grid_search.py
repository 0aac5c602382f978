"""Grid search in reused programs."""

import keras_tuner

from keras_leaky.tuning.reusing_tuner import ReusingTuner
from keras_leaky.tuning.seeding import accepts_seed_0

_Status = keras_tuner.engine.trial.TrialStatus


class GridSearchOracle(keras_tuner.oracles.GridSearchOracle):
    """KerasTuner's oracle, its arguments and the order of its points too, without two of its traps.

    The next point does not wait for a trial to end, so that any number of trials can run at once:
    KerasTuner's proposes two, and then one for each that ends. And a resumed search goes on with
    the points that are left: KerasTuner does not save which these are, and stops at once.

    A hyperparameter that shows only when a trial runs, because `HyperModel.fit` asks for it, adds
    its points when the first trial with it has ended. What ran until then had its default.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._last_values = None  # of the walk through the grid, None before its first point
        self._tried = set()
        self._n_parameters = None

    def populate_space(self, trial_id):
        n_parameters = len(self.hyperparameters.space)
        if self._n_parameters != n_parameters:  # walks anew and leaves out what was tried
            self._n_parameters, self._last_values = n_parameters, None
            self._tried = {self._key(trial.hyperparameters) for trial in self.trials.values()}
        while (values := self._next_values()) is not None:
            self._last_values = values
            hyperparameters = self.get_space()
            hyperparameters.values = dict(values)
            if (key := self._key(hyperparameters)) not in self._tried:
                self._tried.add(key)
                return {"status": _Status.RUNNING, "values": values}
        # A trial that goes on may still ask for another hyperparameter.
        return {"status": _Status.IDLE if self.ongoing_trials else _Status.STOPPED, "values": None}

    def set_state(self, state):
        super().set_state(state)
        self._n_parameters = None

    def _next_values(self):
        if self._last_values is None:
            space = self.get_space()
            return {p.name: p.default for p in space.space if space.is_active(p)}
        return self._get_next_combination(self._last_values)  # private: where the order is defined

    def _key(self, hyperparameters):
        """The values of a point, with defaults for what its trial has not asked for yet."""
        point = self.get_space()
        for parameter in point.space:  # those that a condition needs come first
            if point.is_active(parameter):
                value = hyperparameters.values.get(parameter.name, parameter.default)
                point.values[parameter.name] = value
        return frozenset(point.values.items())


@accepts_seed_0
class GridSearch(keras_tuner.GridSearch, ReusingTuner):
    """`keras_tuner.GridSearch`, its arguments too, with the trials of `ReusingTuner`."""

    def __init__(
        self,
        hypermodel=None,
        objective=None,
        max_trials=None,
        seed=None,
        hyperparameters=None,
        tune_new_entries=True,
        allow_new_entries=True,
        max_retries_per_trial=0,
        max_consecutive_failed_trials=3,
        **kwargs,
    ):
        self.seed = seed
        oracle = GridSearchOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        ReusingTuner.__init__(self, oracle, hypermodel, **kwargs)
