"""What Grappler makes of a rectifier and the layers before it, in a graph.

The kind of fault: TensorFlow 2.21 fuses a convolution, its bias, an Add and LeakyRelu to one
kernel, and there the slope is 0.2, whatever it was. Every residual block with a bias is like that.
LeakyReLU of Keras is computed wrongly there.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU

L = keras.layers
RECTIFIERS = {
    "LeakyReLU(0.1)": lambda: LeakyReLU(0.1),
    "LeakyReLU(-0.5)": lambda: LeakyReLU(-0.5),
    "LeakyReLU(1.5)": lambda: LeakyReLU(1.5),
    "LeakyReLU(0)": lambda: LeakyReLU(0),
    "PReLU": lambda: PReLU(0.1),
    "ELU(1)": lambda: ELU(),
    "ELU(0.5)": lambda: ELU(0.5),
    "CELU": lambda: CELU(0.5),
    "SELU": lambda: SELU(),
    "RReLU": lambda: RReLU(0.1, 0.1),
}
BEFORE = {
    "convolution": lambda x: L.Conv2D(2, 3, padding="same")(x),
    "residual": lambda x: L.Add()([x, L.Conv2D(2, 3, padding="same")(x)]),
    "two branches": lambda x: L.Add()([L.Conv2D(2, 1)(x), L.Conv2D(2, 3, padding="same")(x)]),
    "operator": lambda x: L.Conv2D(2, 1)(x) + x,
    "dropout between": lambda x: L.Dropout(0.5)(L.Add()([x, L.Conv2D(2, 1)(x)])),
    "dense": lambda x: L.Add()([x, L.Dense(2)(x)]),
}


OFTEN = ("LeakyReLU(0.1)", "RReLU")  # the two that TensorFlow fused wrongly


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in OFTEN else pytest.mark.soak) for name in RECTIFIERS],
)
def test_a_graph_computes_what_the_layers_do(name, before):
    inputs = keras.Input((6, 6, 2))
    middle = BEFORE[before](inputs)
    rectifier = RECTIFIERS[name]()
    model = keras.Model(inputs, [middle, rectifier(middle)])
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if variable.name != "alpha":
            variable.assign(rng.uniform(-0.6, 0.8, variable.shape))
    x = tf.constant(rng.normal(0, 2, (8, 6, 6, 2)), tf.float32)
    only = keras.Model(inputs, model.outputs[1])  # nothing but the rectifier uses what is added
    expected = rectifier(model(x)[0])

    def train(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = only(x, training=before != "dropout between")
        return y, tape.gradient(y, x)

    inner = tf.function(lambda x: rectifier(x))
    until = keras.Model(inputs, middle)
    found = {
        "predict": only.predict(x, verbose=0),
        "graph": tf.function(only)(x),
        "training graph": tf.function(train)(x)[0],
        "function in a function": tf.function(lambda x: inner(until(x)))(x),
    }
    for mode, y in found.items():
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5, err_msg=mode)
    np.testing.assert_allclose(
        tf.function(train)(x)[1], train(x)[1], rtol=1e-4, atol=1e-5, err_msg="gradient"
    )
