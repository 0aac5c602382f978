"""elu as a function of tensors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.ops import elu

MODES = pytest.mark.parametrize(
    "mode",
    [lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)],
    ids=["eager", "graph", "xla"],
)


def derivatives(x, alpha):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = elu(x, alpha)
        first = inner.gradient(y, x)
    return y, first, outer.gradient(first, x)


@MODES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_negatives_survive(mode, dtype):
    x = -np.logspace(-30, -3, 28).astype(dtype)
    y = mode(lambda x: elu(x, 1.0))(tf.constant(x))
    np.testing.assert_allclose(y, np.expm1(x.astype("float64")), rtol=4 * np.finfo(dtype).eps)
    assert np.float32(mode(lambda x: elu(x, 1.0))(tf.constant(-1e-8))) == np.float32(-1e-8)


@MODES
def test_small_negatives_survive_in_bfloat16(mode):
    x = tf.cast(-np.logspace(-6, -2, 100), "bfloat16")
    y = mode(lambda x: elu(x, 1.0))(x)
    exact = np.expm1(tf.cast(x, "float64").numpy())
    np.testing.assert_allclose(tf.cast(y, "float64"), exact, rtol=2.0**-7)


@MODES
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
def test_nothing_is_nan_from_minus_infinity_to_infinity(mode, dtype, alpha):
    big = float(np.finfo(dtype).max)
    x = np.array([-np.inf, -big, -100.0, 0.0, 100.0, big, np.inf], dtype)
    y, first, second = mode(lambda x: derivatives(x, alpha))(tf.constant(x))
    np.testing.assert_array_equal(y, [-alpha, -alpha, -alpha, 0, 100, big, np.inf])
    np.testing.assert_allclose(first, [0, 0, 0, alpha, 1, 1, 1], atol=1e-40)
    np.testing.assert_allclose(second, [0, 0, 0, alpha, 0, 0, 0], atol=1e-40)


def test_nan_gives_nan():
    assert np.isnan(elu(np.nan, 1.0))


def test_gradient_of_alpha_is_finite():
    alpha = tf.constant(0.5)
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        y = elu(tf.constant([-1.0, 0.0, 1e4, np.inf]), alpha)
    np.testing.assert_allclose(tape.gradient(y, alpha), np.expm1(-1.0), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0.1, np.float64(0.1), np.array(0.1)])
def test_alpha_does_not_promote(dtype, alpha):
    x = keras.ops.convert_to_tensor([-2.0, 3.0], dtype=dtype)
    assert keras.backend.standardize_dtype(elu(x, alpha).dtype) == dtype


def test_integers_become_floatx():
    y = elu(np.array([-1, 0, 2]), 1.0)
    assert keras.backend.standardize_dtype(y.dtype) == keras.config.floatx()
    np.testing.assert_allclose(y, [np.expm1(-1), 0, 2], rtol=1e-6)
