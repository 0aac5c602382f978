"""A unit is called dead exactly if training gives it no gradient.

The kind of fault: a rule that calls units dead, or not, by the side that they sit on, though what
decides is the derivative in the precision that is computed in. Swept are all elementwise
activations of Keras and of this package, as functions and layers, with thresholds, caps and slopes
that underflow, in every precision, against the gradient of the biases in a training step.
"""

from functools import partial

import keras
import numpy as np
import pytest

import keras_leaky
from keras_leaky.diagnostics import dead_units
from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU

L = keras.layers
# The pre-activations of units. Nowhere is a derivative a subnormal number of float32, which
# hardware may or may not take for 0.
LEVELS = [-200, -60, -20, -17, -12, -9.5, -8, -6.5, -5, -3.5, -3, -2, -1, -0.5, -1e-3]
LEVELS += [0, 1e-3, 0.5, 1, 1.5, 3, 3.5, 5, 6, 7, 9.5, 12, 17, 20, 60, 200]
NOT_SWEPT = ("get", "serialize", "deserialize", "linear", "threshold")
NOT_SWEPT += ("softmax", "log_softmax", "sparsemax", "glu")  # not elementwise


def capped(x):
    return keras.activations.relu(x, max_value=3.25)


def steps(x):
    return keras.ops.cast(x > 1, x.dtype)  # its derivative is 0 everywhere


FUNCTIONS = [getattr(keras.activations, name) for name in dir(keras.activations)]
FUNCTIONS = [f for f in FUNCTIONS if callable(f) and f.__name__ not in NOT_SWEPT]
FUNCTIONS += [getattr(keras_leaky.ops, name) for name in ("leaky_relu", "elu", "celu", "selu")]
FUNCTIONS += [keras.ops.relu6, capped, steps]

CALLS = {
    "cap": partial(keras.activations.relu, max_value=3.25),
    "threshold": partial(keras.activations.relu, threshold=1.0),
    "threshold below 0": partial(keras.activations.relu, threshold=-1.0),
    "slope": partial(keras.activations.relu, negative_slope=1e-8),
    "relu6": keras.ops.relu6,
    "relu": keras.ops.relu,
    "elu": partial(keras.ops.elu, alpha=1e-3),
    "leaky_relu": partial(keras.ops.leaky_relu, negative_slope=1e-8),
    "hard_shrink": partial(keras.ops.hard_shrink, threshold=1.0),
    "threshold itself": partial(keras.ops.threshold, threshold=-1.0, default_value=0.0),
}

LAYERS = {
    **{f"LeakyReLU({a})": partial(LeakyReLU, a) for a in (0.0, 1e-8, 1e-5, 0.1, -1.0, -1e-8)},
    **{f"PReLU({a})": partial(PReLU, a) for a in (0.0, 1e-8, 0.1)},
    **{f"RReLU{a}": partial(RReLU, *a) for a in ((0.0, 0.0), (1e-9, 1e-9), (0.1, 0.3))},
    **{f"ELU({a})": partial(ELU, a) for a in (0.0, 1e-3, 1.0)},
    **{f"CELU({a})": partial(CELU, a) for a in (0.25, 1.0, 4.0)},
    "SELU": SELU,
    **{f"Keras's LeakyReLU({a})": partial(L.LeakyReLU, a) for a in (0.0, 1e-8, 0.1)},
    **{f"Keras's PReLU({a})": partial(L.PReLU, a) for a in ("zeros", "ones")},
    "Keras's ELU": L.ELU,
    **{
        f"ReLU({kwargs})": partial(L.ReLU, **kwargs)
        for kwargs in (
            {},
            {"threshold": 1.0},
            {"max_value": 6.0},
            {"max_value": 3.25},
            {"negative_slope": 0.1},
            {"negative_slope": 1e-8},
            {"threshold": 1.0, "max_value": 6.0},
            {"threshold": 1.0, "negative_slope": 0.1},
            {"negative_slope": 0.1, "max_value": 6.0},
            {"negative_slope": 1e-8, "max_value": 6.0, "threshold": 1.0},
        )
    },
    "Activation(LeakyReLU)": lambda **kwargs: L.Activation(LeakyReLU(1e-8, **kwargs), **kwargs),
    "Activation(relu6)": partial(L.Activation, "relu6"),
}
# Where the last bit of a sum or of an output near 1 decides, which every kernel rounds otherwise.
BY_ROUNDING = {"sigmoid": (6, 17), "tanh": (-8,), "squareplus": (-200, -60, -20)}
ALSO_AS_ARGUMENTS = ("LeakyReLU(1e-08)", "PReLU(0.0)", "ELU(1.0)", "ReLU({'threshold': 1.0})")


def make_model(dtype):
    """Every activation in a branch of its own, and of each the layer that has the units."""
    inputs = keras.Input((1,))
    branches = {}  # name in the report -> (what it is, layer whose units are activated, output)

    def dense(activation=None):
        return L.Dense(len(LEVELS), activation, kernel_initializer="zeros", dtype=dtype)

    for function in FUNCTIONS:
        host = dense(function)
        branches[host.name] = f"{function.__module__}.{function.__name__}", host, host(inputs)
    for name, call in CALLS.items():
        host = dense()
        output = call(host(inputs))
        branches[output._keras_history.operation.name] = f"call of {name}", host, output
    for name, make in LAYERS.items():
        host, layer = dense(), make(dtype=dtype)
        branches[layer.name] = name, host, layer(host(inputs))
        if name in ALSO_AS_ARGUMENTS:
            host = dense(make(dtype=dtype))
            branches[host.name] = f"{name} as argument", host, host(inputs)
    return keras.Model(inputs, [output for *_, output in branches.values()]), branches


def bias_gradients(model, biases):
    """Of a sum of all outputs in training; on TensorFlow in a graph, as ours differ there."""
    x = np.ones((2, 1), "float32")

    def loss():
        weights = keras.ops.linspace(1.0, 2.0, len(LEVELS))  # no loss is the plain sum
        outputs = (keras.ops.cast(y, "float32") for y in model(x, training=True))
        return sum(keras.ops.sum(y * weights) for y in outputs)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function
        def gradients():
            with tf.GradientTape() as tape:
                value = loss()
            return tape.gradient(value, [b.value for b in biases], unconnected_gradients="zero")

        found = gradients()
    elif keras.backend.backend() == "jax":
        import jax

        def loss_of(values):
            with keras.StatelessScope(list(zip(biases, values, strict=True))):
                return loss()

        found = jax.grad(loss_of)([bias.value for bias in biases])
    else:
        loss().backward()
        found = [b.value.grad if b.value.grad is not None else 0 * b.value for b in biases]
    return [keras.ops.convert_to_numpy(g).astype("float64") for g in found]


@pytest.mark.parametrize(
    "dtype",
    # In CI the precision that most use, and the one where most numbers underflow.
    [
        *("float32", "mixed_float16"),
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("bfloat16", "float64")),
    ],
)
def test_dead_is_what_training_gives_no_gradient(dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless told to")
    if dtype == "bfloat16" and keras.backend.backend() == "jax":
        pytest.skip("takes 10 s there, and float16 underflows sooner")
    model, branches = make_model(dtype)
    for _, host, _ in branches.values():
        host.bias.assign(LEVELS)
    report = dead_units(model, np.ones((2, 1)))
    gradients = bias_gradients(model, [host.bias for _, host, _ in branches.values()])
    assert {units.layer for units in report} == set(branches)
    wrong = []
    for (name, (title, *_)), gradient in zip(branches.items(), gradients, strict=True):
        is_dead = gradient == 0
        for level, called, truly in zip(LEVELS, report[name].is_dead, is_dead, strict=True):
            if called != truly and level not in BY_ROUNDING.get(title.split(".")[-1], ()):
                wrong.append(f"{title} at {level:g}: {'dead' if called else 'not dead'}")
    assert not wrong, "\n".join(wrong)


def minus_mean(x):
    return x - keras.ops.mean(x, axis=-1, keepdims=True)


def test_a_function_of_several_units_whose_sum_is_constant():
    dense = L.Dense(7, minus_mean, name="dense")
    model = keras.Sequential([keras.Input((3,)), dense])
    assert dead_units(model, np.ones((5, 3)))["dense"].count("dead") == 0
