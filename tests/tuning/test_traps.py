"""Traps of KerasTuner 1.4.8 that our tuners do not have."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky import tuning

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
LIMITS = {
    "RandomSearch": {"max_trials": 3},
    "BayesianOptimization": {"max_trials": 3},
    "Hyperband": {"max_epochs": 3},
}


def build(hp):
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def search(tuner):
    tuner.search(X, X[:, 0], validation_split=0.25, epochs=1, verbose=0)
    trials = sorted(tuner.oracle.trials.items())
    return [trial.hyperparameters.values for _, trial in trials]


@pytest.mark.parametrize("name", LIMITS)
def test_seed_0_is_a_seed(name, tmp_path):
    points = [
        search(
            getattr(tuning, name)(
                build,
                "val_loss",
                seed=seed,
                directory=tmp_path,
                project_name=str(i),
                **LIMITS[name],
            )
        )
        for i, seed in enumerate((0, 0, 1))
    ]
    assert points[0] == points[1] != points[2]


def propose(oracle, folder, n_trials):
    """The points that an oracle proposes for a function that is best in a corner."""
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "project")
    for name in ("a", "b"):
        oracle.hyperparameters.Float(name, 0.0, 1.0)
    points = []
    for _ in range(n_trials):
        trial = oracle.create_trial("tuner0")
        point = tuple(trial.hyperparameters.values[name] for name in ("a", "b"))
        points.append(point)
        oracle.update_trial(trial.trial_id, {"val_loss": sum(point)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return points


def test_bayesian_search_never_repeats_a_point(tmp_path):
    def points_of(cls):
        oracle = cls(keras_tuner.Objective("val_loss", "min"), 16, seed=1)
        return propose(oracle, tmp_path / cls.__module__, 16)

    ours = points_of(tuning.BayesianOptimizationOracle)
    assert len(ours) == len(set(ours)) == 16
    stock = points_of(keras_tuner.oracles.BayesianOptimizationOracle)
    assert len(set(stock)) < 16, "KerasTuner no longer repeats points: ours can go"


def test_resumed_bayesian_search_goes_on_as_an_undisturbed_one(tmp_path):
    def make(folder, n_trials):
        return tuning.BayesianOptimization(
            build, "val_loss", n_trials, seed=1, num_initial_points=3, directory=folder
        )

    whole = search(make(tmp_path / "whole", 8))
    search(make(tmp_path / "resumed", 5))
    assert search(make(tmp_path / "resumed", 8)) == whole


@pytest.mark.parametrize("file", ["trial_1/trial.json", "oracle.json"])
def test_a_damaged_project_is_refused_with_a_way_out(file, tmp_path):
    def make(**kwargs):
        return tuning.RandomSearch(
            build, "val_loss", 3, seed=1, directory=tmp_path, project_name="project", **kwargs
        )

    search(make())
    path = tmp_path / "project" / file
    path.write_text(path.read_text()[:40])
    with pytest.raises(ValueError, match="is damaged, as if its search was killed while writing"):
        make()
    assert len(search(make(overwrite=True))) == 3
