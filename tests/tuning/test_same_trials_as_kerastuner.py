"""The trials of KerasTuner, with its options and whatever `HyperModel.fit` returns or raises."""

import gc

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky import tuning

X = np.zeros((8, 2), "float32")
OBJECTIVES = [keras_tuner.Objective("val_loss", "min"), keras_tuner.Objective("val_acc", "max")]


def space(hp):
    hp.Float("a", 0.1, 0.9, step=0.2)
    hp.Choice("b", ["u", "v"])
    hp.Int("c", 1, 64, sampling="log", step=2)


def override(hp):
    hp.Choice("b", ["v"])
    hp.Float("a", 0.2, 0.4)


def whole(hp):
    space(hp)
    hp.Boolean("late")


class Model(keras_tuner.HyperModel):
    """A score of the hyperparameters, and one that shows late; nothing is trained."""

    def __init__(self, result):
        super().__init__()
        self.result, self.n_fits = result, 0

    def build(self, hp):
        space(hp)
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        self.n_fits += 1
        score = (hp["a"] - 0.35) ** 2 + (hp["b"] == "v") * 0.1 + 0.001 * hp["c"]
        return self.result(self, hp, score + 0.01 * hp.Boolean("late"))


def raises(error, when):
    def result(model, hp, score):
        if when(model, hp):
            raise error
        return score

    return result


def returns(value):
    return lambda model, hp, score: value(score)


def is_v(model, hp):
    return hp["b"] == "v"


def is_third(model, hp):
    return model.n_fits % 3 == 0


CASES = {
    "float": (returns(float), {}),
    "no objective": (returns(float), {"objective": None}),
    "dictionary": (returns(lambda score: {"val_loss": score, "other": 2 * score}), {}),
    "objectives": (
        returns(lambda s: {"val_loss": s, "val_acc": 1 - s, "multi_objective": 2 * s - 1}),
        {"objective": OBJECTIVES},
    ),
    "executions": (returns(float), {"executions_per_trial": 2}),
    "failed trial": (raises(keras_tuner.errors.FailedTrialError("slow"), is_v), {}),
    "limit": (
        raises(keras_tuner.errors.FailedTrialError("slow"), is_v),
        {"max_consecutive_failed_trials": 1},
    ),
    "crash": (raises(OSError("broken"), is_third), {}),
    "retries": (raises(OSError("broken"), is_third), {"max_retries_per_trial": 2}),
    "fatal": (raises(keras_tuner.errors.FatalRuntimeError("stop"), is_third), {}),
    "override": (returns(float), {"hyperparameters": override}),
    "not tuned": (returns(float), {"hyperparameters": override, "tune_new_entries": False}),
    "not allowed": (returns(float), {"hyperparameters": override, "allow_new_entries": False}),
    "allowed": (returns(float), {"hyperparameters": whole, "allow_new_entries": False}),
}


def trials_of(package, name, case, folder):
    """The trials, and the kind of error that ended the search."""
    result, options = CASES[case]
    options = {"objective": "val_loss", "max_trials": 8, "seed": 3, **options}
    if "hyperparameters" in options:
        declare = options["hyperparameters"]
        options["hyperparameters"] = keras_tuner.HyperParameters()
        declare(options["hyperparameters"])
    tuner, error = None, None
    try:
        tuner = getattr(package, name)(Model(result), directory=folder, **options)
        tuner.search(X, X[:, 0], verbose=0)
    except (RuntimeError, keras_tuner.errors.FatalError) as caught:
        error = type(caught)
    trials = tuner.oracle.trials if tuner else {}
    return error, [
        (name, trial.hyperparameters.values, trial.status, trial.score, trial.best_step)
        for name, trial in sorted(trials.items())
    ]


@pytest.mark.parametrize(
    ("name", "case"),
    [*(("RandomSearch", case) for case in CASES), ("GridSearch", "float"), ("GridSearch", "crash")],
)
def test_trials_are_those_of_kerastuner(name, case, tmp_path, monkeypatch):
    # KerasTuner calls both before each trial, which takes most of the time here.
    monkeypatch.setattr(gc, "collect", lambda *args: 0)
    monkeypatch.setattr(keras.backend, "clear_session", lambda: None)
    stock = trials_of(keras_tuner, name, case, tmp_path / "stock")
    assert trials_of(tuning, name, case, tmp_path / "ours") == stock
