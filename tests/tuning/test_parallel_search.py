"""Searches of tuners on worker processes, against the same in this process."""

import os
import re
import sys

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning import (
    BayesianOptimization,
    GridSearch,
    Hyperband,
    RandomSearch,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="processes are started as on Unix"),
]
X = np.random.default_rng(0).normal(size=(200, 8)).astype("float32")
Y = X[:, 0]


def build(hp):
    alpha = hp.Float("alpha", 1e-3, 0.5, sampling="log")
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    layers = [keras.Input((8,)), keras.layers.Dense(6), LeakyReLU(alpha), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def search(tuner, **kwargs):
    kwargs = {"x": X, "y": Y, "validation_split": 0.25, "epochs": 2, "verbose": 0, **kwargs}
    tuner.search(**kwargs)
    return {name: trial.score for name, trial in tuner.oracle.trials.items()}


def make(cls, folder, name, **kwargs):
    shared = {"objective": "val_loss", "seed": 1, "directory": str(folder), "project_name": name}
    return cls(build, **shared, **kwargs)


def test_random_search_gives_what_it_gives_here_and_needs_no_disk_in_common(client, tmp_path):
    here = search(make(RandomSearch, tmp_path, "here", max_trials=5))
    tuner = make(RandomSearch, tmp_path, "workers", max_trials=5)
    assert search(tuner, client=client) == pytest.approx(here, rel=1e-5)  # threads: last bits
    best = tuner.get_best_models()[0]
    loss = best.evaluate(X[150:], Y[150:], verbose=0)
    assert loss == pytest.approx(min(here.values()), rel=1e-4)
    again = make(RandomSearch, tmp_path, "workers", max_trials=7)
    more = search(again, client=client)
    assert len(more) == 7, "a resumed search goes on"
    assert {name: more[name] for name in here} == pytest.approx(here, rel=1e-5)


@pytest.mark.soak
def test_a_grid_hands_out_its_points_at_once(client, tmp_path):
    scores = search(make(GridSearch, tmp_path, "grid", max_trials=6), client=client)
    here = search(make(GridSearch, tmp_path, "here", max_trials=6))
    assert scores == pytest.approx(here, rel=1e-5)


@pytest.mark.soak
def test_bayesian_optimization_fills_the_workers(client, tmp_path):
    assert len(search(make(BayesianOptimization, tmp_path, "b", max_trials=5), client=client)) == 5


@pytest.mark.soak
def test_hyperband_goes_on_from_checkpoints(client, tmp_path):
    tuner = make(Hyperband, tmp_path, "hyperband", max_epochs=4, factor=2)
    scores = search(tuner, client=client)
    promoted = [
        (trial, tuner.oracle.trials[before])
        for trial in tuner.oracle.trials.values()
        if (before := trial.hyperparameters.values.get("tuner/trial_id"))
    ]
    assert len(scores) > len(promoted) > 0
    assert all(
        trial.hyperparameters["alpha"] == old.hyperparameters["alpha"] for trial, old in promoted
    )
    # From new weights, two more epochs would not have got there.
    assert np.mean([trial.score < old.score for trial, old in promoted]) > 0.5


@pytest.mark.soak
def test_functions_load_the_data_on_each_worker(client, tmp_path):
    np.save(tmp_path / "x.npy", X)
    path = str(tmp_path / "x.npy")
    here = search(make(RandomSearch, tmp_path, "here", max_trials=3))
    loaded = search(
        make(RandomSearch, tmp_path, "loaded", max_trials=3), x=lambda: np.load(path), client=client
    )
    assert loaded == pytest.approx(here, rel=1e-5)
    also_here = search(make(RandomSearch, tmp_path, "f", max_trials=3), x=lambda: np.load(path))
    assert also_here == here


class Deadly(keras.callbacks.Callback):
    """Kills its process, the first time."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        if not os.path.exists(self.path):
            open(self.path, "w").close()
            os.kill(os.getpid(), 9)


def test_a_killed_worker_costs_its_trial_one_more_try(client, tmp_path):
    here = search(make(RandomSearch, tmp_path, "here", max_trials=4))
    callbacks = [Deadly(str(tmp_path / "deadly"))]
    tuner = make(RandomSearch, tmp_path, "killed", max_trials=4)
    scores = search(tuner, client=client, callbacks=callbacks)
    assert scores == pytest.approx(here, rel=1e-5)
    assert (tmp_path / "deadly").exists()
    (message,) = {trial.message for trial in tuner.oracle.trials.values()} - {None}
    assert re.fullmatch(r"worker tcp://127.0.0.1:\d+ was killed", message)


@pytest.mark.soak
def test_a_trial_that_kills_every_worker_has_failed_and_the_search_goes_on(client, tmp_path):
    class AlwaysDeadly(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            if hp["alpha"] > 0.015:
                os.kill(os.getpid(), 9)
            return model.fit(*args, **kwargs)

    oracle = keras_tuner.oracles.RandomSearchOracle("val_loss", max_trials=6, seed=1)
    from keras_leaky.tuning import ReusingTuner

    tuner = ReusingTuner(oracle, AlwaysDeadly(), directory=str(tmp_path))
    search(tuner, client=client, retries=0)
    statuses = {t.hyperparameters["alpha"] > 0.015: t.status for t in oracle.trials.values()}
    assert statuses == {True: "FAILED", False: "COMPLETED"}
    message = next(t.message for t in oracle.trials.values() if t.status == "FAILED")
    assert "was killed" in message


def test_a_hook_of_the_tuner_is_refused(client, tmp_path):
    class Hooked(RandomSearch):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            pass

    tuner = make(Hooked, tmp_path, "hooked", max_trials=2)
    with pytest.raises(ValueError, match="its own `on_epoch_end`: workers have no tuner"):
        search(tuner, client=client)


def test_tensorboard_is_refused(client, tmp_path):
    tuner = make(RandomSearch, tmp_path, "run", max_trials=2)
    callback = keras.callbacks.TensorBoard(str(tmp_path))
    with pytest.raises(ValueError, match="`callbacks` must not hold TensorBoard"):
        search(tuner, client=client, callbacks=[callback])


def test_what_cannot_be_pickled_is_refused_by_name(client, tmp_path):
    tuner = make(RandomSearch, tmp_path, "run", max_trials=2)
    with pytest.raises(ValueError, match="`x` must be picklable"):
        search(tuner, client=client, x=(row for row in X))


def test_an_objective_that_is_not_logged_ends_the_search_as_here(client, tmp_path):
    tuner = make(RandomSearch, tmp_path, "workers", max_trials=5)
    tuner.oracle.objective = keras_tuner.Objective("val_mae", "min")
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"which is loss, val_loss: name"):
        search(tuner, client=client)


class WithoutCallbacks(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, x, y, callbacks, **kwargs):
        return 1.0


def test_a_model_of_which_no_epoch_was_seen_is_not_handed_out(client, tmp_path):
    shared = {"objective": "val_loss", "max_trials": 2, "seed": 1, "directory": str(tmp_path)}
    tuner = RandomSearch(WithoutCallbacks(), **shared)
    search(tuner, client=client)
    with pytest.raises(ValueError, match="has a score but no weights"):
        tuner.get_best_models()


def widths(hp):
    model = keras.Sequential([keras.Input((8,))])
    for i in range(hp.Int("layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Choice(f"width_{i}", [2, 3])))
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse")
    return model


def test_a_grid_whose_hyperparameters_show_late_is_that_of_one_process(client, tmp_path):
    def found(name, **kwargs):
        shared = {"seed": 1, "directory": str(tmp_path), "project_name": name}
        tuner = GridSearch(widths, "val_loss", **shared)
        search(tuner, epochs=1, **kwargs)
        trials = tuner.oracle.trials.values()
        return sorted((tuple(t.hyperparameters.values.values()), round(t.score, 4)) for t in trials)

    here = found("here")
    assert len(here) == 6
    assert found("workers", client=client) == here
