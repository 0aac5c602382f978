"""Bayesian optimization in reused programs."""

from typing import Any

import keras_tuner
import numpy as np

from keras_leaky.tuning._arguments import HyperModelOrBuild, Objectives
from keras_leaky.tuning._engine.seeding import accepts_seed_0
from keras_leaky.tuning.reusing_tuner import ReusingTuner


class BayesianOptimizationOracle(keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's oracle with the same arguments, without two of its traps.

    A point that was tried before becomes a random one: with common random numbers it would give the
    same score again. A resumed search proposes the same points as an undisturbed one. KerasTuner
    does not save its random state and reads the trials back in any order. Here the random state
    follows from the seed and the number of trials.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        proposal = super().populate_space(trial_id)
        if proposal["values"] is not None and self._duplicate(proposal["values"]):
            return self._random_populate_space()
        return proposal

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.trials = {name: self.trials[name] for name in self.start_order}


@accepts_seed_0
class BayesianOptimization(keras_tuner.BayesianOptimization, ReusingTuner):
    """`keras_tuner.BayesianOptimization` with the same arguments, on `ReusingTuner`'s programs."""

    def __init__(
        self,
        hypermodel: HyperModelOrBuild | None = None,
        objective: Objectives | None = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        oracle = BayesianOptimizationOracle(
            objective=objective,
            max_trials=max_trials,
            num_initial_points=num_initial_points,
            alpha=alpha,
            beta=beta,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        ReusingTuner.__init__(self, oracle, hypermodel, **kwargs)
