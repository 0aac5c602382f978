"""The derivative of ELU, CELU and SELU, however it comes about.

The kind of fault: a derivative that is taken from the output, which has rounded to the saturation
value. In half precision it was 0 where the exact one is a normal number, and dead units stayed so.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.layers import CELU, ELU, SELU
from keras_leaky.layers.slope import variable_slopes

# Layer, and the scale, amplitude and width of its formula.
LAYERS = {
    "ELU(1)": (ELU, [1.0], (1.0, 1.0, 1.0)),
    "ELU(0.3)": (ELU, [0.3], (1.0, 0.3, 1.0)),
    "CELU(1)": (CELU, [1.0], (1.0, 1.0, 1.0)),
    "CELU(0.3)": (CELU, [0.3], (1.0, 0.3, 0.3)),
    "SELU": (SELU, [], (1.0507009873554805, 1.7580993408473766, 1.0)),
}
# How the layer is called, with which `training`, on how many elements. TensorFlow's small tensors
# end at 65,536.
FORMS = {
    "eager, small": (lambda f: f, None, 2**16 - 1),
    "eager": (lambda f: f, False, 2**16),
    "eager, large": (lambda f: f, True, 2**16 + 1),
    "graph": (tf.function, None, 4001),
    "inference graph": (tf.function, False, 4001),
    "training graph": (tf.function, True, 4001),
    "XLA": (lambda f: tf.function(f, jit_compile=True), None, 4001),
    "training XLA": (lambda f: tf.function(f, jit_compile=True), True, 4001),
}
SMALLEST_NORMAL = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126}
every_form = pytest.mark.parametrize("form", FORMS)
every_layer = pytest.mark.parametrize("name", LAYERS)


def derivatives(name, dtype, form, is_variable=False):
    """The derivative and the exact one, where that is a normal number."""
    cls, arguments, (scale, amplitude, width) = LAYERS[name]
    make, training, size = FORMS[form]
    if is_variable:
        with variable_slopes():
            layer = cls(*arguments, dtype=dtype)
    else:
        layer = cls(*arguments, dtype=dtype)
    lowest = width * np.log(1.01 * SMALLEST_NORMAL[dtype] * width / amplitude)
    x = np.append(np.linspace(lowest, 0, size - 3), [-0.0, 1e-3, 20.0])
    x = tf.cast(x, dtype)

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
        return tape.gradient(y, x)

    found = tf.cast(make(slope)(x), "float64").numpy()
    x = tf.cast(x, "float64").numpy()
    exact = np.where(x > 0, scale, amplitude / width * np.exp(np.minimum(x, 0) / width))
    is_normal = exact >= SMALLEST_NORMAL[dtype]
    return found[is_normal], exact[is_normal]


@every_layer
@every_form
@pytest.mark.parametrize(
    ("dtype", "is_variable"),
    [
        pytest.param("bfloat16", False, id="bfloat16-constant"),
        pytest.param("float16", True, id="float16-variable"),
        pytest.param("float16", False, id="float16-constant", marks=pytest.mark.soak),
        pytest.param("bfloat16", True, id="bfloat16-variable", marks=pytest.mark.soak),
    ],
)
def test_half_precision_has_the_exact_derivative(name, form, dtype, is_variable):
    found, exact = derivatives(name, dtype, form, is_variable)
    np.testing.assert_allclose(found, exact, rtol=0.02 if dtype == "float16" else 0.006)


@every_form
@pytest.mark.parametrize("name", ["CELU(1)", "CELU(0.3)"])
def test_celu_in_float32_is_as_exact_as_that_of_keras(name, form):
    found, exact = derivatives(name, "float32", form)
    # x / width has an error of 1 eps, and stands in an exponent. Small eager tensors go through
    # width * derivative, which underflows first, as in Keras.
    np.testing.assert_allclose(found, exact, rtol=2e-5, atol=2 * SMALLEST_NORMAL["float32"] / 0.3)


@every_form
@pytest.mark.parametrize("name", ["ELU(1)", "ELU(0.3)", "SELU"])
def test_the_others_in_float32_have_an_absolute_error(name, form):
    found, exact = derivatives(name, "float32", form)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=2 * 2.0**-23 * exact.max())


@pytest.mark.parametrize("cls", [ELU, CELU, SELU])
def test_units_with_a_bias_of_minus_seven_recover(cls):
    """In bfloat16 their derivative is 0.0009, and was 0."""
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    dense = keras.layers.Dense(
        8,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.1, seed=0),
        bias_initializer=keras.initializers.Constant(-7.0),
        dtype="mixed_bfloat16",
    )
    model = keras.Sequential([keras.Input((8,)), dense, cls(dtype="mixed_bfloat16")])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(x, np.ones((256, 8), "float32"), epochs=25, batch_size=64, verbose=0)
    assert np.asarray(dense.bias).min() > -2
