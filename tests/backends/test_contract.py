"""The contract of every layer on JAX and PyTorch."""

import json

import keras
import numpy as np
import pytest

if keras.backend.backend() == "tensorflow":
    pytest.skip("needs KERAS_BACKEND=jax or torch", allow_module_level=True)

from keras_leaky import layers
from keras_leaky.layers import RReLU
from tests.backends.differentiate import differentiate
from tests.layers.contract import SATURATING, TOLERANCE, as_float64, every_layer, make_input

ON_JAX = keras.backend.backend() == "jax"
MODES = ["eager", "jit"] if ON_JAX else ["eager"]
# JAX computes in float64 only where the whole process is told to.
DTYPES = [dtype for dtype in TOLERANCE if not (ON_JAX and dtype == "float64")]


@every_layer
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", MODES)
def test_value_and_derivatives(cls, kwargs, shape, reference, dtype, mode):
    x = make_input(shape, dtype=dtype)
    layer = cls(**kwargs, dtype=dtype)
    layer.build(x.shape)
    results = differentiate(layer, x, jit=mode == "jit")
    expected = reference(as_float64(x), layer)
    eps = TOLERANCE[dtype] / 4
    saturates = cls in SATURATING
    tiny = 1e-6 if dtype == "float16" else 0.0
    for i, (result, want) in enumerate(zip(results, expected, strict=True)):
        assert keras.backend.standardize_dtype(result.dtype) == dtype
        # Derivatives of expm1 are expm1 + 1: one in the last place of 1 is lost.
        atol = 2 * eps * np.abs(want).max() if saturates and i else tiny
        np.testing.assert_allclose(as_float64(result), want, rtol=TOLERANCE[dtype], atol=atol)


@every_layer
def test_config_round_trip(cls, kwargs, shape, reference):
    config = json.loads(json.dumps(cls(**kwargs, name="rectifier").get_config()))
    assert cls.from_config(config).get_config() == config


@every_layer
def test_keras_file_and_fit_with_a_partial_batch(cls, kwargs, shape, reference, tmp_path):
    model = keras.Sequential([keras.Input(shape), cls(**kwargs), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse", run_eagerly=not ON_JAX)
    x = np.array(make_input(shape, 5)) if ON_JAX else make_input(shape, 5).numpy()
    history = model.fit(x, np.zeros((5, 1)), batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@every_layer
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_integers_and_empty_batches(cls, kwargs, shape, reference, policy):
    layer = cls(**kwargs, dtype=policy)
    x = np.arange(2 * np.prod(shape)).reshape(2, *shape)
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(as_float64(y), as_float64(layer(x.astype("float32"))))
    assert layer(np.zeros((0, *shape), "float32")).shape == (0, *shape)


@pytest.mark.parametrize("name", layers.__all__)
def test_infinities_give_no_nan(name):
    x = keras.ops.convert_to_tensor([-np.inf, -1e30, -200.0, 0.0, 200.0, np.inf], "float32")
    for result in differentiate(getattr(layers, name)(), x[None])[: 2 if name == "PReLU" else 3]:
        assert not np.isnan(as_float64(result)).any()


@pytest.mark.parametrize("name", layers.__all__)
def test_mask_passes_through(name):
    x = np.array([[[1.0, -2.0], [0.0, 0.0], [3.0, -4.0]]], "float32")
    layer = getattr(layers, name)()
    masked = keras.layers.Masking()(x)
    assert keras.ops.convert_to_numpy(layer(masked)._keras_mask).tolist() == [[True, False, True]]


def test_slopes_of_rrelu_are_uniform_in_training():
    y = RReLU(0.2, 0.6, seed=1)(-np.ones((200, 500), "float32"), training=True)
    slopes = -as_float64(y)
    assert slopes.min() >= 0.2 - 1e-6
    assert slopes.max() <= 0.6 + 1e-6
    assert abs(slopes.mean() - 0.4) < 0.0015  # n = 1e5: standard error 0.00037
    assert abs(slopes.std() - 0.4 / np.sqrt(12)) < 0.001
