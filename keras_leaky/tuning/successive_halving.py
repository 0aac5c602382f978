"""Successive halving: many points are trained briefly, the best of them in full."""

import math
from typing import Any

import keras_tuner

from keras_leaky.tuning._arguments import HyperModelOrBuild, Objectives
from keras_leaky.tuning._engine.seeding import accepts_seed_0
from keras_leaky.tuning._engine.shortened_fit import FRACTION
from keras_leaky.tuning._keras_tuner import TrialStatus
from keras_leaky.tuning.reusing_tuner import ReusingTuner

RUNG, PARENT = "tuner/rung", "tuner/parent"


class SuccessiveHalvingOracle(keras_tuner.Oracle):
    """Trains `max_trials` points briefly, the best third longer, the best third of these in full.

    Every training is its own trial, from new weights. A short training is complete: it has a ninth
    or a third of the steps of `fit`, and the whole learning-rate schedule runs in these steps. So
    its score tells how good the point is, not how the full training begins.

    The values of a trial hold its `tuner/rung`, from 0, and the `tuner/fraction` of the steps.
    `tuner/parent` is the trial of the same point in the previous rung.

    All trials of a rung end before the best of them are trained longer. So the trials do not depend
    on the number of workers, or on which worker is fast.

    Args:
        objective: As for every oracle of KerasTuner.
        max_trials: int >= 1. Number of points to try.
        factor: Number > 1. Each rung keeps the best 1 / `factor` of its points, and trains them
            with `factor` times as many steps.
        n_rungs: int >= 1. The first rung has `factor ** (1 - n_rungs)` of the steps of `fit`, the
            last rung all of them. 1 is a random search.
        n_full: int >= 1. Every rung keeps at least this many points, if there are so many.
        seed: As for every oracle of KerasTuner, and so are the arguments that follow.

    Raises:
        ValueError: If an argument is out of range, or a resumed project has another `factor` or
            `n_rungs`.

    References:
        Jamieson and Talwalkar, 2016, "Non-stochastic Best Arm Identification and Hyperparameter
        Optimization".
    """

    def __init__(
        self,
        objective: Objectives | None = None,
        max_trials: int = 27,
        factor: float = 3,
        n_rungs: int = 3,
        n_full: int = 1,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        for name, value in {"max_trials": max_trials, "n_rungs": n_rungs, "n_full": n_full}.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be an int >= 1. Received: {name}={value!r}")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 1:
            raise ValueError(f"`factor` must be a number above 1. Received: {factor=}")
        # KerasTuner's `max_trials` counts trials, of which a point has several.
        super().__init__(
            objective=objective,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        self.n_points, self.factor, self.n_rungs, self.n_full = max_trials, factor, n_rungs, n_full
        self._rungs: list[list[str]] = []  # trial ids, by rung
        self._promotions: list[tuple[int, str]] = []  # rung and parent of what comes next

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        if not self._rungs or sum(map(len, self._rungs)) != len(self.trials):  # new, or resumed
            self._rungs = [[] for _ in range(self.n_rungs)]
            for name, trial in self.trials.items():
                self._rungs[trial.hyperparameters.values.get(RUNG, 0)].append(name)
            self._promotions = []
        if len(self._rungs[0]) < self.n_points:
            values = self._random_values()
            if values is not None:
                return self._begin(trial_id, 0, values)
            self.n_points = len(self._rungs[0])  # the space has no other point
        for rung in range(1, self.n_rungs):
            if self._promotions:
                break
            if any(not _has_ended(self.trials[name]) for name in self._rungs[rung - 1]):
                return {"status": TrialStatus.IDLE, "values": None}
            self._promotions = self._find_promotions(rung)
        if self._promotions:
            rung, parent = self._promotions.pop(0)
            values = _without_own(self.trials[parent].hyperparameters.values)
            return self._begin(trial_id, rung, {**values, PARENT: parent})
        return {"status": TrialStatus.STOPPED, "values": None}

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """The best trials, the last rung first: shorter trainings have lower scores."""
        trials = super().get_best_trials(max(len(self.trials), 1))
        completed = [trial for trial in trials if trial.status == TrialStatus.COMPLETED]
        completed.sort(key=lambda trial: -trial.hyperparameters.values.get(RUNG, 0))  # stable
        others = [trial for trial in trials if trial.status != TrialStatus.COMPLETED]
        return [*completed, *others][:num_trials]

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "halving": [self.factor, self.n_rungs]}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        before, now = list(state["halving"]), [self.factor, self.n_rungs]
        if before != now:
            raise ValueError(
                f"`factor` and `n_rungs` must be the same as in the resumed project: {before[0]} "
                f"and {before[1]}. Received: factor={now[0]}, n_rungs={now[1]}"
            )
        self._rungs = []

    def _begin(self, trial_id: str, rung: int, values: dict[str, Any]) -> dict[str, Any]:
        self._rungs[rung].append(trial_id)
        fraction = self.factor ** (rung + 1 - self.n_rungs)
        own = {RUNG: rung, FRACTION: fraction} if self.n_rungs > 1 else {}
        return {"status": TrialStatus.RUNNING, "values": {**values, **own}}

    def _find_promotions(self, rung: int) -> list[tuple[int, str]]:
        """The points that still have to be trained in `rung`."""
        known = {
            self.trials[name].hyperparameters.values.get(PARENT): name for name in self._rungs[rung]
        }
        n_kept = rung_sizes(self.n_points, self.factor, self.n_rungs, self.n_full)[rung]
        ranked = [self.trials[name] for name in self._rungs[rung - 1]]
        ranked = [trial for trial in ranked if trial.status == TrialStatus.COMPLETED]
        ranked.sort(key=lambda t: t.score, reverse=self.objective.direction == "max")  # stable
        return [(rung, t.trial_id) for t in ranked[:n_kept] if t.trial_id not in known]

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        # KerasTuner draws no point twice; our additions to the values are not part of the point.
        return super()._compute_values_hash(_without_own(values))


def rung_sizes(n_points: int, factor: float, n_rungs: int, n_full: int = 1) -> list[int]:
    """How many points each rung trains."""
    least = min(n_full, n_points)
    return [max(math.ceil(n_points / factor**rung), least) for rung in range(n_rungs)]


@accepts_seed_0
class SuccessiveHalving(ReusingTuner):
    """`ReusingTuner` with a `SuccessiveHalvingOracle`.

    It takes `hypermodel` and the arguments of `SuccessiveHalvingOracle` and of `ReusingTuner`.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from keras_leaky.tuning import SuccessiveHalving
    >>> def build(hp):
    ...     rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.Adam(rate), "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(576, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tuner = SuccessiveHalving(build, "val_loss", max_trials=9, seed=1, directory=folder)
    ...     tuner.search(
    ...         x, x[:, 0], validation_split=0.25, batch_size=8, epochs=2, verbose=0
    ...     )  # 108 steps in full
    >>> [trial.hyperparameters.get("tuner/rung") for trial in tuner.oracle.trials.values()]
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2]
    """

    def __init__(
        self,
        hypermodel: HyperModelOrBuild | None = None,
        objective: Objectives | None = None,
        max_trials: int = 27,
        factor: float = 3,
        n_rungs: int = 3,
        n_full: int = 1,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        oracle = SuccessiveHalvingOracle(
            objective=objective,
            max_trials=max_trials,
            factor=factor,
            n_rungs=n_rungs,
            n_full=n_full,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **kwargs)


def _has_ended(trial: Any) -> bool:
    return trial.status in (TrialStatus.COMPLETED, TrialStatus.FAILED)


def _without_own(values: dict[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in values.items() if name not in (RUNG, PARENT, FRACTION)}
