"""RReLU: its arguments and its random slopes."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.layers import RReLU

NEGATIVE = -np.ones((200, 500), "float32")


def slopes_of(layer, x=NEGATIVE):
    return -np.asarray(layer(x, training=True))


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(0.3, 0.2), (-0.1, 0.2), (0.1, np.inf), (np.nan, 0.2), (0.1, np.nan), (True, 2), ("0", 1)],
)
def test_bounds_out_of_order_or_range_are_refused(lower, upper):
    message = (
        "`lower` and `upper` of layer 'r' must be finite real numbers with 0 <= lower <= upper. "
        f"Received: lower={lower!r}, upper={upper!r}"
    )
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        RReLU(lower, upper, name="r")


@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", np.nan], ids=repr)
def test_seed_that_is_no_int_is_refused(seed):
    message = f"`seed` of layer 'r' must be an int of at least 0 or None. Received: seed={seed!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        RReLU(seed=seed, name="r")


@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_bfloat16", "mixed_float16"])
def test_slopes_in_training_are_uniform(policy):
    slopes = slopes_of(RReLU(0.2, 0.6, seed=1, dtype=policy)).astype("float64")
    rounding = 0.002 if "bfloat" in policy else 1e-3
    assert slopes.min() >= 0.2 - rounding
    assert slopes.max() <= 0.6 + rounding
    # n = 1e5: standard errors 0.00037 of the mean, 0.00016 of the standard deviation.
    assert abs(slopes.mean() - 0.4) < 0.0015
    assert abs(slopes.std() - 0.4 / np.sqrt(12)) < 0.001


def test_positive_inputs_pass_and_zero_stays():
    x = np.array([0.0, 2.0, np.inf], "float32")
    np.testing.assert_array_equal(RReLU()(x, training=True), x)


def test_every_call_and_every_element_draws_anew_and_a_seed_repeats():
    layer, again = RReLU(seed=5), RReLU(seed=5)
    first, second = slopes_of(layer), slopes_of(layer)
    assert len(np.unique(first)) > 0.9 * first.size
    assert (first != second).mean() > 0.99
    np.testing.assert_array_equal(first, slopes_of(again))
    assert (first != slopes_of(RReLU(seed=6))).mean() > 0.99


@pytest.mark.parametrize("training", [False, None])
def test_mean_slope_otherwise(training):
    layer = RReLU(0.2, 0.6)
    np.testing.assert_allclose(layer(NEGATIVE, training=training), 0.4 * NEGATIVE, rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_derivative_uses_the_slope_that_was_drawn(jit_compile):
    layer = RReLU(0.2, 0.6, seed=1)
    layer.build((4, 50))

    @tf.function(jit_compile=jit_compile)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return y, tape.gradient(y, x)

    x = tf.random.stateless_normal((4, 50), [1, 2])
    y, dx = run(x)
    np.testing.assert_allclose(dx, np.asarray(y) / np.asarray(x), rtol=1e-5)
    y_2, _ = run(x)
    assert np.any(np.asarray(y) != np.asarray(y_2))


def test_a_loaded_model_draws_from_the_seed_again(tmp_path):
    model = keras.Sequential([keras.Input((500,)), RReLU(seed=7)])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    expected = model(NEGATIVE, training=True)
    np.testing.assert_array_equal(again(NEGATIVE, training=True), expected)


def test_a_clone_of_a_seed_starts_from_it():
    layer = RReLU(seed=7)
    first = slopes_of(layer)
    np.testing.assert_array_equal(slopes_of(RReLU.from_config(layer.get_config())), first)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_float64_draws_slopes_of_its_own_precision(dtype):
    slopes = slopes_of(RReLU(0.2, 0.6, seed=1, dtype=dtype)).astype("float64")
    is_float32 = slopes == slopes.astype("float32")
    assert is_float32.mean() < 0.01 if dtype == "float64" else is_float32.all()
    # The bounds are not rounded to float32 either.
    layer = RReLU(0.1, 0.1, dtype="float64")
    np.testing.assert_array_equal(slopes_of(layer), 0.1)
