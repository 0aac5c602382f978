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


def ask(oracle, n_lanes, build=declare):
    """Points in the order in which lanes get them. A lane that has to wait ends its trial first.

    A trial asks for its hyperparameters when it ends, as one on a worker does.
    """
    points, lanes = [], {}
    while True:
        for lane in map(str, range(n_lanes)):
            if lane in lanes:
                trial = lanes.pop(lane)
                build(trial.hyperparameters)
                end(oracle, trial)
            trial = oracle.create_trial(lane)
            if trial.status == "STOPPED":
                return [trial.hyperparameters.values for trial in points]
            if trial.status == "RUNNING":
                points.append(trial)
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


# What a search finds out about its space only while it runs, as KerasTuner's guides have it.
def widths_of_layers(hp):
    for i in range(hp.Int("layers", 1, 3)):
        hp.Choice(f"width_{i}", [8, 16])


def widths_of_most_layers_first(hp):
    for i in range(hp.Int("layers", 1, 3, default=3)):
        hp.Choice(f"width_{i}", [8, 16])


def something_before_the_layers(hp):
    hp.Boolean("dropout")
    widths_of_layers(hp)


def other_ones_in_other_branches(hp):
    if hp.Boolean("is_wide"):
        hp.Choice("wide", [0, 1, 2])
    else:
        hp.Choice("narrow", [3, 4, 5])


def branches_with_conditions(hp):
    kind = hp.Choice("kind", ["a", "b", "c"], default="b")
    for name in "ab":
        with hp.conditional_scope("kind", [name]):
            if kind == name:
                hp.Int(f"width_{name}", 1, 2)


def conditions_within_conditions(hp):
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Boolean("inner")
        with hp.conditional_scope("inner", [True]):
            hp.Float("rate", 0.1, 0.3, step=0.1)


SPACES = {
    widths_of_layers: 14,
    widths_of_most_layers_first: 24,
    something_before_the_layers: 14 + 24,
    other_ones_in_other_branches: 12,
    branches_with_conditions: 5,
    conditions_within_conditions: 4,
}


def search(cls, folder, build, n_lanes, is_known):
    """Points of a space whose first build is made before the search, or in the first trial."""
    hp = keras_tuner.HyperParameters()
    if is_known:
        build(hp)
    oracle = cls(OBJECTIVE, hyperparameters=hp)
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "project")
    return ask(oracle, n_lanes, build)


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("build", SPACES)
def test_hyperparameters_that_show_in_a_trial_give_kerastuners_points(build, is_known, tmp_path):
    """The kind: a space that is not known when a search begins. No point more, none less.

    With several lanes points are handed out before all is known, so that their order is another
    one, and a hyperparameter without a condition that some trials do not ask for may be varied in
    more of them.
    """
    stock = search(keras_tuner.oracles.GridSearchOracle, tmp_path / "stock", build, 1, is_known)
    assert search(tuning.GridSearchOracle, tmp_path / "ours", build, 1, is_known) == stock
    for n_lanes in (2, 5):
        points = search(tuning.GridSearchOracle, tmp_path / str(n_lanes), build, n_lanes, is_known)
        assert len({frozenset(point.items()) for point in points}) == len(points)
        nets = [{frozenset(asked(build, point).items()) for point in p} for p in (points, stock)]
        assert nets[0] == nets[1]
    if is_known:
        assert len(stock) == SPACES[build]


def asked(build, values):
    """Those of `values` that a model depends on."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    build(hp)
    return {p.name: values[p.name] for p in hp.space if hp.is_active(p)}


def test_a_resumed_grid_goes_on_after_hyperparameters_that_showed_late(tmp_path):
    whole = search(tuning.GridSearchOracle, tmp_path / "whole", widths_of_layers, 1, True)
    for n_before in (1, 3, 6, 13):
        folder, points = tmp_path / str(n_before), []
        for limit in (n_before, None):
            oracle = tuning.GridSearchOracle(OBJECTIVE, max_trials=limit)
            oracle.verbose = 0
            oracle._set_project_dir(str(folder), "project")
            if limit is None:
                oracle.reload()
            points += ask(oracle, 1, widths_of_layers)
            oracle.save()
        assert points == whole


@pytest.mark.parametrize("n_lanes", [1, 3])
def test_a_hyperparameter_that_is_not_tuned_adds_none(n_lanes, tmp_path):
    def build(hp):
        declare(hp)
        hp.Choice("batch_size", [8, 16])

    oracle = make(tuning.GridSearchOracle, tmp_path)
    oracle.tune_new_entries = False
    assert len(ask(oracle, n_lanes, build)) == 9


def test_max_trials_cuts_the_grid(tmp_path):
    assert len(ask(make(tuning.GridSearchOracle, tmp_path, max_trials=5), 2)) == 5
