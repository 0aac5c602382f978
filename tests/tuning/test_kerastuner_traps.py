"""Traps of KerasTuner 1.4.8 that our tuners do not have."""

import threading

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
def test_a_damaged_project_goes_on(file, tmp_path):
    def make():
        return tuning.RandomSearch(
            build, "val_loss", 3, seed=1, directory=tmp_path, project_name="project"
        )

    points = search(make())
    path = tmp_path / "project" / file
    path.write_text(path.read_text()[:40])
    assert search(make()) == points
    assert path.with_name(f"{path.name}.damaged").exists()


class Nan(keras.metrics.Metric):
    def update_state(self, *args, **kwargs):
        pass

    def result(self):
        return keras.ops.convert_to_tensor(np.nan)


def test_nan_objectives_are_failures_with_a_reason_that_end_nothing(tmp_path):
    def build_with_nan(hp):
        model = build(hp)
        model.compile("sgd", "mse", metrics=[Nan(name="odd")])
        return model

    objective = keras_tuner.Objective("val_odd", "min")
    tuner = tuning.RandomSearch(build_with_nan, objective, max_trials=4, seed=1, directory=tmp_path)
    search(tuner)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["FAILED"] * 4
    assert {trial.message for trial in trials} == {
        "The objective became nan in every epoch: val_odd"
    }


def resume(tmp_path, **kwargs):
    arguments = {"max_trials": 2, "seed": 1, "directory": tmp_path, **kwargs}
    return tuning.RandomSearch(build, "val_loss", **arguments)


@pytest.mark.parametrize("tune_new_entries", [True, False])
def test_a_space_that_is_overridden_is_resumed(tune_new_entries, tmp_path):
    def make():
        hp = keras_tuner.HyperParameters()
        name = "learning_rate" if tune_new_entries else "another"
        hp.Float(name, 1e-3, 1e-2, sampling="log")
        return resume(tmp_path, hyperparameters=hp, tune_new_entries=tune_new_entries)

    assert len(search(make())) == len(search(make())) == 2


def test_a_tuner_with_its_own_run_trial_is_resumed(tmp_path):
    class Tuner(tuning.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return trial.hyperparameters.Float("a", 0.0, 1.0)

    def make(n_trials):
        return Tuner(objective=None, max_trials=n_trials, seed=1, directory=tmp_path)

    assert len(search(make(2))) == 2
    assert len(search(make(4))) == 4


def test_a_callback_that_cannot_be_copied_ends_the_search_with_kerastuners_words(tmp_path):
    class Callback(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(keras_tuner.errors.FatalValueError, match="should be deep-copyable"):
        resume(tmp_path).search(X, X[:, 0], callbacks=[Callback()], verbose=0)


def test_a_distribution_strategy_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`distribution_strategy` must be left out"):
        resume(tmp_path, distribution_strategy=object())


def test_data_that_changed_between_searches_are_read_again(tmp_path):
    x, targets = X.copy(), X[:, 0]
    scores = []
    tuner = resume(tmp_path, max_trials=0)
    for _ in range(2):
        tuner.oracle.max_trials += 1
        tuner.search(x, targets, validation_data=(x, targets), verbose=0)
        scores.append(tuner.oracle.get_best_trials(2)[-1].score)
        x *= 100
    assert scores[1] > 100 * scores[0]


def test_only_unexpected_errors_print_a_traceback(tmp_path, capfd):
    def diverge(hp):
        model = build(hp)
        model.optimizer.learning_rate = 1e30
        return model

    def fail(hp):
        raise RuntimeError(f"no model for {hp.Float('learning_rate', 0.1, 0.2)}")

    shared = {"objective": "val_loss", "max_trials": 1, "seed": 1, "directory": tmp_path}
    search(tuning.RandomSearch(diverge, project_name="diverging", **shared))
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError, match="no model"):
        search(tuning.RandomSearch(fail, project_name="failing", **shared))
