"""Grid search in reused programs."""

from typing import Any

import keras_tuner

from keras_leaky.tuning._arguments import HyperModelOrBuild, Objectives
from keras_leaky.tuning._engine.seeding import accepts_seed_0
from keras_leaky.tuning._keras_tuner import Trial, TrialStatus
from keras_leaky.tuning.reusing_tuner import ReusingTuner


class GridSearchOracle(keras_tuner.oracles.GridSearchOracle):
    """KerasTuner's oracle with the same arguments and order of points, without two traps.

    The next point does not wait for a trial to end, so any number of trials can run at once.
    KerasTuner proposes two, and then one for each trial that ends. A resumed search continues with
    the remaining points. KerasTuner does not save them, and stops at once.

    Some hyperparameters show only when a trial runs, such as the width of an optional layer, or a
    hyperparameter of `HyperModel.fit`. Their points come after the points of the first trial that
    asked for them. Earlier trials are not repeated. A known hyperparameter without a conditional
    scope is also varied if a later trial does not ask for it; KerasTuner does the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._order: list[str] = []  # ids of trials, by their values
        # Trials whose next point may be new; None stands for the first point.
        self._to_follow: list[str | None] = [None]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if set(self._order) != set(self.trials):  # resumed
            self._order = sorted(self.trials, key=lambda name: self._key(self._values_of(name)))
            self._to_follow = [None, *self._order]
        while self._to_follow:
            followed = self._to_follow.pop(0)
            if followed is None:
                values, place = self._first_values(), 0
            else:
                values = self._next_values(self._values_of(followed))
                place = self._order.index(followed) + 1
            is_last = place == len(self._order)
            if values is not None and (
                is_last or self._key(values) < self._key(self._values_of(self._order[place]))
            ):
                self._order.insert(place, trial_id)
                self._to_follow.append(trial_id)
                return {"status": TrialStatus.RUNNING, "values": values}
        # A running trial may still ask for another hyperparameter.
        return {
            "status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED,
            "values": None,
        }

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        super().end_trial(trial)
        if trial.trial_id not in self._to_follow:  # it may have asked for more than was proposed
            self._to_follow.append(trial.trial_id)

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self._order, self._to_follow = [], [None]

    def _values_of(self, trial_id: str) -> dict[str, Any]:
        return self.trials[trial_id].hyperparameters.values

    def _first_values(self) -> dict[str, Any]:
        space = self.get_space()
        return {p.name: p.default for p in space.space if space.is_active(p)}

    def _next_values(self, values: dict[str, Any]) -> dict[str, Any] | None:
        """The values that follow `values` in the grid; None if they are the last.

        Like KerasTuner's `_get_next_combination`, which fails for a trial that did not ask for
        hyperparameters that other trials have asked for in the meantime.
        """
        space = self.get_space()
        space.values = dict(values)
        # From the end: a condition comes before the values that depend on it.
        for i, parameter in reversed(list(enumerate(space.space))):
            choices, place = _choices(parameter), _place(parameter, values)
            if space.is_active(parameter) and 0 <= place < len(choices) - 1:
                space.values[parameter.name] = choices[place + 1]
                for later in space.space[i + 1 :]:
                    space.values.pop(later.name, None)
                for other in space.space:
                    if space.is_active(other):
                        space.values.setdefault(other.name, other.default)
                return space.values
        return None

    def _key(self, values: dict[str, Any]) -> list[int]:
        """To sort values in the order of the grid. A trial that asked for less comes first."""
        return [_place(parameter, values) for parameter in self.hyperparameters.space]


def _choices(parameter: Any) -> list[Any]:
    """The values of a hyperparameter as the grid takes them: the default first."""
    return [parameter.default, *(v for v in parameter.values if v != parameter.default)]


def _place(parameter: Any, values: dict[str, Any]) -> int:
    """The index of a hyperparameter's choice in `values`; -1 if it is not there."""
    choices = _choices(parameter)
    is_there = parameter.name in values and values[parameter.name] in choices
    return choices.index(values[parameter.name]) if is_there else -1


@accepts_seed_0
class GridSearch(keras_tuner.GridSearch, ReusingTuner):
    """`keras_tuner.GridSearch` with the same arguments, on `ReusingTuner`'s programs."""

    def __init__(
        self,
        hypermodel: HyperModelOrBuild | None = None,
        objective: Objectives | None = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
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
