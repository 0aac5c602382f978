"""LeakyReLU: its argument, the files of other Keras versions, what Keras's own does differently."""

import json
import re

import keras
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU

REFUSED = [np.nan, np.inf, -np.inf, True, np.True_, "0.1", None, 1j, [0.1], np.ones(2)]


def test_default_is_that_of_maas():
    assert LeakyReLU().negative_slope == 0.01


@pytest.mark.parametrize("slope", REFUSED, ids=repr)
def test_slope_that_is_no_finite_real_number_is_refused(slope):
    message = (
        "`negative_slope` of layer 'leaky' must be a finite real number. Received: negative_slope="
    )
    with pytest.raises(ValueError, match="^" + re.escape(message + repr(slope)) + "$"):
        LeakyReLU(slope, name="leaky")


@pytest.mark.parametrize(
    "slope", [-1, 0, 2, np.float32(0.5), np.int64(1), np.array(0.25)], ids=repr
)
def test_any_finite_slope_becomes_a_python_float(slope):
    config = LeakyReLU(slope).get_config()
    assert type(config["negative_slope"]) is float
    assert json.loads(json.dumps(config))["negative_slope"] == float(slope)


@pytest.mark.parametrize(
    "alpha", [0.2, {"type": "ndarray", "value": 0.2}], ids=["float", "ndarray"]
)
def test_keras_2_config(alpha):
    config = {"name": "leaky", "trainable": True, "dtype": "float32", "alpha": alpha}
    layer = LeakyReLU.from_config(config)
    assert layer.negative_slope == 0.2
    assert "alpha" not in layer.get_config()


def test_keras_2_config_with_a_bad_alpha_is_refused():
    with pytest.raises(
        ValueError, match=r"`negative_slope` of layer .* Received: negative_slope=nan$"
    ):
        LeakyReLU(alpha=np.nan)


def test_minus_one_is_the_absolute_value():
    x = np.array([-2.0, 0.0, 3.0], "float32")
    np.testing.assert_array_equal(LeakyReLU(-1)(x), np.abs(x))


def test_what_the_docstring_says_of_the_layer_of_keras():
    assert keras.layers.LeakyReLU().negative_slope == 0.3
    with pytest.raises(ValueError, match="negative"):
        keras.layers.LeakyReLU(-0.1)
    keras.layers.LeakyReLU(np.nan)
    keras.layers.LeakyReLU(True)


def test_as_the_activation_of_another_layer(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=LeakyReLU(0.2))])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert again.layers[0].activation.negative_slope == 0.2
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_array_equal(again(x), model(x))
