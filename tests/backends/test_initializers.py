"""RandomizedAsymmetric and lsuv on JAX and PyTorch."""

import keras
import numpy as np
import pytest

if keras.backend.backend() == "tensorflow":
    pytest.skip("needs KERAS_BACKEND=jax or torch", allow_module_level=True)

from keras_leaky.initializers import lsuv, randomized_asymmetric
from keras_leaky.layers import LeakyReLU


@pytest.mark.parametrize("seed", [3, None, "generator"])
def test_one_asymmetric_entry_a_unit_bias_included(seed):
    seed = keras.random.SeedGenerator(3) if seed == "generator" else seed
    layer = keras.layers.Conv1D(20_000, 4, **randomized_asymmetric(400, seed))
    layer.build((None, 9, 100))
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in layer.weights)
    entries = np.vstack([kernel.reshape(400, -1), bias])
    found = entries > 6.5 * 0.6007 / 20  # and 4 % of Beta(2, 1) below
    assert found.sum(axis=0).max() == 1
    assert found.sum() == pytest.approx(20_000 * (1 - 0.195**2), abs=140)
    assert found[-1].sum() == pytest.approx(48, abs=30)
    assert (entries.astype("float64") ** 2).mean() * 401 == pytest.approx(0.861, abs=0.02)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_lsuv_gives_unit_variance_and_restores(policy):
    inner = keras.Sequential([keras.Input((6, 6, 8)), keras.layers.Conv2D(16, 3), LeakyReLU(0.3)])
    stack = [inner, keras.layers.Flatten(), keras.layers.Dense(16, activation="relu", name="relu")]
    with_policy = [keras.layers.Dense(4, dtype=policy) for _ in range(5)]
    model = keras.Sequential([keras.Input((6, 6, 8)), *stack, *with_policy])
    x = np.random.default_rng(0).normal(size=(100, 6, 6, 8)).astype("float32")
    report = lsuv(model, x, seed=1)
    assert [row["variance"] for row in report] == pytest.approx([1] * 7, abs=0.011)
    y = keras.ops.convert_to_numpy(keras.ops.cast(model(x), "float32"))
    assert y.var() == pytest.approx(1, abs=0.02)
    model.layers[-1].bias.assign([9.0, -9.0, 9.0, -9.0])
    before = [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]
    with pytest.raises(ValueError, match=r"must have variance 1 within tolerance=0\.01 after"):
        lsuv(model, x, seed=2)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)
