"""leaky_relu and prelu as functions of tensors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.ops import leaky_relu, prelu

FUNCTIONS = pytest.mark.parametrize("function", [leaky_relu, prelu])
INF = np.inf


def gradients(function, x, slope):
    x, slope = tf.constant(x), tf.constant(slope, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([x, slope])
        y = function(x, slope)
    return tape.gradient(y, [x, slope])


@FUNCTIONS
@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.01, 1.0, 1.5])
def test_derivative_at_zero_is_that_of_the_negative_side(function, slope):
    dx, _ = gradients(function, np.array([-2.0, -0.0, 0.0, 1e-300, 2.0]), slope)
    np.testing.assert_array_equal(dx, [slope, slope, slope, 1.0, 1.0])


@FUNCTIONS
@pytest.mark.parametrize("slope", [-1.0, 0.01, 1.5])
def test_infinities_and_nan(function, slope):
    y = function(np.array([-INF, INF, np.nan]), slope)
    np.testing.assert_array_equal(y, [-INF * slope, INF, np.nan])
    dx, _ = gradients(function, np.array([-INF, INF]), slope)
    np.testing.assert_array_equal(dx, [slope, 1.0])


def test_minus_infinity_at_slope_zero():
    np.testing.assert_array_equal(leaky_relu(np.array([-INF, INF, np.nan]), 0.0), [0, INF, np.nan])
    dx, _ = gradients(leaky_relu, np.array([-INF, INF]), 0.0)
    np.testing.assert_array_equal(dx, [0.0, 1.0])
    np.testing.assert_array_equal(prelu(np.array([-INF, INF]), 0.0), [np.nan, INF])


@FUNCTIONS
@pytest.mark.parametrize("slope", [0.0, 0.3, -1.0])
def test_gradient_of_the_slope_is_the_sum_of_the_negative_inputs(function, slope):
    _, dslope = gradients(function, np.array([-2.0, -0.5, 0.0, 3.0, INF]), slope)
    assert dslope == -2.5


def test_alpha_broadcasts_and_its_gradient_is_summed_back():
    x = np.random.default_rng(0).normal(size=(4, 3, 2))
    alpha = np.array([[0.1, -0.2]])
    np.testing.assert_array_equal(prelu(x, alpha), np.where(x > 0, x, alpha * x))
    _, dalpha = gradients(prelu, x, alpha)
    np.testing.assert_allclose(dalpha, np.minimum(x, 0).sum(axis=(0, 1))[None], rtol=1e-14)


@FUNCTIONS
@pytest.mark.parametrize("training", [None, True])
@pytest.mark.parametrize("make", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("variable", [keras.Variable, tf.Variable])
def test_the_gradient_reaches_a_variable(function, training, make, variable):
    slope = variable(0.3)

    def gradient(x):
        with tf.GradientTape() as tape:
            y = function(x, slope, training=training)
        return tape.gradient(
            y, getattr(slope, "value", slope) if variable is keras.Variable else slope
        )

    assert make(gradient)(tf.constant([-2.0, -0.5, 3.0])) == -2.5


def test_mixed_second_derivative():
    x, slope = tf.constant([-2.0, 0.0, 3.0]), tf.constant(0.3)
    with tf.GradientTape() as outer:
        outer.watch(slope)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = leaky_relu(x, slope) ** 2
        dx = inner.gradient(y, x)
    # d/dx (slope * x)^2 = 2 slope^2 x, whose derivative by the slope is 4 slope x.
    np.testing.assert_allclose(outer.gradient(dx, slope), 4 * 0.3 * -2.0, rtol=1e-6)


@FUNCTIONS
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    "slope",
    [0.1, np.float64(0.1), np.array(0.1), keras.Variable(0.1)],
    ids=lambda s: type(s).__name__,
)
def test_the_slope_does_not_promote(function, dtype, slope):
    x = keras.ops.convert_to_tensor([-2.0, 3.0], dtype=dtype)
    assert keras.backend.standardize_dtype(function(x, slope).dtype) == dtype


@FUNCTIONS
def test_a_python_slope_is_exact_in_float64(function):
    assert float(function(np.array(-1.0), 0.1)) == -0.1


@FUNCTIONS
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool"])
def test_integers_become_floatx(function, dtype):
    y = function(np.array([0, 1], dtype), 0.1)
    assert keras.backend.standardize_dtype(y.dtype) == keras.config.floatx()
    np.testing.assert_array_equal(y, [0, 1])


@FUNCTIONS
def test_keras_tensor_in_keras_tensor_out(function):
    inputs = keras.Input((3,), dtype="float16")
    model = keras.Model(inputs, function(inputs, 0.5))
    assert model.output.shape == (None, 3)
    assert model.output.dtype == "float16"
    np.testing.assert_array_equal(model(np.array([[-2, 0, 3]])), [[-1, 0, 3]])


SHAPES = [
    ((0, 3, 4), (1, 4)),
    ((1, 1), (1,)),
    ((7, 3), (3,)),
    ((5, 64, 64, 4), (1, 1, 4)),
    ((129, 5, 7, 3), (1, 1, 3)),
    ((1025, 33), ()),
    ((260, 3, 2), (3, 2)),
    ((64, 5, 6), (5, 1)),
    ((300, 4, 5), (1, 4, 1)),
    ((200, 3, 4), (1, 1, 1)),
]


@pytest.mark.parametrize(
    ("jit_compile", "known"),
    [
        pytest.param(False, True, id="graph-static"),
        pytest.param(True, False, id="xla-unknown"),
        pytest.param(False, False, id="graph-unknown", marks=pytest.mark.soak),
        pytest.param(True, True, id="xla-static", marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize(("shape", "alpha_shape"), SHAPES)
def test_fast_and_plain_path_agree(shape, alpha_shape, jit_compile, known):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape)).astype("float32")
    alpha = rng.uniform(-0.5, 1.5, alpha_shape).astype("float32")
    spec = tf.TensorSpec(shape if known else [None] * len(shape))
    alpha_spec = tf.TensorSpec(alpha_shape)

    def run(x, alpha, dy, training):
        with tf.GradientTape() as tape:
            tape.watch([x, alpha])
            y = prelu(x, alpha, training=training)
        return y, *tape.gradient(y, [x, alpha], output_gradients=dy)

    def call(training, jit_compile=None):
        function = tf.function(
            lambda x, alpha, dy: run(x, alpha, dy, training),
            input_signature=[spec, alpha_spec, spec],
            jit_compile=jit_compile,
        )
        return function(x, alpha, dy)

    plain, fast = call(None), call(True, jit_compile or None)
    eager = run(tf.constant(x), tf.constant(alpha), dy, None)
    size = np.abs(dy * np.minimum(x, 0)).sum()
    for other in (fast, eager):
        np.testing.assert_array_max_ulp(np.asarray(other[0]), np.asarray(plain[0]), 1)
        np.testing.assert_array_max_ulp(np.asarray(other[1]), np.asarray(plain[1]), 1)
        assert other[2].shape == alpha_shape
        np.testing.assert_allclose(other[2], plain[2], rtol=1e-5, atol=1e-7 * max(size, 1))


@pytest.mark.parametrize("slope", [0.0, 0.1, 1.5, -1.0])
def test_a_slope_in_a_tensor_is_that_in_a_number(slope):
    x = tf.constant(np.append(np.random.default_rng(0).normal(size=999), [-INF, INF, 0]), "float32")
    results = []
    for value in (slope, tf.constant(slope)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = leaky_relu(x, value)
        results.append((y, tape.gradient(y, x)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
