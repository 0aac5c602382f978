"""What every layer of the pack must do, from one table."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky import layers
from keras_leaky.layers import RReLU
from tests.layers.contract import (
    CONTRACT,
    SATURATING,
    TOLERANCE,
    as_float64,
    every_layer,
    make_input,
    one_row_of_each_class,
)

# How a layer is called, and with which `training`. Only graphs that train hold compiled functions.
MODES = {
    "eager": (lambda f: f, None),
    "graph": (tf.function, True),
    "xla": (lambda f: tf.function(f, jit_compile=True), True),
    "inference": (tf.function, None),
}
OFTEN = [("xla", "bfloat16"), ("graph", "float16")]  # in CI, beside float32 and eager


def differentiate(f, x):
    """Value, first and second derivative of an elementwise `f`."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        first = inner.gradient(y, x)
    second = outer.gradient(first, x, unconnected_gradients="zero")
    return y, first, second


def test_every_public_layer_is_in_the_contract():
    missing = set(layers.__all__) - {cls.__name__ for cls, *_ in CONTRACT}
    assert not missing, f"give each of {sorted(missing)} a row in CONTRACT of layers/contract.py"


@every_layer
def test_config_round_trip(cls, kwargs, shape, reference):
    layer = cls(**kwargs, name="rectifier")
    config = json.loads(json.dumps(layer.get_config()))
    assert cls.from_config(config).get_config() == config
    assert set(kwargs) <= set(config)
    assert keras.saving.get_registered_name(cls) == f"keras_leaky>{cls.__name__}"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is cls
    assert again.get_config() == config


@every_layer
@pytest.mark.parametrize(
    ("mode", "dtype"),
    [
        pytest.param(mode, dtype, marks=[] if is_often else pytest.mark.soak)
        for mode in MODES
        for dtype in TOLERANCE
        for is_often in [dtype == "float32" or mode == "eager" or (mode, dtype) in OFTEN]
    ],
)
def test_value_and_derivatives(cls, kwargs, shape, reference, dtype, mode):
    x = make_input(shape, dtype=dtype)
    layer = cls(**kwargs, dtype=dtype)
    layer.build(x.shape)
    make, training = MODES[mode]
    if cls is RReLU and layer.lower < layer.upper:
        training = None  # or its slope is random
    results = make(lambda x: differentiate(lambda x: layer(x, training=training), x))(x)
    expected = reference(as_float64(x), layer)
    # One in the last place of 1 for each derivative that comes from the output, and for the kernel
    # of ELU(1), and what the dtype cannot hold next to 0.
    saturates = cls in SATURATING
    eps = TOLERANCE[dtype] / 4
    absolute = [2 * eps * np.abs(want).max() if saturates else 0.0 for want in expected]
    absolute[0] = eps if saturates and mode == "inference" else 0.0
    tiny = 1e-6 if dtype == "float16" else 0.0
    for result, want, atol in zip(results, expected, absolute, strict=True):
        assert keras.backend.standardize_dtype(result.dtype) == dtype
        np.testing.assert_allclose(
            as_float64(result), want, rtol=TOLERANCE[dtype], atol=max(atol, tiny)
        )


@every_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(cls, kwargs, shape, reference, policy):
    layer = cls(**kwargs, dtype=policy)
    x = make_input(shape)
    y = layer(x)
    compute_dtype = policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(y.dtype) == compute_dtype
    assert all(v.dtype == "float32" for v in layer.weights)
    expected, *_ = reference(as_float64(keras.ops.cast(x, compute_dtype)), layer)
    np.testing.assert_allclose(as_float64(y), expected, rtol=TOLERANCE[compute_dtype], atol=1e-6)


@every_layer
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "float64"])
def test_integer_input_gets_the_compute_dtype(cls, kwargs, shape, reference, dtype, policy):
    x = np.arange(2 * np.prod(shape)).reshape(2, *shape).astype(dtype)
    layer = cls(**kwargs, dtype=policy)
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(as_float64(y), as_float64(layer(x.astype("float32"))))


@every_layer
def test_one_trace_for_every_batch_size(cls, kwargs, shape, reference):
    layer = cls(**kwargs)
    layer.build((None, *shape))
    n_traces = 0

    @tf.function(input_signature=[tf.TensorSpec((None, *shape))])
    def call(x):
        nonlocal n_traces
        n_traces += 1
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, x)

    for batch in (0, 1, 2, 3, 7):
        x = make_input(shape, batch)
        expected, slope, _ = reference(as_float64(x), layer)
        for result, want in zip(call(x), (expected, slope), strict=True):
            assert result.shape == x.shape
            np.testing.assert_allclose(result, want, rtol=TOLERANCE["float32"], atol=2e-7)
        np.testing.assert_allclose(layer(x), expected, rtol=TOLERANCE["float32"])
    assert n_traces == 1


@every_layer
def test_symbolic_shape_and_dtype(cls, kwargs, shape, reference):
    for policy in ("float32", "mixed_float16"):
        layer = cls(**kwargs, dtype=policy)
        assert layer.compute_output_shape((None, *shape)) == (None, *shape)
        y = layer(keras.Input(shape, dtype="int32"))
        assert y.shape == (None, *shape)
        assert y.dtype == layer.compute_dtype


@one_row_of_each_class
def test_fit_and_partial_last_batch(cls, kwargs, shape, reference):
    model = keras.Sequential([keras.Input(shape), cls(**kwargs), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse")
    x = np.asarray(make_input(shape, 5))
    history = model.fit(x, np.zeros((5, 1)), batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(x, batch_size=2, verbose=0).shape == (5, 1)


@pytest.mark.parametrize("name", layers.__all__)
def test_mask_passes_through(name):
    x = np.array([[[1.0, -2.0], [0.0, 0.0], [3.0, -4.0]]])
    layer = getattr(layers, name)()
    model = keras.Sequential(
        [keras.Input((3, 2)), keras.layers.Masking(), layer, keras.layers.GlobalAveragePooling1D()]
    )
    expected = np.asarray(layer(x[:, [0, 2]])).mean(axis=1)
    np.testing.assert_allclose(model(x), expected, rtol=1e-6)


LOAD = """
import sys
import numpy as np
import keras
import keras_leaky
for i in range(int(sys.argv[2])):
    model = keras.models.load_model(f"{sys.argv[1]}/{i}.keras")
    np.save(f"{sys.argv[1]}/loaded-{i}.npy", model(np.load(f"{sys.argv[1]}/x-{i}.npy")))
"""


@pytest.mark.soak  # tests/export/test_files.py has the same for every rectifier
def test_keras_file_loads_in_a_fresh_process(tmp_path):
    outputs = []
    for i, (cls, kwargs, shape, _) in enumerate(CONTRACT):
        model = keras.Sequential([keras.Input(shape), cls(**kwargs)])
        for variable in model.weights:  # other than what the initializer would draw again
            variable.assign(variable + 0.125)
        x = make_input(shape)
        np.save(tmp_path / f"x-{i}.npy", x)
        model.save(tmp_path / f"{i}.keras")
        outputs.append(np.asarray(model(x)))
    command = [sys.executable, "-c", LOAD, str(tmp_path), str(len(CONTRACT))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for i, y in enumerate(outputs):
        np.testing.assert_array_equal(np.load(tmp_path / f"loaded-{i}.npy"), y)
