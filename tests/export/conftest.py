"""One small model for every rectifier, as it is when somebody saves it: built, trained, called."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_leaky import layers, ops
from keras_leaky.rectifiers import TABLE

SPREAD = keras.initializers.RandomUniform(-0.5, 1.5, seed=3)

# A layer is made anew at each of its places in a model; a registered function is its own factory.
CASES = {
    "LeakyReLU-0.2": lambda: layers.LeakyReLU(0.2),
    "LeakyReLU-negative": lambda: layers.LeakyReLU(-0.5),
    "PReLU": lambda: layers.PReLU(SPREAD),
    "PReLU-all": lambda: layers.PReLU(SPREAD, shared_axes="all"),
    "ELU-1": lambda: layers.ELU(),
    "ELU-0.5": lambda: layers.ELU(0.5),
    "CELU-0.5": lambda: layers.CELU(0.5),
    "SELU": lambda: layers.SELU(),
    "RReLU": lambda: layers.RReLU(0.1, 0.3, seed=3),
    "ops.leaky_relu": lambda: ops.leaky_relu,
    "ops.elu": lambda: ops.elu,
    "ops.celu": lambda: ops.celu,
    "ops.selu": lambda: ops.selu,
}
# Every other rectifier of the table, as it is by default.
_COVERED = {type(make()) for make in CASES.values()}
CASES.update(
    {
        entry.layer.__name__: entry.make
        for entry in TABLE.values()
        if not entry.is_of_keras and entry.layer not in _COVERED
    }
)
SHAPE = (6, 6, 2)


def make_input():
    return np.random.default_rng(0).normal(0, 2, size=(4, *SHAPE)).astype("float32")


def apply(make, x):
    """The rectifier as a layer of its own, and as the activation of a convolution and a Dense."""
    rectifier = make()
    as_layer = isinstance(rectifier, keras.layers.Layer)
    x = keras.layers.Conv2D(3, 3)(x)
    x = (rectifier if as_layer else keras.layers.Activation(rectifier))(x)
    x = keras.layers.Conv2D(3, 3, activation=make())(x)
    return keras.layers.Dense(3, activation=make())(keras.layers.Flatten()(x))


def disturb(model):
    """Gives every weight a value that no initializer would give it again, the same in each run."""
    model(make_input())  # builds a PReLU that is the activation of another layer
    rng = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(rng.uniform(-0.6, 0.8, variable.shape))
    return model


def make_model(name):
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, apply(CASES[name], inputs))


def make_called_model(name):
    return disturb(make_model(name))


def same(result, expected, dtype="float32"):
    """Asserts equality but for another order of the sums and another exp: 32 units of the dtype."""
    eps = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}[
        dtype
    ]
    result, expected = np.asarray(result, "float64"), np.asarray(expected, "float64")
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(result, expected, rtol=0, atol=32 * eps * np.abs(expected).max())


@pytest.fixture(scope="session")
def recipes():
    """The functions of this file, for tests that make their own models."""
    return SimpleNamespace(
        cases=CASES,
        apply=apply,
        disturb=disturb,
        make_input=make_input,
        make_model=make_model,
        make_called_model=make_called_model,
    )


@pytest.fixture(scope="session", name="assert_same")
def _assert_same():
    return same


@pytest.fixture(scope="session", params=CASES)
def trained(request):
    """(name, model, input, output): trained with compiled functions, then called eagerly."""
    model, x = make_called_model(request.param), make_input()
    before = np.asarray(model(x))
    model.compile("sgd", keras.losses.MeanSquaredError())  # Keras's .h5 fails over "mse"
    model.fit(x, np.ones((4, 3)), batch_size=2, verbose=0)
    y = np.asarray(model(x))
    assert np.abs(y - before).max() > 1e-3
    return SimpleNamespace(name=request.param, model=model, x=x, y=y)
