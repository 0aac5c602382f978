"""The grid: KerasTuner's order of points, handed out at once."""

import keras_tuner
import pytest

from keras_leaky import tuning

OBJECTIVE = keras_tuner.Objective("score", "min")


def declare(hp):
    """Nine points: the middle of `kind` has a condition."""
    hp.Choice("rate", [0.1, 0.2, 0.3], default=0.2)
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        if kind == "b":
            hp.Int("width", 1, 2)
    hp.Fixed("fixed", 3)


def make(cls, folder, max_trials=None):
    hp = keras_tuner.HyperParameters()
    declare(hp)
    hp.values["kind"] = "b"
    declare(hp)
    oracle = cls(OBJECTIVE, max_trials=max_trials, hyperparameters=hp)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "project")
    return oracle


def ask(oracle, n_lanes):
    """Points in the order in which lanes get them. A lane that has to wait ends its trial first."""
    points, lanes = [], {}
    while True:
        for lane in map(str, range(n_lanes)):
            if lane in lanes:
                end(oracle, lanes.pop(lane))
            trial = oracle.create_trial(lane)
            if trial.status == "STOPPED":
                return points
            if trial.status == "RUNNING":
                points.append(trial.hyperparameters.values)
                lanes[lane] = trial


def end(oracle, trial):
    oracle.update_trial(trial.trial_id, {"score": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


@pytest.mark.parametrize("n_lanes", [1, 2, 5])
def test_points_come_in_kerastuners_order_for_any_number_of_lanes(n_lanes, tmp_path):
    stock = ask(make(keras_tuner.oracles.GridSearchOracle, tmp_path / "stock"), 1)
    assert len(stock) == 9
    assert ask(make(tuning.GridSearchOracle, tmp_path / "ours"), n_lanes) == stock


def test_all_points_are_handed_out_before_any_trial_ends(tmp_path):
    def n_at_once(cls):
        oracle = make(cls, tmp_path / cls.__module__)
        trials = [oracle.create_trial(str(lane)) for lane in range(10)]
        return [trial.status for trial in trials].count("RUNNING")

    assert n_at_once(tuning.GridSearchOracle) == 9
    stock = n_at_once(keras_tuner.oracles.GridSearchOracle)
    assert stock < 9, "KerasTuner no longer waits: ours can go"


def test_a_resumed_grid_goes_on_with_the_points_that_are_left(tmp_path):
    def n_points(cls):
        folder = tmp_path / cls.__module__
        first = make(cls, folder)
        for _ in range(4):
            end(first, first.create_trial("tuner0"))
            first.save()  # as a tuner does
        second = make(cls, folder)
        second.reload()
        return 4 + len(ask(second, 1))

    assert n_points(tuning.GridSearchOracle) == 9
    stock = n_points(keras_tuner.oracles.GridSearchOracle)
    assert stock < 9, "KerasTuner's grid goes on as well: ours can go"


@pytest.mark.parametrize("n_lanes", [1, 3])
def test_a_hyperparameter_that_shows_in_a_trial_adds_its_points(n_lanes, tmp_path):
    oracle = make(tuning.GridSearchOracle, tmp_path)
    create_trial = oracle.create_trial

    def create_with_late_one(lane):
        trial = create_trial(lane)
        if trial.status == "RUNNING":
            trial.hyperparameters.Choice("batch_size", [8, 16])
        return trial

    oracle.create_trial = create_with_late_one
    points = ask(oracle, n_lanes)
    assert len(points) == len({frozenset(point.items()) for point in points}) == 18


def test_a_hyperparameter_that_is_not_tuned_adds_none(tmp_path):
    oracle = make(tuning.GridSearchOracle, tmp_path)
    oracle.tune_new_entries = False
    create_trial = oracle.create_trial

    def create_with_late_one(lane):
        trial = create_trial(lane)
        if trial.status == "RUNNING":
            trial.hyperparameters.Choice("batch_size", [8, 16])
        return trial

    oracle.create_trial = create_with_late_one
    assert len(ask(oracle, 2)) == 9


def test_max_trials_cuts_the_grid(tmp_path):
    assert len(ask(make(tuning.GridSearchOracle, tmp_path, max_trials=5), 2)) == 5
