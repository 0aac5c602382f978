"""What a layer was made with, it keeps: what it says, computes and saves are one.

The kind of fault: an attribute that is assigned later changes the config and the files, and not
what is computed.
"""

import copy
import json
import pickle
import re
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.layers import CELU, ELU, LeakyReLU, PReLU, RReLU
from keras_leaky.layers.slope import variable_slopes
from keras_leaky.rectifiers import TABLE

X = np.array([[-2.0, -0.5, 0.0, 3.0]], "float32")
ENTRIES = {entry.layer.__name__: entry for entry in TABLE.values() if not entry.is_of_keras}


def make(entry):
    """A layer with no default among its arguments."""
    alpha = {0: None, 1: 0.3, 2: (0.1, 0.3)}[len(entry.parameters)]
    return entry.make(alpha, **{"seed": 3} if entry.is_random else {})


MAKERS = {name: partial(make, entry) for name, entry in ENTRIES.items()}
every_layer = pytest.mark.parametrize("name", MAKERS)


def arguments_of(layer):
    """Every key of its config that is not one of every layer."""
    return set(layer.get_config()) - set(keras.layers.Layer().get_config())


@every_layer
@pytest.mark.parametrize("is_built", [False, True], ids=["new", "built"])
@pytest.mark.parametrize("in_variables", [False, True], ids=["constant", "variable"])
def test_no_argument_can_be_assigned(name, is_built, in_variables):
    if in_variables:
        with variable_slopes():
            layer = MAKERS[name]()
    else:
        layer = MAKERS[name]()
    if is_built:
        layer(X)
    before = layer.get_config()
    for argument in arguments_of(layer):
        message = f"`{argument}` of layer '{layer.name}' is fixed when the layer is made"
        for value in (0.5, getattr(layer, argument)):
            with pytest.raises(AttributeError, match=re.escape(message) + ".* Received: .*Make a"):
                setattr(layer, argument, value)
    assert layer.get_config() == before


def test_the_weight_of_prelu_is_assigned_and_not_replaced():
    layer = PReLU(0.3)
    layer(X)
    with pytest.raises(AttributeError, match=r"Received: alpha=0.5. Assign to the weight: "):
        layer.alpha = 0.5
    layer.alpha.assign(np.full(4, 0.5))
    np.testing.assert_array_equal(layer(X), [[-1, -0.25, 0, 3]])


def test_other_attributes_are_free():
    layer = LeakyReLU(0.3)
    layer.note = 1
    layer.note = 2
    layer.trainable = False
    layer.alpha = 5  # none of its own
    assert (layer.note, layer.alpha, layer.trainable) == (2, 5, False)


def test_subclasses():
    class Early(LeakyReLU):
        def __init__(self):
            self.negative_slope = 0.5
            super().__init__(0.1)

    class Late(LeakyReLU):
        def __init__(self):
            super().__init__(0.1)
            self.negative_slope = 0.5

    class WithWeight(ELU):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    early = Early()
    assert early.negative_slope == early.get_config()["negative_slope"] == 0.1
    np.testing.assert_allclose(early(X), np.where(X > 0, X, 0.1 * X), rtol=1e-6)
    with pytest.raises(AttributeError, match="is fixed when the layer is made"):
        Late()
    layer = WithWeight()
    assert not layer.built
    layer(X)
    assert [weight.name for weight in layer.weights] == ["scale"]


@every_layer
@pytest.mark.parametrize("is_built", [False, True], ids=["new", "built"])
@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
        lambda layer: type(layer).from_config(json.loads(json.dumps(layer.get_config()))),
    ],
    ids=["copy", "deepcopy", "pickle", "from_config"],
)
def test_copies_are_the_same_layer(name, is_built, again):
    layer = MAKERS[name]()
    if is_built:
        layer(X)
    other = again(layer)
    assert other.get_config() == layer.get_config()
    np.testing.assert_array_equal(other(X), layer(X))


@every_layer
def test_a_layer_without_weights_counts_none_before_it_is_built(name):
    layer = MAKERS[name]()
    if name == "PReLU":
        with pytest.raises(ValueError, match="isn't built"):
            layer.count_params()
    else:
        assert layer.count_params() == 0
        with variable_slopes():
            assert MAKERS[name]().count_params() == len(ENTRIES[name].parameters)


# (layer, argument, dtype, a number within, one beyond)
EXTREMES = [
    (LeakyReLU, "negative_slope", "float16", 65504.0, 1e5),
    (LeakyReLU, "negative_slope", "mixed_float16", -65504.0, -1e5),
    (LeakyReLU, "negative_slope", "bfloat16", 1e38, 3.4e38),
    (LeakyReLU, "negative_slope", "float32", -3e38, -1e300),
    (PReLU, "alpha_initializer", "float32", 1e38, 1e300),
    (ELU, "alpha", "float32", 1e38, 1e300),
    (CELU, "alpha", "float32", 1e30, 1e300),
    (CELU, "alpha", "float32", 2e-38, 1e-38),
    (CELU, "alpha", "mixed_bfloat16", 2e-38, 1e-300),
    (RReLU, "upper", "float32", 1e38, 1e300),
]


@pytest.mark.parametrize(("cls", "argument", "dtype", "within", "beyond"), EXTREMES)
def test_numbers_that_the_compute_dtype_cannot_hold_are_refused(
    cls, argument, dtype, within, beyond
):
    """They gave NaN at 0: infinity times 0, or 0 divided by 0."""
    with pytest.raises(ValueError, match=f"`{argument}` of layer 'r' must .*Received: {argument}="):
        cls(**{argument: beyond}, name="r", dtype=dtype)
    layer = cls(**{argument: within}, dtype=dtype)
    for size in (3, 2**16 + 1):
        x = tf.cast(tf.zeros((size, 1)), layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        assert not np.any(tf.cast(y, "float32"))
        assert np.all(np.isfinite(tf.cast(tape.gradient(y, x), "float32")))
    assert cls(**{argument: 1e39 if beyond > 0 else -1e39}, dtype="float64")
