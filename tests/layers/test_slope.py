"""Slopes in variables: assigned without a new trace, in no file, the same numbers as constants."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from keras_leaky.layers.slope import variable_slopes

X = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
EVERY = pytest.mark.parametrize(
    ("cls", "before", "after"),
    [
        (LeakyReLU, [0.1], [0.4]),
        (ELU, [1.0], [0.3]),
        (CELU, [1.0], [0.3]),
        (RReLU, [0, 0.1], [0.2, 0.4]),
    ],
)


def make(cls, values):
    with variable_slopes():
        return cls(*values, name="rectifier")


def value_and_slope(layer, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    return y, tape.gradient(y, x)


@EVERY
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_assigning_changes_the_function_without_a_trace(cls, before, after, policy):
    keras.config.set_dtype_policy(policy)
    try:
        layer, constant = make(cls, before), cls(*after)
        if cls is RReLU:  # the same draws
            layer.seed_generator.state.assign(constant.seed_generator.state)
    finally:
        keras.config.set_dtype_policy("float32")
    n_traces = 0

    @tf.function
    def run(x):
        nonlocal n_traces
        n_traces += 1
        return value_and_slope(layer, x)

    run(tf.constant(X))
    if cls is RReLU:
        layer.seed_generator.state.assign(constant.seed_generator.state)
    for variable, value in zip(layer.weights, after, strict=True):
        assert not variable.trainable
        variable.assign(value)
    tolerance = 2.0**-6 if policy == "mixed_bfloat16" else 1e-6
    for result, want in zip(
        run(tf.constant(X)), value_and_slope(constant, tf.constant(X)), strict=True
    ):
        np.testing.assert_allclose(
            tf.cast(result, "float32"), tf.cast(want, "float32"), rtol=tolerance, atol=2.0**-22
        )
    assert n_traces == 1


@EVERY
def test_files_are_those_of_the_plain_layer(cls, before, after, tmp_path):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), make(cls, after)])
    plain = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4), cls(*after, name="rectifier")]
    )
    model.save_weights(tmp_path / "variable.weights.h5")
    plain.load_weights(tmp_path / "variable.weights.h5")
    np.testing.assert_allclose(plain(X), model(X), rtol=1e-6)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model.load_weights(tmp_path / "plain.weights.h5")
    assert model.layers[1].get_config() == plain.layers[1].get_config()
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert not loaded.layers[1].weights
    np.testing.assert_allclose(loaded(X), model(X), rtol=1e-6)


def test_the_scope_ends_and_the_others_ignore_it():
    layers = [make(SELU, []), make(PReLU, [])]
    assert not any(layer.weights for layer in layers)
    assert not LeakyReLU().weights
    with pytest.raises(RuntimeError, match="inside"), variable_slopes():
        raise RuntimeError("inside")
    assert not LeakyReLU().weights
