"""Layers with any arguments: what is refused, and what a config brings back."""

import json
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU

finite = st.floats(-1e30, 1e30)
not_negative = st.floats(0, 1e6)
positive = st.floats(1e-6, 1e6)
ranges = st.tuples(not_negative, not_negative).map(sorted)
layers = st.one_of(
    st.builds(LeakyReLU, finite),
    st.builds(ELU, not_negative),
    st.builds(CELU, positive),
    st.builds(SELU),
    st.builds(lambda ends, seed: RReLU(*ends, seed=seed), ranges, st.integers(0, 2**31 - 1)),
)
shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
anything = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(width=32),
    st.integers(-(2**70), 2**70),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.lists(st.floats(), max_size=3),
    st.lists(st.integers(-5, 5), max_size=4),
    st.dictionaries(st.text(max_size=8), st.floats(), max_size=2),
    st.sampled_from(["spatial", "all", np.array(0.5), np.array([1, 2]), np.float32(0.1), object()]),
    st.just({"class_name": "__numpy__", "config": {"value": [math.nan], "dtype": "float32"}}),
)


def values(shape):
    """Numbers on both sides of 0, of any shape."""
    return np.linspace(-3, 3, math.prod(shape), dtype="float32").reshape(shape)


def again(layer):
    """The layer that the JSON of its config describes."""
    config = json.loads(json.dumps(layer.get_config()))
    restored = type(layer).from_config(config)
    assert restored.get_config() == layer.get_config()
    return restored


@given(layers, shapes)
def test_config_brings_back_the_same_outputs(layer, shape):
    x = values(shape)
    np.testing.assert_array_equal(again(layer)(x), layer(x))
    assert layer.compute_output_shape(shape) == shape


@given(layers, shapes, st.booleans())
@settings(max_examples=30)
def test_shapes_may_be_unknown(layer, shape, known_channels):
    symbolic = (*[None] * (len(shape) - 1), shape[-1] if known_channels else None)
    assert layer(keras.KerasTensor(symbolic)).shape == symbolic


@st.composite
def prelu_cases(draw):
    shape = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    n = len(shape)
    axes = st.lists(st.integers(1, n - 1), unique=True, max_size=n - 1)
    from_either_end = axes.flatmap(
        lambda found: st.tuples(*[st.sampled_from([a, a - n]) for a in found])
    )
    shared = draw(
        st.one_of(st.sampled_from(["spatial", "all", None]), st.integers(1, n - 1), from_either_end)
    )
    return (draw(st.integers(0, 4)), *shape[1:]), shared, draw(finite)


@given(prelu_cases())
@settings(max_examples=50)
def test_prelu_with_any_axes(case):
    shape, shared_axes, alpha = case
    layer = PReLU(alpha, shared_axes=shared_axes)
    x = values(shape)
    y = layer(x)
    assert y.shape == shape
    expected = np.where(x > 0, x, np.float32(alpha) * x)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-37)
    restored = again(layer)
    np.testing.assert_array_equal(restored(x), y)
    assert restored.alpha.shape == layer.alpha.shape
    assert len(layer.alpha.shape) == len(shape) - 1


ARGUMENTS = [
    (LeakyReLU, "negative_slope"),
    (LeakyReLU, "alpha"),
    (PReLU, "alpha_initializer"),
    (PReLU, "shared_axes"),
    (ELU, "alpha"),
    (CELU, "alpha"),
    (RReLU, "lower"),
    (RReLU, "upper"),
    (RReLU, "seed"),
]


@pytest.mark.parametrize(("cls", "argument"), ARGUMENTS)
@given(value=anything)
def test_any_value_is_taken_or_refused_by_name(cls, argument, value):
    try:
        layer = cls(**{argument: value})
        layer(np.ones((1, 2, 2), "float32"))
    except (ValueError, TypeError) as error:
        message = str(error)
    else:
        again(layer)
        return
    # What may be an initializer goes to Keras, which has its own words.
    of_keras = argument == "alpha_initializer" and isinstance(value, str | dict)
    name = "negative_slope" if cls is LeakyReLU else argument
    assert of_keras or (f"`{name}`" in message and "Received: " in message)
