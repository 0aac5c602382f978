"""Every way that TensorFlow differentiates, over every layer.

The kind of fault: a derivative that is right by `GradientTape` and silently 0, or an error, another
way. `tf.custom_gradient` is unknown to forward mode in a graph and to `tf.vectorized_map`.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_leaky import ops
from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from keras_leaky.layers.slope import variable_slopes


def in_a_variable(cls, *arguments):
    with variable_slopes():
        return cls(*arguments)


# How a layer is made, and its slope or else its scale, amplitude and width.
LAYERS = {
    "LeakyReLU": (lambda: LeakyReLU(0.1), 0.1),
    "LeakyReLU(-0.5)": (lambda: LeakyReLU(-0.5), -0.5),
    "LeakyReLU, variable": (lambda: in_a_variable(LeakyReLU, 0.1), 0.1),
    "PReLU": (lambda: PReLU(0.3), 0.3),
    "ELU(1)": (lambda: ELU(), (1.0, 1.0, 1.0)),
    "ELU(0.5)": (lambda: ELU(0.5), (1.0, 0.5, 1.0)),
    "ELU, variable": (lambda: in_a_variable(ELU, 0.5), (1.0, 0.5, 1.0)),
    "CELU": (lambda: CELU(0.3), (1.0, 0.3, 0.3)),
    "CELU, variable": (lambda: in_a_variable(CELU, 0.3), (1.0, 0.3, 0.3)),
    "SELU": (SELU, (1.0507009873554805, 1.7580993408473766, 1.0)),
    "RReLU": (lambda: RReLU(0.2, 0.2), 0.2),
}


def exact(x, numbers):
    """Value, first and second derivative."""
    if isinstance(numbers, float):
        return np.where(x > 0, x, numbers * x), np.where(x > 0, 1, numbers), 0 * x
    scale, amplitude, width = numbers
    z = np.minimum(x, 0) / width
    return (
        np.where(x > 0, scale * x, amplitude * np.expm1(z)),
        np.where(x > 0, scale, amplitude / width * np.exp(z)),
        np.where(x > 0, 0, amplitude / width**2 * np.exp(z)),
    )


def forward(f, x, t):
    with tf.autodiff.ForwardAccumulator(x, t) as accumulator:
        y = f(x)
    return accumulator.jvp(y)


def reverse(f, x, t):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x, output_gradients=t)


def half_square(f):
    return lambda x: f(x) ** 2 / 2


def by_row(f):
    return lambda x: f(x[None])[0]


def jacobian(f, x, t):
    """Of the first 7 elements, with the tangents where they are."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reshape(f(x), [-1])[:7]
    return tf.reshape(tf.reduce_sum(tape.jacobian(y, x), 0), x.shape) * t


def batch_jacobian(f, x, t):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(f(x), 1, keepdims=True)
    return tape.batch_jacobian(y, x)[:, 0] * t


def persistent(f, x, t):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    return tape.gradient(y, x, output_gradients=t)


# Name -> function, and what it gives: the first derivative of f, the second of f**2 / 2, the latter
# twice along t, or the first of 7 elements.
WAYS = {
    "forward": (forward, "first"),
    "forward over reverse": (
        lambda f, x, t: forward(lambda x: reverse(half_square(f), x, tf.ones_like(x)), x, t),
        "second",
    ),
    "vectorized, then reverse": (
        lambda f, x, t: reverse(lambda x: tf.vectorized_map(by_row(f), x), x, t),
        "first",
    ),
    "batch_jacobian": (batch_jacobian, "first"),
    "forward over forward": (
        lambda f, x, t: forward(lambda x: forward(half_square(f), x, t), x, t),
        "second twice",
    ),
    "reverse over forward": (
        lambda f, x, t: reverse(lambda x: forward(half_square(f), x, t), x, tf.ones_like(x)),
        "second",
    ),
    "reverse over reverse": (
        lambda f, x, t: reverse(lambda x: reverse(half_square(f), x, tf.ones_like(x)), x, t),
        "second",
    ),
    "vectorized, then forward": (
        lambda f, x, t: forward(lambda x: tf.vectorized_map(by_row(f), x), x, t),
        "first",
    ),
    "reverse in vectorized": (
        lambda f, x, t: tf.vectorized_map(lambda row: reverse(by_row(f), *row), (x, t)),
        "first",
    ),
    "jacobian": (jacobian, "first of 7"),
    "persistent": (persistent, "first"),
    "recompute_grad": (
        lambda f, x, t: reverse(tf.recompute_grad(lambda x: f(x)), x, t),
        "first",
    ),
}
OFTEN = ("forward", "forward over reverse", "vectorized, then reverse", "batch_jacobian")
# Around what `tf.function` stands, if anywhere, `training`, and the shape of the input.
MODES = {
    "eager": (None, None, (20, 4100)),
    "graph": ("all", None, (6, 5)),
    "training graph": ("all", True, (6, 5)),
    "small": (None, True, (6, 5)),
    "layer in a function": ("layer", True, (6, 5)),
    "XLA": ("XLA", True, (6, 5)),
    "large graph": ("all", True, (20, 4100)),
}
OFTEN_MODES = ("eager", "training graph")
CASES = [
    pytest.param(
        layer,
        way,
        mode,
        marks=[] if way in OFTEN and mode in OFTEN_MODES else pytest.mark.soak,
    )
    for layer in LAYERS
    for way in WAYS
    for mode in MODES
    if not (
        # TensorFlow itself gives half of it, for tf.sin too.
        (way == "reverse over forward" and mode == "layer in a function")
        # It cannot differentiate tf.where twice forward in a graph: IndexError.
        or (way == "forward over forward" and layer == "LeakyReLU, variable" and mode == "graph")
        # A draw in a function in vectorized_map, as in Dropout: an error.
        or ("vectorized" in way and layer == "RReLU" and mode == "layer in a function")
    )
]


@pytest.mark.parametrize(("layer", "way", "mode"), CASES)
def test_is_exact(layer, way, mode):
    make, numbers = LAYERS[layer]
    function, result = WAYS[way]
    place, training, shape = MODES[mode]
    if layer == "RReLU":
        training = True
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2, *shape))
    x *= 3
    has_ties = not (layer == "PReLU" and way.startswith("vectorized") and training is None)
    if has_ties:  # there the form that LiteRT fuses has a derivative of 0
        x.reshape(-1)[::5] = 0.0
    rectifier = make()
    rectifier.build(shape)

    def call(x):
        return rectifier(x, training=training)

    if place == "layer":
        call = tf.function(call)
    run = lambda x, t: function(call, x, t)  # noqa: E731
    if place in ("all", "XLA"):
        run = tf.function(run, jit_compile=place == "XLA")
    found = run(tf.constant(x, tf.float32), tf.constant(t, tf.float32))

    value, first, second = exact(x.astype("float32").astype("float64"), numbers)
    curvature = first * first + value * second
    want = {
        "first": first * t,
        "second": curvature * t,
        "second twice": curvature * t * t,
        "first of 7": first * t * (np.arange(x.size).reshape(shape) < 7),
    }[result]
    np.testing.assert_allclose(found, want, rtol=2e-5, atol=2e-6)


PARAMETERS = {
    "leaky_relu": (ops.leaky_relu, lambda x, a: np.minimum(x, 0)),
    "prelu": (ops.prelu, lambda x, a: np.minimum(x, 0)),
    "elu": (ops.elu, lambda x, a: np.expm1(np.minimum(x, 0))),
    "celu": (
        ops.celu,
        lambda x, a: (
            np.expm1(np.minimum(x, 0) / a) - np.minimum(x, 0) / a * np.exp(np.minimum(x, 0) / a)
        ),
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("mode", ["eager", "graph", "training graph", "small"])
def test_slopes_and_alphas_too(name, mode):
    function, derivative = PARAMETERS[name]
    place, training, shape = MODES[mode]
    x = (np.random.default_rng(0).normal(size=shape) * 3).astype("float32")
    t = tf.constant(2.0)

    def run(alpha):
        along = forward(lambda alpha: function(x, alpha, training=training), alpha, t)
        total = reverse(
            lambda alpha: tf.reduce_sum(function(x, alpha, training=training)), alpha, t
        )
        return along, total

    along, total = (tf.function(run) if place else run)(tf.constant(0.5))
    want = derivative(x.astype("float64"), 0.5)
    np.testing.assert_allclose(along, 2 * want, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(total, 2 * want.sum(), rtol=2e-5)
