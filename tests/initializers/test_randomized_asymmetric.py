"""RandomizedAsymmetric: its distribution, that kernel and bias agree, and its second moments."""

import json
import math
import re

import keras
import numpy as np
import pytest

from keras_leaky.initializers import RandomizedAsymmetric, randomized_asymmetric

SIGMA = 0.6007  # as Lu et al. print it


def draw(initializer, *shape, dtype=None):
    return keras.ops.convert_to_numpy(initializer(shape, dtype=dtype))


def draw_units(fan_in, n_units, seed=1):
    """(fan_in + 1, n_units): the weights of every unit and, last, its bias."""
    pair = randomized_asymmetric(fan_in, seed)
    kernel = draw(pair["kernel_initializer"], fan_in, n_units)
    return np.vstack([kernel, draw(pair["bias_initializer"], n_units)]).astype("float64")


def asymmetric(entries, fan_in):
    """Those beyond 6.5 standard deviations of the others, 4 of 1e11 of which are."""
    return entries > threshold(fan_in)


def threshold(fan_in):
    return 6.5 * SIGMA / math.sqrt(fan_in)


def test_one_entry_of_each_unit_is_beta_and_all_others_are_normal():
    fan_in, n_units = 10_000, 1000
    kernel = draw(RandomizedAsymmetric(seed=4), fan_in, n_units)
    is_asymmetric = asymmetric(kernel, fan_in)
    places, units = np.nonzero(is_asymmetric)
    # Beta(2, 1) is below the threshold of 0.039 in 1.5 of 1,000 units.
    assert n_units - 6 <= len(units) == len(set(units))
    assert np.histogram(places, bins=4, range=(0, fan_in))[0] == pytest.approx(250, abs=60)
    values = np.sort(kernel[is_asymmetric].astype("float64"))
    # Kolmogorov-Smirnov against the distribution function p^2: 1.95 / sqrt(n) is its 0.1 % point.
    # A uniform entry would be 1/4 away.
    steps = np.arange(1, len(values) + 1) / len(values)
    assert abs(values**2 - steps).max() < 1.95 / math.sqrt(n_units)
    assert values.max() <= 1
    others = kernel[~is_asymmetric].astype("float64") * math.sqrt(fan_in) / SIGMA
    assert abs(others.mean()) < 1.5e-3  # 1e7 draws: error 3e-4
    assert (others**2).mean() == pytest.approx(1, abs=2.5e-3)
    assert (others**4).mean() == pytest.approx(3, abs=2e-2)  # truncated at two it would be 2.1


@pytest.mark.parametrize("fan_in", [1, 2, 5])
def test_every_entry_of_the_pair_has_the_same_moments(fan_in):
    n_units, n = 400_000, fan_in + 1
    entries = draw_units(fan_in, n_units)
    second = (SIGMA**2 + 0.5) / n
    assert entries.mean(axis=1) == pytest.approx(2 / (3 * n), abs=4e-3)
    assert (entries**2).mean(axis=1) == pytest.approx(second, rel=1e-2)
    # At most one entry of a unit is asymmetric and the others are symmetric and independent, so
    # no product of two has a mean. Were the places of kernel and bias drawn apart, weight and bias
    # would both be asymmetric in a share 1 / n^2 of the units: a mean of (2 / 3 n)^2, 0.012 at 5.
    products = entries @ entries.T / n_units
    assert products - np.diag(np.diag(products)) == pytest.approx(0, abs=3e-3)


def test_the_bias_is_asymmetric_in_its_share_of_units():
    # sigma / sqrt(fan_in) = 0.006 tells the two kinds apart; 1 in 10,001 biases is asymmetric.
    fan_in, n_units = 10_000, 2_000_000
    n_asymmetric = asymmetric(draw(RandomizedAsymmetric(fan_in, 1), n_units), fan_in).sum()
    assert n_asymmetric == pytest.approx(200, abs=5 * math.sqrt(200))


def test_kernel_and_bias_agree():
    fan_in, n_units = 400, 20_000
    found = asymmetric(draw_units(fan_in, n_units), fan_in)
    missed = threshold(fan_in) ** 2  # 4 % of Beta(2, 1)
    assert found[-1].sum() == pytest.approx(n_units * (1 - missed) / 401, abs=30)
    assert found.sum(axis=0).max() == 1
    assert found.sum() == pytest.approx(n_units * (1 - missed), abs=140)


@pytest.mark.parametrize("shape", [(3, 3, 8, 5000), (9, 8, 5000), (1, 72, 1, 5000), (72, 5000)])
def test_units_lie_on_the_last_axis_and_all_other_axes_are_fan_in(shape):
    kernel = draw(RandomizedAsymmetric(seed=2), *shape)
    assert kernel.shape == shape
    np.testing.assert_array_equal(
        kernel.reshape(72, 5000), draw(RandomizedAsymmetric(seed=2), 72, 5000)
    )


def test_streams_do_not_depend_on_each_other():
    # Two normal draws from one int would start with the same bits, and so do a bias and the first
    # row of a kernel, if they are drawn from one.
    kernel, bias = np.split(draw_units(1000, 20_000), [1000])
    is_normal = ~(asymmetric(kernel[0], 1000) | asymmetric(bias[0], 1000))
    correlations = np.corrcoef(np.vstack([kernel[:5], bias])[:, is_normal])
    assert correlations == pytest.approx(np.eye(6), abs=0.04)
    # Nor does the Beta value hang on its place or on the weights beside it.
    value, place = kernel.max(axis=0), kernel.argmax(axis=0)
    others = np.partition(kernel, 0, axis=0)[0]
    correlations = np.corrcoef([value, place, others])
    assert correlations == pytest.approx(np.eye(3), abs=0.04)


def test_an_int_draws_the_same_at_every_call_and_a_generator_anew():
    np.testing.assert_array_equal(
        draw(RandomizedAsymmetric(seed=5), 4, 3), draw(RandomizedAsymmetric(seed=5), 4, 3)
    )
    for seed in (5, -1, None):
        initializer = RandomizedAsymmetric(seed=seed)
        np.testing.assert_array_equal(draw(initializer, 4, 3), draw(initializer, 4, 3))
    initializer = RandomizedAsymmetric(seed=keras.random.SeedGenerator(5))
    assert not np.array_equal(draw(initializer, 4, 3), draw(initializer, 4, 3))


def test_pairs_from_one_generator_differ_and_each_agrees_with_itself():
    generator = keras.random.SeedGenerator(5)
    first, second = (randomized_asymmetric(3, generator) for _ in range(2))
    assert first["kernel_initializer"].get_config() != second["kernel_initializer"].get_config()
    for pair in (first, second, randomized_asymmetric(3)):
        configs = [initializer.get_config() for initializer in pair.values()]
        assert configs[0] == configs[1]
        assert type(configs[0]["seed"]) is int
    again = randomized_asymmetric(3, keras.random.SeedGenerator(5))["bias_initializer"]
    assert again.get_config() == first["bias_initializer"].get_config()


@pytest.mark.parametrize("fan_in", [None, 4])
@pytest.mark.parametrize("seed", [3, None, "generator"])
def test_config_round_trip(fan_in, seed):
    if seed == "generator":
        seed = keras.random.SeedGenerator(5)
    initializer = RandomizedAsymmetric(fan_in, seed)
    config = json.loads(json.dumps(initializer.get_config()))
    assert config == initializer.get_config()
    assert set(config) == {"fan_in", "seed"}
    again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    assert type(again) is RandomizedAsymmetric
    assert again.get_config() == config
    assert keras.saving.get_registered_name(RandomizedAsymmetric) == (
        "keras_leaky>RandomizedAsymmetric"
    )
    if fan_in or seed == 3:
        np.testing.assert_array_equal(draw(again, 4, 2), draw(initializer, 4, 2))


def test_numpy_fan_in_becomes_a_python_int():
    assert type(RandomizedAsymmetric(np.int64(3)).get_config()["fan_in"]) is int


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(dtype):
    initializer = RandomizedAsymmetric(4, seed=1)
    for shape in [(4, 1000), (1000,)]:
        values = initializer(shape, dtype=dtype)
        assert keras.backend.standardize_dtype(values.dtype) == dtype
        mean = keras.ops.mean(keras.ops.cast(values, "float32"))
        assert float(mean) == pytest.approx(2 / 15, abs=0.06)


def test_round_trip_through_a_saved_model(tmp_path):
    generator = keras.random.SeedGenerator(7)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(5, 3, activation="relu", **randomized_asymmetric(27, generator)),
            keras.layers.Conv2D(6, 1, groups=1, **randomized_asymmetric(5, generator)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, use_bias=False, kernel_initializer=RandomizedAsymmetric(seed=1)),
        ]
    )
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    fresh = keras.models.clone_model(loaded)  # draws anew, from the seeds in the file
    for before, after, new in zip(model.weights, loaded.weights, fresh.weights, strict=True):
        np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(before, new)


def test_the_output_has_at_most_the_second_moment_of_the_input_and_bias():
    # E[relu(z)^2] <= (|x|^2 + 1) / fan_in for every x. That is a bound: for one large input the
    # share is 0.66 of it, for equal ones 0.81.
    fan_in, n_units = 50, 100_000
    entries = draw_units(fan_in, n_units)
    rng = np.random.default_rng(0)
    inputs = [np.ones(fan_in), np.eye(fan_in)[0] * 7, np.maximum(rng.normal(size=fan_in), 0)]
    for x in inputs:
        x = np.append(x, 1)
        share = np.mean(np.maximum(x @ entries, 0) ** 2) * fan_in / (x @ x)
        assert 0.5 < share < 1
    ones = np.append(inputs[0], 1)
    share = np.mean(np.maximum(ones @ entries, 0) ** 2) * fan_in / (ones @ ones)
    assert share == pytest.approx(expected_share_of_equal_inputs(fan_in), rel=0.01)


def expected_share_of_equal_inputs(fan_in):
    """By quadrature: z is normal about p, which has density 2p."""
    p = (np.arange(20_000) + 0.5) / 20_000
    s = SIGMA  # sqrt(fan_in entries of variance sigma^2 / fan_in)
    normal = np.exp(-((p / s) ** 2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([math.erfc(-t / math.sqrt(2)) / 2 for t in p / s])
    return np.mean(2 * p * ((p**2 + s**2) * below + p * s * normal)) * fan_in / (fan_in + 1)


def test_sigma_is_where_the_bound_is_one():
    sigma = math.sqrt(RandomizedAsymmetric().scale - 0.5)
    assert sigma == pytest.approx(SIGMA, abs=5e-5)
    assert sigma**2 / 2 + math.sqrt(2 / math.pi) * sigma * 2 / 3 + 1 / 2 == pytest.approx(1)


@pytest.mark.parametrize("fan_in", [0, -3, 2.5, True, "2", math.nan])
def test_a_fan_in_that_is_none_is_refused(fan_in):
    message = f"`fan_in` must be None or an int of at least 1. Received: fan_in={fan_in!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        RandomizedAsymmetric(fan_in)


def test_refusals():
    message = "`fan_in` must be an int of at least 1. Received: fan_in=None"
    with pytest.raises(ValueError, match="^" + message + "$"):
        randomized_asymmetric(None)
    message = "`fan_in` must be 27 for a kernel of shape (3, 3, 3, 8). Received: fan_in=9"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        RandomizedAsymmetric(9)((3, 3, 3, 8))
    message = "`fan_in` must be given for a bias, .* Received: fan_in=None and shape=\\(8,\\)"
    with pytest.raises(ValueError, match=message):
        RandomizedAsymmetric()((8,))
    with pytest.raises(ValueError, match="`seed` must be an integer"):
        RandomizedAsymmetric(3, seed="5")
