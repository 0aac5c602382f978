"""Nets that are born dead: the bounds, and the count between them."""

import numpy as np
import pytest

from recipes.dying_relu.born_dead import (
    CHECKED,
    REMEDIES,
    count_born_dead,
    count_shape,
    measure_remedy,
)
from recipes.dying_relu.intervals import (
    Share,
    percent,
    ratio_interval,
    ratio_of_shares,
)
from recipes.dying_relu.theory import born_dead_bounds


@pytest.mark.parametrize(
    ("depth", "width", "low", "high", "digits"),
    [
        (10, 2, 0.870, 0.925, 3),
        (10, 3, 0.513, 0.699, 3),
        (10, 5, 0.064, 0.249, 3),
        (20, 2, 0.99267, 0.996, 5),
        (20, 3, 0.864, 0.921, 3),
        (20, 5, 0.214, 0.453, 3),
    ],
)
def test_bounds_are_the_published_ones(depth, width, low, high, digits):
    lower, upper = born_dead_bounds(depth, width)
    assert round(lower, digits) == low
    assert round(upper, 3) == high


def test_bounds_equal_the_sum_over_the_chain_they_come_from():
    """Two rays, one ray, dead: the closed form against the product of transition matrices."""
    for depth, width in [(2, 3), (3, 4), (7, 2), (15, 6)]:
        none = 2.0**-width
        from_two = [1 - 2 * none - (width - 1) * none**2, 0.0, none**2]
        from_two[1] = 1 - sum(from_two)
        chain = np.array([from_two, [0, 1 - none, none], [0, 0, 1]])
        state = np.array([1 - 2 * none, 2 * none, 0]) @ np.linalg.matrix_power(chain, depth - 2)
        assert born_dead_bounds(depth, width)[0] == pytest.approx(state[2])


def test_lower_bound_is_exact_for_two_hidden_layers_and_for_width_1():
    """After the first layer the two vectors are orthogonal, which is what the bound assumes."""
    n_nets = 200_000
    for depth, width in [(3, 2), (3, 4), (6, 1)]:
        share = Share(count_born_dead(depth, width, n_nets, seed=1), n_nets)
        bound = born_dead_bounds(depth, width)[0]
        assert abs(share.fraction - bound) < 4 * share.standard_error


@pytest.mark.parametrize(("depth", "width"), [(1, 2), (2, 0)])
def test_impossible_shapes_are_refused(depth, width):
    with pytest.raises(ValueError, match=r"`(depth|width)` must be at least \d\. Received: "):
        born_dead_bounds(depth, width)


@pytest.mark.parametrize(("depth", "width"), CHECKED)
def test_count_lies_inside_the_bounds_by_more_than_two_standard_errors(depth, width):
    row = count_shape(depth, width, n_nets=100_000, seed=0)
    assert row.inside
    assert row.lower_bound + 2 * Share(row.n_dead, row.n_nets).standard_error < row.dead_fraction
    assert row.dead_fraction < row.upper_bound - 2 * Share(row.n_dead, row.n_nets).standard_error
    assert row.ci95_low < row.dead_fraction < row.ci95_high


def test_count_equals_that_of_single_nets():
    """The batched program against one net after the other, as the definition has it."""
    depth, width, n_nets = 6, 2, 4000
    rng = np.random.default_rng(7)
    n_dead = 0
    for _ in range(n_nets):
        signal = np.array([[1.0], [-1.0]])
        for n_in in [1, *[width] * (depth - 2)]:
            signal = np.maximum(signal @ rng.normal(size=(n_in, width)), 0)
        n_dead += not (signal @ rng.normal(size=(width, 1))).any()
    ours = Share(count_born_dead(depth, width, 100_000, seed=0), 100_000)
    theirs = Share(n_dead, n_nets)
    error = np.hypot(ours.standard_error, theirs.standard_error)
    assert abs(ours.fraction - theirs.fraction) < 3 * error


def test_what_the_remedies_make_of_it():
    rows = {r.title: measure_remedy(r, depth=10, width=2, n_nets=4000, seed=0) for r in REMEDIES}
    he, rai, leaky = rows["ReLU, He"], rows["ReLU, RAI"], rows["Leaky ReLU 0.01"]
    low, high = born_dead_bounds(10, 2)
    assert low < he.constant_fraction < high
    assert he.n_constant == he.n_inactive_layer, "in a ReLU net an inactive layer is death"
    assert rai.n_constant == rai.n_inactive_layer
    assert 0.15 < rai.constant_fraction < 0.35
    for name in ("Leaky ReLU 0.01", "Leaky ReLU 0.1", "Leaky ReLU 0.3", "ELU"):
        assert rows[name].n_constant == 0
        assert rows[name].median_output_range > 0
    assert 0.5 < leaky.inactive_layer_fraction < 0.62
    assert leaky.median_output_range < 1e-3 < rows["ELU"].median_output_range


def test_intervals():
    assert Share(0, 1000).ci95[1] == pytest.approx(0.00368, abs=1e-5)  # about 3.7 / n
    assert Share(0, 1000).ci95[0] == 0
    assert str(Share(5, 10)) == "50.0 % (18.7 % to 81.3 %, n = 10)"
    assert percent(0.99331) == "99.33 %"
    ratio, low, high = ratio_of_shares(Share(415, 1000), Share(925, 1000))
    assert ratio == pytest.approx(415 / 925, abs=1e-3)
    assert low < ratio < high < 0.5


def test_bootstrap_is_over_nets_not_units():
    """Nets whose units share one fate: 20 nets are 20 cases, however many units they have."""
    totals = np.full(20, 1000)
    counts = np.repeat([0, 1000], 10)
    share, low, high = ratio_interval(counts, totals, seed=0)
    assert share == 0.5
    assert low < 0.35
    assert high > 0.65
    assert ratio_interval(counts[:4], totals[:4], seed=0) == (0.0, None, None), "too few nets"
