"""Search spaces with any range: every value lies in it, and grids have both ends."""

import keras_tuner
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recipes.common.space import Arm, Axis

positive = st.floats(1e-30, 1e6)


@st.composite
def axes(draw):
    log = draw(st.booleans())
    low, high = sorted([draw(positive), draw(positive)])
    assume(low < high)
    return Axis(low if log or draw(st.booleans()) else 0.0, high, log)


def is_inside(axis, value):
    # The ends go through logarithms and back.
    return axis.low * (1 - 1e-12) <= value <= axis.high * (1 + 1e-12)


@given(axes(), st.integers(0, 2**32 - 1))
def test_values_lie_in_the_range(axis, seed):
    hp = keras_tuner.HyperParameters()
    assert is_inside(axis, axis.declare(hp, "alpha", None))
    (declared,) = hp.space
    assert is_inside(axis, declared.random_sample(seed))
    for probability in (0.0, 0.5, 1 - 1e-9):
        assert is_inside(axis, declared.prob_to_value(probability))


@given(axes(), st.integers(2, 50))
def test_grids_have_both_ends_and_rise(axis, n):
    assume(axis.low < axis.high * (1 - 1e-9))
    assume(not (axis.log and axis.low == 0))
    points = axis.grid(n)
    assert (points[0], points[-1], len(points)) == pytest.approx((axis.low, axis.high, n), abs=0)
    assert all(is_inside(axis, point) for point in points)
    assert points == sorted(set(points))


@given(axes(), axes(), st.one_of(st.none(), st.integers(1, 7)))
def test_arms_declare_what_they_search(alpha, learning_rate, n_grid):
    arm = Arm("elu", "elu", alpha, learning_rate, "mlp", "random", 1, n_grid)
    hp = keras_tuner.HyperParameters()
    values = arm.declare(hp)
    assert is_inside(alpha, values[0])
    assert is_inside(learning_rate, values[1])
    assert list(hp.values) == ["alpha", "learning_rate"]
    relu = Arm("relu", "relu", None, learning_rate, "mlp", "random", 1, n_grid)
    assert relu.declare(keras_tuner.HyperParameters())[0] is None
