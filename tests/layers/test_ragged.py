"""RaggedTensors in every layer, wherever Keras's layers take them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky import ops
from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from keras_leaky.layers.slope import variable_slopes


def in_a_variable(cls, *arguments):
    with variable_slopes():
        return cls(*arguments)


SPREAD = keras.initializers.RandomUniform(-0.5, 1.5, seed=3)
LAYERS = {
    "LeakyReLU": lambda: LeakyReLU(0.2),
    "LeakyReLU, variable": lambda: in_a_variable(LeakyReLU, 0.2),
    "PReLU": lambda: PReLU(SPREAD),
    "PReLU, all": lambda: PReLU(SPREAD, shared_axes="all"),
    "ELU(1)": lambda: ELU(),
    "ELU(0.5)": lambda: ELU(0.5),
    "CELU": lambda: CELU(0.5),
    "SELU": SELU,
    "RReLU": lambda: RReLU(0.2, 0.2),
}
VALUES = np.arange(-4, 4).reshape(4, 2)


def make_ragged(dtype="float32"):
    return tf.RaggedTensor.from_row_splits(tf.constant(VALUES, dtype), [0, 1, 1, 4])


def by_model(layer):
    inputs = keras.Input((None, 2), ragged=True)
    return keras.Model(inputs, layer(inputs))


WAYS = {
    "eager": lambda layer: layer,
    "training": lambda layer: lambda x: layer(x, training=True),
    "graph": lambda layer: tf.function(layer),
    "training graph": lambda layer: tf.function(lambda x: layer(x, training=True)),
    "functional": by_model,
    "predict": lambda layer: lambda x: by_model(layer).predict(x, verbose=0),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("way", WAYS)
def test_rows_come_out_as_they_would_alone(name, way):
    layer = LAYERS[name]()
    x = make_ragged()
    layer.build(x.shape)
    y = WAYS[way](layer)(x)
    assert isinstance(y, tf.RaggedTensor)
    np.testing.assert_array_equal(y.row_splits, x.row_splits)
    expected = layer(tf.constant(VALUES[None], "float32"))[0]
    np.testing.assert_allclose(y.flat_values, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_and_integers(name):
    layer = LAYERS[name]()
    x = make_ragged()
    layer(x)
    dense = tf.constant(VALUES[None], "float32")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x.flat_values, dense])
        y, y_dense = layer(x, training=True).flat_values, layer(dense, training=True)
    np.testing.assert_allclose(
        tape.gradient(y, x.flat_values), tape.gradient(y_dense, dense)[0], rtol=1e-6, atol=1e-7
    )
    of_integers = layer(make_ragged("int32"))
    np.testing.assert_array_equal(of_integers.flat_values, layer(x).flat_values)


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "celu", "selu"])
def test_functions(name):
    function = getattr(ops, name)
    y = keras.layers.Activation(function)(make_ragged())
    np.testing.assert_array_equal(y.flat_values, function(tf.constant(VALUES, "float32")))


def test_prelu_refuses_an_alpha_along_a_ragged_axis():
    layer = PReLU(shared_axes=None)
    x = make_ragged()
    layer.build((3, 3, 2))
    with pytest.raises(ValueError, match=r"`alpha` must be shared along the ragged axes.*\(3, 2\)"):
        layer(x)
    with pytest.raises(ValueError, match="needs the size of axis 1"):
        PReLU(shared_axes=None)(x)


@pytest.mark.parametrize("name", LAYERS)
def test_sparse_tensors_are_refused(name):
    layer = LAYERS[name]()
    layer.build((2, 2))
    with pytest.raises(ValueError, match=r"must be a dense or a ragged tensor.*tf.sparse.to_dense"):
        layer(tf.sparse.from_dense([[1.0, 0.0], [0.0, -1.0]]))
