"""What proposes the trials of an arm: KerasTuner's oracles, and one of our own."""

import math
import sys
from typing import Any

import keras_tuner
import numpy as np

from keras_leaky.tuning import BayesianOptimizationOracle, GridSearchOracle
from recipes.common.seeds import ORACLE_STREAM, derive_seed
from recipes.common.space import Arm

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
# Of `SpreadOracle`: no two of these and 1 are multiples of each other.
_STEPS = {"learning_rate": 5**0.5 / 2 - 0.5, "alpha": 2**0.5 - 1}


def n_trials_and_epochs(arm: Arm, n_epochs: int) -> tuple[int, int]:
    """How many trials a search will have, and how many epochs they train in all."""
    if arm.n_trials is not None:
        return arm.n_trials, arm.n_trials * n_epochs
    # KerasTuner's Hyperband: bracket b starts many trials with few epochs, and each of its b
    # promotions keeps a third of them for three times as long.
    factor = 3
    n_brackets = 1
    while n_epochs / factor**n_brackets >= 1:
        n_brackets += 1
    n_trials = n_trained = 0
    for bracket in range(n_brackets):
        last = math.ceil(1 + math.log(n_epochs, factor)) / (bracket + 1)
        for left in range(bracket + 1):
            size = math.ceil(last * factor**left)
            n_trials += size
            n_trained += size * math.ceil(n_epochs / factor**left)
    return n_trials, n_trained


class Hyperband(keras_tuner.oracles.HyperbandOracle):
    """KerasTuner's oracle, but a failed trial ranks last instead of not at all.

    KerasTuner promotes completed trials only, and only while more of them are ready than will be
    thrown out: every failure would take a promotion away, and the arms' budgets would differ.
    """

    def end_trial(self, trial: keras_tuner.engine.trial.Trial) -> None:
        trial.status = keras_tuner.engine.trial.TrialStatus.COMPLETED  # its score is -inf
        super().end_trial(trial)


class SpreadOracle(keras_tuner.oracles.RandomSearchOracle):
    """Draws values that are spread evenly, the same ones in every search of the same seed.

    The i-th value of a hyperparameter depends on the seed, its name and i alone, so arms that have
    one in common try the same values of it, whatever else they search. From a random start it goes
    round by an irrational part of the range: any number of trials covers the range without large
    gaps, which a few independent draws would leave to luck.

    References:
        Bousquet, Gelly, Kurach, Teytaud and Vincent, 2017, "Critical Hyper-Parameters: No Random,
        No Cry".
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = {}
        for hp in self.hyperparameters.space:
            start = np.random.default_rng([self.seed, *hp.name.encode()]).random()
            values[hp.name] = hp.prob_to_value((start + int(trial_id) * _STEPS[hp.name]) % 1)
        return {"status": keras_tuner.engine.trial.TrialStatus.RUNNING, "values": values}


def make_oracle(arm: Arm, seed: int, n_epochs: int) -> keras_tuner.Oracle:
    """KerasTuner's oracle for an arm; failed trials never end its search."""
    shared = {
        "objective": OBJECTIVE,
        "seed": derive_seed(seed, ORACLE_STREAM),
        "max_consecutive_failed_trials": sys.maxsize,  # the default ends a search after three
    }
    if arm.tuner == "hyperband":
        return _declare(arm, Hyperband(max_epochs=n_epochs, factor=3, **shared))
    oracle = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": BayesianOptimizationOracle,
        "grid": GridSearchOracle,
        "spread": SpreadOracle,
    }[arm.tuner]
    return _declare(arm, oracle(max_trials=arm.n_trials, **shared))


def _declare(arm: Arm, oracle: keras_tuner.Oracle) -> keras_tuner.Oracle:
    """Tells an oracle the space, and has it write no files: ours are whole and have checksums."""
    oracle.verbose = 0
    # There is no public way to have it write none.
    oracle.save = lambda: None
    oracle._save_trial = lambda trial: None
    hp = oracle.get_space()
    arm.declare(hp)
    oracle.update_space(hp)
    return oracle
