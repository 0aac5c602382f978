"""The maths against NumPy in float64, over any numbers."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_leaky.ops import celu, elu, leaky_relu, prelu, selu

EPS, TINY = float(np.finfo("float32").eps), float(np.finfo("float32").tiny)
# Few shapes, as eager calls compile one program a shape; 7 and 33 are odd, one is empty.
shapes = st.sampled_from([(7,), (33, 3), (2, 3, 4), (0, 3), (1,)])
numbers = st.floats(width=32, allow_nan=False, allow_infinity=True, allow_subnormal=True)
inputs = shapes.flatmap(lambda shape: arrays("float32", shape, elements=numbers))
# As the values, the slope may count as 0 where it is too small to be a normal number.
slopes = st.floats(-4, 4, width=32, allow_subnormal=False)
alphas = st.floats(2**-10, 16, width=32)


def compare(y, expected, n_eps, scale=1.0):
    """In float32, in which results overflow to infinity, and what is smaller than TINY may be 0."""
    with np.errstate(all="ignore"):
        expected = np.asarray(expected, "float32")
    np.testing.assert_allclose(y, expected, rtol=n_eps * EPS, atol=2 * TINY * max(1, scale))


def product(a, x):
    with np.errstate(all="ignore"):
        return np.float64(a) * x.astype("float64")


@given(inputs, slopes, st.booleans())
def test_leaky_relu(x, slope, training):
    assume(slope != 0 or np.isfinite(x).all())  # 0 times infinity is NaN, and TensorFlow says 0
    y = leaky_relu(x, slope, training)
    compare(y, np.where(x > 0, x, product(slope, x)), 1, abs(slope))


@given(inputs, slopes, st.booleans())
def test_prelu(x, slope, training):
    alpha = np.linspace(slope, 1, x.shape[-1], dtype="float32")
    y = prelu(x, alpha, training)
    compare(y, np.where(x > 0, x, product(alpha, x)), 1, 4)


@pytest.mark.parametrize("function", [elu, celu])
@given(x=inputs, alpha=alphas, training=st.booleans())
def test_elu_and_celu(function, x, alpha, training):
    exact = np.minimum(x.astype("float64"), 0) / (alpha if function is celu else 1)
    y = function(x, alpha, training)
    compare(y, np.where(x > 0, x, alpha * np.expm1(exact)), 4, alpha)


@given(inputs, st.booleans())
def test_selu(x, training):
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    exact = np.minimum(x.astype("float64"), 0)
    with np.errstate(all="ignore"):
        expected = scale * np.where(x > 0, x.astype("float64"), alpha * np.expm1(exact))
    compare(selu(x, training), expected, 4, 2)
