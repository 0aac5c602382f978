"""What a retraining records besides its accuracy; the rest is in test_recipe.py."""

import dataclasses

import numpy as np
import pytest

from recipes.common.data import DATASETS, load, split
from recipes.common.dead_units import layer_shares, mean_fraction, missed_fraction
from recipes.common.models import build_model
from recipes.common.options import resolve
from recipes.common.run_folder import DeadUnitRow
from recipes.common.search_options import MnistOptions
from recipes.common.space import arms
from recipes.common.work import count_dead_units

DATA = split(load(DATASETS["mnist"], "synthetic", None), None)
OPTIONS = resolve(MnistOptions(model="mlp", activation="relu", precision="float32"))


@pytest.fixture
def model():
    return build_model(OPTIONS, DATA, arms(OPTIONS)[0], None, 1e-3)


def test_planted_dead_units_are_counted_on_validation_images(model):
    (before, _), _ = count_dead_units(model, DATA)
    active = np.flatnonzero(before["active_fraction"])
    kernel, bias, *others = model.get_weights()
    bias[active[:2]] = -1e3
    model.set_weights([kernel, bias, *others])
    (first, second), n_images = count_dead_units(model, DATA)
    assert n_images == 300
    assert (first["layer"], second["layer"]) == ("rectifier_1", "rectifier_2")
    np.testing.assert_array_equal(np.flatnonzero(first["active_fraction"]), active[2:])
    assert first["n_dead"] == first["n_inactive"] == before["n_dead"] + 2


def test_units_of_a_net_of_nan_are_not_counted(model):
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    assert count_dead_units(model, DATA) == ([], 0)


def test_other_errors_are_not_hidden(model):
    empty = dataclasses.replace(DATA, x_validation=DATA.x_validation[:0])
    with pytest.raises(ValueError, match="at least one sample"):
        count_dead_units(model, empty)


def row(layer, seed, n_dead, n_inactive, active_fraction):
    n = len(active_fraction)
    counts = n_dead, n_dead / n, n_inactive, n_inactive / n, 0, 0.0, 0, 0.0
    return DeadUnitRow("relu", "0", seed, 100, layer, "relu", n, *counts, active_fraction)


def test_shares_are_means_over_the_seeds():
    rows = [
        *(row("one", 1, 1, 2, [0.0, 0.0, 0.5, 1.0]), row("two", 1, 0, 0, [0.5, 0.5])),
        *(row("one", 2, 2, 2, [0.0, 0.0, 0.2, 0.3]), row("two", 2, 1, 1, [0.0, 0.5])),
    ]
    one, two = layer_shares(rows)
    assert (one.layer, one.n_units, one.n_seeds) == ("one", 4, 2)
    assert (one.dead_fraction, one.inactive_fraction) == (3 / 8, 4 / 8)
    assert (two.dead_fraction, two.inactive_fraction) == (1 / 4, 1 / 4)
    assert two.active_fraction == [0.5, 0.5, 0.0, 0.5]
    assert mean_fraction(rows, "dead") == 4 / 12
    assert mean_fraction([], "dead") is None


def test_zero_of_n_has_a_probability_of_5_percent_at_the_bound():
    assert (1 - missed_fraction(2000)) ** 2000 == pytest.approx(0.05)
