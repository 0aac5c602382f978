"""RectifierNormal and RectifierUniform: He's draws, the gain in them, and what it does to a net."""

import json
import math
import re

import keras
import numpy as np
import pytest

import keras_leaky
from keras_leaky.initializers import RectifierNormal, RectifierUniform, gain

PAIRS = [
    (RectifierNormal, keras.initializers.HeNormal),
    (RectifierUniform, keras.initializers.HeUniform),
]
FAMILIES = pytest.mark.parametrize("cls", [RectifierNormal, RectifierUniform])
ALPHAS = [
    ("relu", None),
    ("leaky_relu", 0.3),
    ("prelu", None),
    ("elu", 0.5),
    ("celu", 2.0),
    ("selu", None),
    ("rrelu", (0.1, 0.5)),
]


def draw(initializer, *shape):
    return keras.ops.convert_to_numpy(initializer(shape))


@pytest.mark.parametrize(("ours", "he"), PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu_draws_the_bits_of_he(ours, he, dtype):
    for shape in [(300, 200), (3, 3, 16, 32)]:
        draws = ours("relu", seed=7)(shape, dtype=dtype)
        np.testing.assert_array_equal(draws, he(seed=7)(shape, dtype=dtype))


@pytest.mark.parametrize(("ours", "he"), PAIRS)
@pytest.mark.parametrize(("activation", "alpha"), ALPHAS)
def test_others_are_that_draw_times_a_ratio_of_gains(ours, he, activation, alpha):
    ratio = gain(activation, alpha) / gain("relu")
    expected = draw(he(seed=7), 300, 200) * ratio
    draws = draw(ours(activation, alpha, seed=7), 300, 200)
    # The uniform draw is rounded as a fraction of the limit, about 0.14 here.
    np.testing.assert_allclose(draws, expected, rtol=1e-6, atol=5e-8)


@FAMILIES
def test_standard_deviation_after_truncation(cls):
    # 4e6 draws put the relative error of the standard deviation near 3e-4; a slope of 0.1 moves
    # it by 5e-3.
    for alpha in (0.0, 0.1):
        weights = draw(cls("leaky_relu", alpha, seed=1), 1000, 4000)
        expected = gain("leaky_relu", alpha) / math.sqrt(1000)
        assert np.std(weights, dtype="float64") == pytest.approx(expected, rel=1.2e-3)
        assert abs(np.mean(weights, dtype="float64")) < 3e-3 * expected


@FAMILIES
def test_fan_out_uses_the_backward_gain(cls):
    weights = draw(cls("elu", mode="fan_out", seed=1), 2000, 500)
    expected = gain("elu", direction="backward") / math.sqrt(500)
    # 1e6 draws: error 7e-4. The forward gain is 1.8e-2 away.
    assert np.std(weights, dtype="float64") == pytest.approx(expected, rel=3e-3)


@FAMILIES
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(("activation", "alpha"), ALPHAS)
def test_config_round_trip(cls, activation, alpha, mode):
    initializer = cls(activation, alpha, mode=mode, seed=3)
    config = json.loads(json.dumps(initializer.get_config()))
    assert config == initializer.get_config()
    assert set(config) == {"activation", "alpha", "mode", "seed"}
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert type(again) is cls
    assert again.get_config() == config
    np.testing.assert_array_equal(draw(again, 5, 4), draw(initializer, 5, 4))
    np.testing.assert_array_equal(draw(initializer.clone(), 5, 4), draw(initializer, 5, 4))


@FAMILIES
def test_numpy_alpha_becomes_a_python_float(cls):
    assert type(cls("leaky_relu", np.float32(0.5)).get_config()["alpha"]) is float
    assert cls().get_config()["alpha"] == 0.01


@FAMILIES
def test_seed_generator_draws_anew_and_survives_its_config(cls):
    initializer = cls(seed=keras.random.SeedGenerator(5))
    assert not np.array_equal(draw(initializer, 3, 3), draw(initializer, 3, 3))
    config = json.loads(json.dumps(initializer.get_config()))
    first = draw(cls(seed=keras.random.SeedGenerator(5)), 3, 3)
    np.testing.assert_array_equal(draw(cls.from_config(config), 3, 3), first)


@FAMILIES
def test_round_trip_through_a_saved_model(cls, tmp_path):
    dense = keras.layers.Dense(4, kernel_initializer=cls("rrelu", (0.1, 0.2), "fan_out", seed=2))
    model = keras.Sequential([keras.Input((3,)), dense])
    model.save(tmp_path / "m.keras")
    initializer = keras.models.load_model(tmp_path / "m.keras").layers[0].kernel_initializer
    assert type(initializer) is cls
    assert initializer.get_config() == dense.kernel_initializer.get_config()


@FAMILIES
def test_refusals(cls):
    message = '`mode` must be "fan_in" or "fan_out". Received: mode=\'fan_avg\''
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        cls(mode="fan_avg")
    with pytest.raises(ValueError, match="`alpha` of elu must be"):
        cls("elu", -1.0)
    with pytest.raises(ValueError, match="`activation` must be one of"):
        cls("gelu")


def second_moment_after(initializer, alpha, n_layers, n_nets=1, width=256):
    """Mean square of the pre-activations after `n_layers`, one input of ones, for each net."""
    x = np.ones((n_nets, 1, width), "float32")
    for layer in range(n_layers):
        h = x if layer == 0 else np.where(x > 0, x, np.float32(alpha) * x)
        # One draw of fan-in `width` for all nets.
        weights = draw(initializer, width, n_nets * width).reshape(width, n_nets, width)
        x = h @ weights.transpose(1, 0, 2)
    return np.mean(np.square(x, dtype="float64"), axis=(1, 2))


@pytest.mark.parametrize(("ours", "he"), PAIRS)
@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.1, 0.3, 0.5])
def test_plain_he_outgrows_ours_by_one_plus_alpha_squared_a_layer(ours, he, alpha):
    n_layers = 50
    plain, scaled = (
        second_moment_after(make(seed=keras.random.SeedGenerator(11)), alpha, n_layers)
        for make in (he, lambda seed: ours("leaky_relu", alpha, seed=seed))
    )
    np.testing.assert_allclose(plain / scaled, (1 + alpha**2) ** n_layers, rtol=1e-3)


@pytest.mark.soak
def test_second_moment_stays_within_a_fifth_of_the_input():
    # One net of width 256 and 50 layers strays by a factor of about e: hence the mean of 600.
    # Uniform, as TensorFlow draws it 15 times as fast as truncated normal.
    alpha = 0.3
    initializer = RectifierUniform("leaky_relu", alpha, seed=keras.random.SeedGenerator(1))
    # The first layer has no activation before it: the input of ones gets gain^2 times 1.
    moments = np.concatenate(
        [second_moment_after(initializer, alpha, n_layers=50, n_nets=100) for _ in range(6)]
    )
    assert np.mean(moments) / gain("leaky_relu", alpha) ** 2 == pytest.approx(1, abs=0.2)


def test_registered_under_the_name_of_the_pack():
    for cls in (RectifierNormal, RectifierUniform):
        assert keras.saving.get_registered_name(cls) == f"keras_leaky>{cls.__name__}"
    assert set(keras_leaky.initializers.__all__) == {
        "RandomizedAsymmetric",
        "RectifierNormal",
        "RectifierUniform",
        "gain",
        "lsuv",
        "randomized_asymmetric",
    }
