"""CELU: its argument, its bend and its saturation value."""

import re

import keras
import numpy as np
import pytest

from keras_leaky.layers import CELU, ELU


@pytest.mark.parametrize(
    "alpha", [0, -0.1, np.nan, np.inf, -np.inf, True, np.True_, "1", None, [1.0]], ids=repr
)
def test_alpha_that_is_no_finite_number_above_zero_is_refused(alpha):
    message = "`alpha` of layer 'celu' must be a finite real number above 0. Received: alpha="
    with pytest.raises(ValueError, match="^" + re.escape(message + repr(alpha)) + "$"):
        CELU(alpha, name="celu")


def test_saturates_at_minus_alpha():
    np.testing.assert_array_equal(CELU(0.5)(np.array([-np.inf, -1e3])), [-0.5, -0.5])


def test_one_is_elu_and_others_are_those_of_keras():
    x = np.linspace(-5, 5, 101)
    np.testing.assert_array_equal(CELU(1)(x), ELU(1)(x))
    expected = keras.activations.celu(keras.ops.convert_to_tensor(x, "float32"), alpha=0.3)
    np.testing.assert_allclose(CELU(0.3)(x), expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [1e-30, 1e30])
def test_extremes_are_relu_and_the_identity(alpha):
    x = np.array([-2.0, -1e-3, 0.0, 3.0], "float32")
    np.testing.assert_allclose(CELU(alpha)(x), np.maximum(x, 0) if alpha < 1 else x, atol=1e-29)
