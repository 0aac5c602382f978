"""Points that all arms share, and how many there are."""

import keras_tuner
import pytest

from keras_leaky.study import InputError
from keras_leaky.study._proposals import Grid, Spread, count_trials, grid_size


def make_space(*names):
    hp = keras_tuner.HyperParameters()
    for name in names:
        if name == "units":
            hp.Int(name, 1, 64, sampling="log")
        elif name == "kind":
            hp.Choice(name, ["a", "b"])
        else:
            hp.Float(name, 1e-4, 1e-1, sampling="log")
    return hp.space


def test_arms_get_the_same_rates_whatever_else_they_search():
    names = ["learning_rate", "alpha", "units", "kind"]
    spread = Spread(names, seed=3)
    wide = [spread(make_space("alpha", "units", "learning_rate", "kind"), i) for i in range(100)]
    narrow = [Spread(names, seed=3)(make_space("learning_rate", "units"), i) for i in range(100)]
    assert [p["learning_rate"] for p in wide] == [p["learning_rate"] for p in narrow]
    assert [p["units"] for p in wide] == [p["units"] for p in narrow]
    other = Spread(names, seed=4)(make_space("learning_rate"), 0)
    assert other["learning_rate"] != narrow[0]["learning_rate"]


def test_every_process_gives_a_hyperparameter_the_same_dimension():
    """The order of a set of strings differs from process to process."""
    names = ["learning_rate", *"hgfedcba"]
    assert Spread(names, seed=0)._dimensions == ["learning_rate", "alpha", *"abcdefgh"]


def test_points_leave_no_large_gap():
    spread = Spread(["learning_rate"], seed=0)
    places = sorted(
        spread._fraction("learning_rate", i)
        for i in range(32)  # of the range
    )
    gaps = [b - a for a, b in zip([0.0, *places], [*places, 1.0], strict=True)]
    assert max(gaps) < 3 / 32


def test_a_hyperparameter_that_nobody_knew_of_has_values_of_its_own():
    spread = Spread([], seed=0)
    values = [spread(make_space("other"), i)["other"] for i in range(5)]
    assert len(set(values)) == 5
    assert values == [Spread([], seed=0)(make_space("other"), i)["other"] for i in range(5)]


def test_a_grid_has_both_ends_all_choices_and_the_same_rates_in_all_arms():
    spaces = {"relu": make_space("learning_rate"), "elu": make_space("alpha", "learning_rate")}
    n = grid_size(spaces, 20)
    assert n == 4
    points = [Grid(n)(spaces["elu"], i) for i in range(17)]
    assert points[-1] is None
    rates = {point["learning_rate"] for point in points[:-1]}
    assert (min(rates), max(rates), len(rates)) == (1e-4, pytest.approx(1e-1), 4)
    assert [Grid(n)(spaces["relu"], i)["learning_rate"] for i in range(4)] == sorted(rates)
    with_choice = make_space("kind", "learning_rate")
    assert grid_size({"relu": with_choice}, 8) == 4


def test_a_grid_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="`trials` must be at least 4 for a grid"):
        grid_size({"elu": make_space("alpha", "learning_rate")}, 3)
    hp = keras_tuner.HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Float("x", 0, 1)
    with pytest.raises(InputError, match="must not be 'grid' where a hyperparameter depends"):
        grid_size({"elu": hp.space}, 20)


@pytest.mark.parametrize("epochs", [3, 4, 9, 10])
def test_hyperband_makes_as_many_trials_as_it_says(epochs):
    oracle = keras_tuner.oracles.HyperbandOracle(
        keras_tuner.Objective("val_loss", "min"), max_epochs=epochs, factor=3, seed=1
    )
    oracle.update_space(_as_hyperparameters(make_space("learning_rate")))
    oracle.save = oracle._save_trial = lambda *_: None
    oracle.verbose = 0
    n_trials = n_epochs = 0
    while (trial := oracle.create_trial("one")).status == "RUNNING":
        values = trial.hyperparameters.values
        n_trials += 1
        n_epochs += values["tuner/epochs"] - values["tuner/initial_epoch"]
        oracle.update_trial(trial.trial_id, {"val_loss": values["learning_rate"]})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert count_trials("hyperband", 0, epochs, None) == (n_trials, n_epochs)


def _as_hyperparameters(space):
    hp = keras_tuner.HyperParameters()
    hp.merge(space)
    return hp
