"""Search spaces with any range: every value lies in it, and grids have both ends."""

import keras_tuner
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_leaky.study import Arm
from keras_leaky.study._proposals import Grid, Spread
from keras_leaky.study.arms import MAX_ALPHA

positive = st.floats(1e-30, 1e6)


@st.composite
def ranges(draw, ends=positive):
    """low, high and whether the scale is logarithmic."""
    is_log = draw(st.booleans())
    low, high = sorted([draw(ends), draw(ends)])
    assume(low < high)
    return low if is_log or draw(st.booleans()) else 0.0, high, is_log


def declare(low, high, is_log):
    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", low, high, sampling="log" if is_log else "linear")
    return hp.space


def is_inside(low, high, value):
    # The ends go through logarithms and back.
    return low * (1 - 1e-12) <= value <= high * (1 + 1e-12)


@given(ranges(), st.integers(0, 2**31 - 1), st.integers(0, 200))
def test_values_lie_in_the_range(ends, seed, index):
    value = Spread(["learning_rate"], seed)(declare(*ends), index)["learning_rate"]
    assert is_inside(*ends[:2], value)


@given(ranges(), st.integers(2, 50))
def test_grids_have_both_ends_and_rise(ends, n):
    low, high, _ = ends
    assume(low < high * (1 - 1e-9))
    space, grid = declare(*ends), Grid(n)
    assert grid(space, n) is None
    points = [grid(space, i)["learning_rate"] for i in range(n)]
    assert (points[0], points[-1]) == pytest.approx((low, high), rel=1e-9, abs=0)
    assert all(is_inside(low, high, point) for point in points)
    assert points == sorted(set(points))


@given(ranges(st.floats(1e-30, MAX_ALPHA)), st.integers(0, 200))
def test_arms_declare_the_range_that_they_search(ends, index):
    low, high, _ = ends
    arm, hp = Arm("leaky_relu", (low, high)), keras_tuner.HyperParameters()
    assert is_inside(low, high, arm.declare_alpha(hp))
    assert [*hp.values] == ["alpha"]
    assert is_inside(low, high, Spread(["alpha"], 0)(hp.space, index)["alpha"])
    assert Arm("relu").declare_alpha(keras_tuner.HyperParameters()) is None
