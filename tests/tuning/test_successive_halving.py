"""Successive halving: which points are trained longer, and with how many steps."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky.tuning import (
    ReusingTuner,
    SuccessiveHalving,
    SuccessiveHalvingOracle,
    Trainer,
    read_trials,
)
from keras_leaky.tuning._engine.shortened_fit import shorten_fit
from keras_leaky.tuning.scaled_schedule import HurriedSchedule, hurry_schedule

RNG = np.random.default_rng(0)
X = RNG.normal(size=(216, 4)).astype("float32")
Y = X[:, 0] - X[:, 1] ** 2
N_STEPS = 27  # of an epoch, with batches of 8
FIT = {"validation_data": (X[:40], Y[:40]), "batch_size": 8, "epochs": 2, "verbose": 0}


def build(hp):
    rate = hp.Float("learning_rate", 1e-4, 1.0, sampling="log")
    schedule = keras.optimizers.schedules.PolynomialDecay(rate, 2 * N_STEPS, 0.0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu")])
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(schedule), "mse")
    return model


def make_tuner(folder, max_trials=9, **kwargs):
    return SuccessiveHalving(
        build, "val_loss", max_trials=max_trials, seed=3, directory=folder, **kwargs
    )


def rows_of(tuner):
    """Rung, parent, rate and score of every trial, and the epochs and steps of its training."""
    return [
        (
            trial.hyperparameters["tuner/rung"],
            trial.hyperparameters.get("tuner/parent"),
            trial.hyperparameters["learning_rate"],
            trial.score,
            len(trial.histories[0]["loss"]) if trial.histories else 0,
        )
        for trial in read_trials(tuner.project_dir)
    ]


def test_the_best_third_of_each_rung_goes_on(tmp_path):
    tuner = make_tuner(tmp_path)
    tuner.search(X, Y, **FIT)
    rows = rows_of(tuner)
    assert [row[0] for row in rows] == [0] * 9 + [1] * 3 + [2]
    assert [row[4] for row in rows] == [1] * 12 + [2]
    trials = list(tuner.oracle.trials.values())
    finite = [trial for trial in trials[:9] if trial.score is not None]
    first = sorted(finite, key=lambda trial: trial.score)[:3]
    assert [row[1] for row in rows[9:12]] == [trial.trial_id for trial in first]
    assert [row[2] for row in rows[9:12]] == [t.hyperparameters["learning_rate"] for t in first]
    best = tuner.oracle.get_best_trials(2)
    assert best[0].hyperparameters["tuner/rung"] == 2
    assert best[1].hyperparameters["tuner/rung"] == 1


def test_a_short_training_is_a_whole_one_of_fewer_steps(tmp_path):
    """The same numbers as a training of that length that somebody wrote by hand."""
    tuner = make_tuner(tmp_path, max_trials=3, n_rungs=2)
    tuner.search(X, Y, **FIT)
    trial = read_trials(tuner.project_dir)[0]
    n_steps = 2 * N_STEPS // 3

    def build_short():
        rate = trial.hyperparameters["learning_rate"]
        schedule = keras.optimizers.schedules.PolynomialDecay(rate, n_steps, 0.0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu")])
        model.add(keras.layers.Dense(1))
        model.compile(keras.optimizers.SGD(schedule), "mse")
        return model

    seed = trial.seeds[0]
    trainer = Trainer()
    model = trainer.build(build_short, seed)
    kwargs = {**FIT, "epochs": 1, "steps_per_epoch": n_steps}
    _, history = trainer.fit(model, X, Y, seed=seed, **kwargs)
    assert trial.histories[0]["val_loss"] == pytest.approx(history.history["val_loss"], rel=1e-5)
    assert float(model.optimizer.iterations) == n_steps


def test_the_last_rung_trains_as_a_random_search_does(tmp_path):
    halving = make_tuner(tmp_path / "halving", max_trials=3, n_rungs=2, n_full=3)
    halving.search(X, Y, **FIT)
    oracle = SuccessiveHalvingOracle("val_loss", max_trials=3, n_rungs=1, seed=3)
    full = ReusingTuner(oracle, build, directory=tmp_path / "full")
    full.search(X, Y, **FIT)
    scores = {t.hyperparameters["learning_rate"]: t.score for t in read_trials(full.project_dir)}
    last = [row for row in rows_of(halving) if row[0] == 1]
    assert len(last) >= 2
    assert all(scores[row[2]] == row[3] for row in last)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    tuner = make_tuner(tmp_path_factory.mktemp("alone"))
    tuner.search(X, Y, **FIT)
    return tuner


def test_the_trials_do_not_depend_on_the_number_of_workers(alone, client, tmp_path):
    tuner = make_tuner(tmp_path)
    tuner.search(X, Y, client=client, **FIT)
    assert rows_of(tuner) == rows_of(alone)
    assert len(rows_of(tuner)) == 13


class _Stop(Exception):
    pass


@pytest.mark.parametrize(
    "n_before",
    # In CI within the first rung and before the second.
    [8, 9, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 10, 12))],
)
def test_a_stopped_search_goes_on_as_one_that_was_left_alone(alone, tmp_path, n_before):
    class Interrupted(SuccessiveHalving):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            if len(self.oracle.end_order) == n_before:
                raise _Stop

    tuner = Interrupted(build, "val_loss", max_trials=9, seed=3, directory=tmp_path / "stopped")
    with pytest.raises(_Stop):
        tuner.search(X, Y, **FIT)
    resumed = make_tuner(tmp_path / "stopped")
    resumed.search(X, Y, **FIT)
    assert rows_of(resumed) == rows_of(alone)


def test_more_points_keep_what_was_trained(tmp_path):
    make_tuner(tmp_path).search(X, Y, **FIT)
    before = rows_of(make_tuner(tmp_path))
    tuner = make_tuner(tmp_path, max_trials=15)
    tuner.search(X, Y, **FIT)
    rows = rows_of(tuner)
    assert rows[: len(before)] == before
    rungs = [row[0] for row in rows]
    assert rungs.count(0) == 15
    assert rungs.count(1) >= 5  # a third, and those of before that are no longer among it
    parents = [row[1] for row in rows if row[0] == 1]
    assert len(parents) == len(set(parents))


def test_points_that_diverge_are_not_trained_longer(tmp_path):
    def build_some(hp):
        model = build(hp)
        if hp.get("learning_rate") > 3e-3:
            model.compile("sgd", lambda y, p: keras.ops.sum(p * float("nan")))
        return model

    tuner = SuccessiveHalving(build_some, "val_loss", max_trials=6, seed=3, directory=tmp_path)
    tuner.search(X, Y, **FIT)
    rows = rows_of(tuner)
    assert any(row[3] is None for row in rows if row[0] == 0)
    assert all(row[3] is not None for row in rows if row[0] > 0)
    assert max(row[0] for row in rows) == 2


def test_a_space_of_few_points_ends(tmp_path):
    def build_choice(hp):
        hp.Choice("width", [4, 8])
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    tuner = SuccessiveHalving(build_choice, "val_loss", max_trials=9, seed=3, directory=tmp_path)
    tuner.search(X, Y, **FIT)
    assert [t.hyperparameters["tuner/rung"] for t in read_trials(tuner.project_dir)] == [0, 0, 1, 2]


def test_another_number_of_rungs_is_refused(tmp_path):
    make_tuner(tmp_path, max_trials=3).search(X, Y, **FIT)
    with pytest.raises(ValueError, match="`factor` and `n_rungs` must be the same"):
        make_tuner(tmp_path, max_trials=3, n_rungs=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_trials", 0), ("n_rungs", 1.5), ("n_full", True), ("factor", 1), ("factor", "3")],
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        SuccessiveHalvingOracle("val_loss", **{name: value})


@pytest.mark.parametrize(
    ("given", "fraction", "epochs", "steps"),
    [
        ({"epochs": 9}, 1 / 9, 1, None),
        ({"epochs": 10}, 1 / 3, 3, None),
        ({"epochs": 2}, 1 / 3, 1, 18),
        ({"epochs": 2}, 1 / 9, 1, 6),
        ({"epochs": 1}, 1e-6, 1, 1),
        ({"epochs": 3, "initial_epoch": 2}, 1 / 3, 3, 9),
        ({"epochs": 2, "steps_per_epoch": 9}, 1 / 3, 1, 6),
        ({"epochs": 1, "validation_split": 0.5}, 1 / 2, 1, 7),
    ],
)
def test_the_steps_of_a_short_training(given, fraction, epochs, steps):
    kwargs, made = shorten_fit((X, Y), {"batch_size": 8, **given}, fraction)
    assert (kwargs["epochs"], kwargs.get("steps_per_epoch")) == (epochs, steps)
    full = given["epochs"] - given.get("initial_epoch", 0)
    n_epochs = epochs - given.get("initial_epoch", 0)
    if steps is None:
        assert made == pytest.approx(n_epochs / full)
    else:
        n_steps = given.get("steps_per_epoch", 14 if "validation_split" in given else N_STEPS)
        assert made == pytest.approx(steps / (full * n_steps))


def test_data_of_unknown_length_need_whole_epochs():
    def generate():
        yield X, Y

    with pytest.raises(ValueError, match="`steps_per_epoch` must be given, or more `epochs`"):
        shorten_fit((generate(),), {"epochs": 2}, 1 / 3)
    kwargs, _ = shorten_fit((generate(),), {"epochs": 3}, 1 / 3)
    assert kwargs["epochs"] == 1


def test_every_kind_of_schedule_is_run_through():
    schedules = keras.optimizers.schedules
    own = HurriedSchedule(schedules.CosineDecay(1.0, 100), 1.0)  # of a class that we do not know
    for schedule in (schedules.CosineDecay(0.1, 100), own):
        optimizer = keras.optimizers.SGD(schedule)
        hurry_schedule(optimizer, 4.0)
        hurried = optimizer._learning_rate
        for step in (0, 10, 24):
            assert float(hurried(step)) == pytest.approx(float(schedule(4 * step)), rel=1e-6)
        copy = type(hurried).from_config(hurried.get_config())
        assert float(copy(10)) == pytest.approx(float(schedule(40)), rel=1e-6)
    optimizer = keras.optimizers.SGD(0.1)
    hurry_schedule(optimizer, 4.0)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_any_tuner_takes_the_oracle(tmp_path):
    oracle = SuccessiveHalvingOracle(keras_tuner.Objective("val_loss", "min"), 3, seed=1)
    tuner = ReusingTuner(oracle, build, directory=tmp_path)
    tuner.search(X, Y, **FIT)
    assert [row[0] for row in rows_of(tuner)] == [0, 0, 0, 1, 2]
