"""elu as a function of tensors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.ops import celu, elu, selu

MODES = pytest.mark.parametrize(
    "mode",
    [lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)],
    ids=["eager", "graph", "xla"],
)
FUNCTIONS = pytest.mark.parametrize("function", [elu, celu])


def derivatives(x, alpha, training=None):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = elu(x, alpha, training=training)
        first = inner.gradient(y, x)
    return y, first, outer.gradient(first, x)


@MODES
@FUNCTIONS
@pytest.mark.parametrize(
    "alpha", [0.3, 1.0, *(pytest.param(alpha, marks=pytest.mark.soak) for alpha in (0.5, 2.0))]
)
@pytest.mark.parametrize(
    ("dtype", "n_eps", "smallest"),
    [("float64", 4, 1e-20), ("float32", 4, 1e-20), ("bfloat16", 1, 1e-20), ("float16", 2, 1e-4)],
)
def test_training_path_against_expm1(mode, function, alpha, dtype, n_eps, smallest):
    x = tf.cast(-np.geomspace(smallest, 20, 20001), dtype)
    exact_x, a = tf.cast(x, "float64").numpy(), float(tf.constant(alpha, dtype))
    z = exact_x / (a if function is celu else 1.0)
    eps = {"bfloat16": 2.0**-7}.get(dtype) or np.finfo(dtype).eps

    def value_and_slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x, alpha, training=True)
        return y, tape.gradient(y, x)

    y, slope = (tf.cast(t, "float64").numpy() for t in mode(value_and_slope)(x))
    np.testing.assert_allclose(y, a * np.expm1(z), rtol=n_eps * eps)
    exact_slope = np.exp(z) * (1.0 if function is celu else a)
    np.testing.assert_allclose(slope, exact_slope, rtol=0, atol=2 * eps * max(a, exact_slope.max()))


@FUNCTIONS
@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_inference_graph_agrees_with_the_training_path(function, alpha):
    x = tf.constant(np.linspace(-20, 5, 10001), tf.float32)
    plain = tf.function(lambda x: function(x, alpha))(x)
    np.testing.assert_allclose(plain, function(x, alpha), rtol=4 * 2.0**-23, atol=2.0**-23)


def test_the_one_kernel_that_loses_small_negatives_is_that_of_alpha_one_outside_training():
    x = tf.constant(-1e-20)
    assert tf.function(lambda x: elu(x, 1.0))(x) == 0
    for y in (
        elu(x, 1.0),
        tf.function(lambda x: elu(x, 1.0, training=True))(x),
        tf.function(lambda x: elu(x, 0.5))(x) * 2,
    ):
        np.testing.assert_allclose(y, -1e-20, rtol=1e-6)


@MODES
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, pytest.param(3.0, marks=pytest.mark.soak)])
@pytest.mark.parametrize("training", [None, True])
def test_nothing_is_nan_from_minus_infinity_to_infinity(mode, dtype, alpha, training):
    big = float(np.finfo(dtype).max)
    x = np.array([-np.inf, -big, -100.0, 0.0, 100.0, big, np.inf], dtype)
    y, first, second = mode(lambda x: derivatives(x, alpha, training))(tf.constant(x))
    np.testing.assert_array_equal(y, [-alpha, -alpha, -alpha, 0, 100, big, np.inf])
    np.testing.assert_allclose(first, [0, 0, 0, alpha, 1, 1, 1], atol=1e-40)
    np.testing.assert_allclose(second, [0, 0, 0, alpha, 0, 0, 0], atol=1e-40)


def test_nan_gives_nan():
    assert np.isnan(elu(np.nan, 1.0))


@MODES
@pytest.mark.parametrize("training", [None, True])
def test_gradient_of_alpha_is_finite(mode, training):
    def gradient(function, alpha):
        x = tf.constant([-np.inf, -1.0, -1e-8, 0.0, 1e4, np.inf])
        with tf.GradientTape() as tape:
            tape.watch(alpha)
            y = function(x, alpha, training=training)
        return tape.gradient(y, alpha)

    alpha = tf.constant(0.5)
    d_elu = mode(lambda alpha: gradient(elu, alpha))(alpha)
    np.testing.assert_allclose(d_elu, -1 + np.expm1(-1.0) - 1e-8, rtol=1e-6)
    if training or mode is MODES.args[1][0]:  # the plain form gives 0 * inf at minus infinity
        d_celu = mode(lambda alpha: gradient(celu, alpha))(alpha)
        np.testing.assert_allclose(d_celu, -1 + np.expm1(-2.0) + 2 * np.exp(-2.0), rtol=1e-6)


@MODES
def test_selu_is_elu_scaled(mode):
    x = tf.constant(np.linspace(-5, 5, 101), tf.float32)
    expected = 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))
    np.testing.assert_allclose(mode(lambda x: selu(x, training=True))(x), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0.1, np.float64(0.1), np.array(0.1), keras.Variable(0.1)])
@FUNCTIONS
def test_alpha_does_not_promote(function, dtype, alpha):
    x = keras.ops.convert_to_tensor([-2.0, 3.0], dtype=dtype)
    assert keras.backend.standardize_dtype(function(x, alpha).dtype) == dtype


def test_integers_become_floatx():
    y = elu(np.array([-1, 0, 2]), 1.0)
    assert keras.backend.standardize_dtype(y.dtype) == keras.config.floatx()
    np.testing.assert_allclose(y, [np.expm1(-1), 0, 2], rtol=1e-6)


@pytest.mark.parametrize("function", [elu, celu, selu])
def test_small_and_large_eager_tensors_agree(function):
    small = np.linspace(-20, 5, 999).astype("float32")
    large = np.resize(small, 2**16)
    results = []
    for x in (tf.constant(small), tf.constant(large)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        results.append([np.asarray(t)[:999] for t in (y, tape.gradient(y, x))])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=4 * 2.0**-23, atol=2 * 2.0**-23)
