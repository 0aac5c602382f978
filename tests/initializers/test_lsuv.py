"""lsuv: unit variance in every layer of every kind of model, and nothing lost where it fails."""

import re

import keras
import numpy as np
import pytest
from keras import layers as stock

from keras_leaky.initializers import lsuv
from keras_leaky.layers import LeakyReLU, PReLU


def batch(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def sequential(shape, *stack):
    return keras.Sequential([keras.Input(shape), *stack])


def variance(outputs):
    return float(np.var(keras.ops.convert_to_numpy(outputs), dtype="float64"))


def unit_variance(abs=0.011):
    return pytest.approx(1, abs=abs)


def deep_net(kind):
    hidden = {
        "argument": lambda: [stock.Dense(64, activation="relu")],
        "layers": lambda: [stock.Dense(64), LeakyReLU(0.3)],
        "argument that is a layer": lambda: [stock.Dense(64, activation=PReLU())],
    }[kind]
    return sequential((32,), *(layer for _ in range(30) for layer in hidden()), stock.Dense(3))


@pytest.mark.parametrize("kind", ["argument", "layers", "argument that is a layer"])
def test_every_layer_of_a_deep_net_has_unit_variance_before_its_activation(kind):
    model, x = deep_net(kind), batch(200, 32)
    report = lsuv(model, x, seed=1)
    dense = [layer for layer in model.layers if isinstance(layer, stock.Dense)]
    assert [row["layer"] for row in report] == [layer.name for layer in dense]
    y = x
    for layer in model.layers:
        if isinstance(layer, stock.Dense):
            row = report[dense.index(layer)]
            assert variance(y @ layer.kernel + layer.bias) == unit_variance()
            assert row["variance"] == unit_variance()
            assert row["n_iterations"] == 1  # biases are 0
        y = keras.ops.convert_to_numpy(layer(y))


def test_kernels_are_orthonormal_times_the_scale():
    model = sequential((32,), stock.Dense(16, activation="relu"), stock.Dense(16), stock.Dense(40))
    report = lsuv(model, batch(100, 32), seed=1)
    scales = [row["scale"] for row in report]
    kernels = [layer.kernel / scale for layer, scale in zip(model.layers, scales, strict=True)]
    kernels = [keras.ops.convert_to_numpy(kernel) for kernel in kernels]
    for matrix in (kernels[0].T, kernels[1].T, kernels[2]):  # wide: orthonormal rows
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(16), atol=1e-5)
    again = sequential((32,), stock.Dense(16, activation="relu"), stock.Dense(16), stock.Dense(40))
    assert [row["scale"] for row in lsuv(again, batch(100, 32), seed=1)] == scales
    np.testing.assert_array_equal(again.layers[0].kernel, model.layers[0].kernel)


def test_layers_of_one_shape_get_different_matrices():
    for seed in (1, None, keras.random.SeedGenerator(1)):
        model = sequential((16,), stock.Dense(16), stock.Dense(16))
        lsuv(model, batch(100, 16), seed=seed)
        first, second = (np.ravel(layer.kernel) for layer in model.layers)
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_a_generator_gives_every_model_other_matrices():
    generator = keras.random.SeedGenerator(1)
    models = [sequential((16,), stock.Dense(16)) for _ in range(2)]
    for model in models:
        lsuv(model, batch(100, 16), seed=generator)
    first, second = (np.ravel(model.layers[0].kernel) for model in models)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


def test_convolutions_of_all_kinds():
    model = sequential(
        (8, 8, 6),
        stock.Conv2D(16, 3, activation="relu"),
        stock.BatchNormalization(),
        stock.Conv2D(8, 3, groups=2, padding="same", use_bias=False),
        LeakyReLU(0.1),
        stock.DepthwiseConv2D(3, padding="same", activation="relu"),
        stock.Dropout(0.5),
        stock.SeparableConv2D(12, 3, activation="elu"),
        stock.Conv2DTranspose(8, 2, strides=2, activation="relu"),
        stock.Reshape((64, 8)),
        stock.Conv1D(8, 3),
        stock.GlobalAveragePooling1D(),
        stock.Dense(2, activation="softmax"),
    )
    report = lsuv(model, batch(50, 8, 8, 6), seed=1)
    names = [layer.name for layer in model.layers if getattr(layer, "kernel", None) is not None]
    separable = model.layers[6]
    assert {row["layer"] for row in report} == {*names, separable.name}
    assert len(report) == 7
    for row in report:
        assert row["variance"] == unit_variance()
    before = keras.Model(model.inputs[0], separable.input)(batch(50, 8, 8, 6))
    separable.activation = None
    assert variance(separable(before)) == unit_variance()


def test_nested_and_shared_layers_in_the_order_of_execution():
    shared = stock.Dense(16, activation="relu", name="shared")
    # Made before, called after it: the order is that of the calls.
    inner = sequential((16,), stock.Dense(16, name="inner"), LeakyReLU(0.2), shared)
    inputs = keras.Input((16,))
    y = inner(inner(shared(inputs)))
    model = keras.Model(inputs, stock.Dense(1, name="head")(y))
    x = 5 * batch(100, 16) + 2
    report = lsuv(model, x, seed=3)
    assert [row["layer"] for row in report] == ["shared", "inner", "head"]
    z = x @ np.asarray(shared.kernel)
    assert variance(z) == unit_variance()  # at its first call
    assert variance(np.maximum(z, 0) @ np.asarray(inner.layers[0].kernel)) == unit_variance()
    assert variance(model(x)) == unit_variance()


@keras.saving.register_keras_serializable(package="tests")
class Block(stock.Layer):
    def __init__(self):
        super().__init__()
        self.first = stock.Dense(8, activation="relu", name="first")
        self.second = stock.Dense(8, name="second")

    def call(self, x):
        return x + self.second(self.first(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def call(self, inputs):
        return self.block(inputs["a"]) + inputs["b"]


def test_subclassed_models_custom_layers_and_several_inputs():
    model = Subclassed()
    x = {"a": batch(60, 8), "b": batch(60, 8, seed=1)}
    model(x)
    assert [row["layer"] for row in lsuv(model, x)] == ["first", "second"]
    z = np.maximum(x["a"] @ np.asarray(model.block.first.kernel), 0)
    assert variance(z @ np.asarray(model.block.second.kernel)) == unit_variance()


def test_what_is_frozen_wrapped_or_recurrent_stays_as_it_is():
    frozen = stock.Dense(8, activation="relu", trainable=False)
    wrapped = stock.TimeDistributed(stock.Dense(8))
    model = sequential((5, 4), frozen, wrapped, stock.GRU(6), stock.Dense(3, name="last"))
    kept = [np.array(w) for layer in model.layers[:3] for w in layer.weights]
    assert [row["layer"] for row in lsuv(model, batch(40, 5, 4))] == ["last"]
    after = [w for layer in model.layers[:3] for w in layer.weights]
    for weight, value in zip(after, kept, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_small_biases_take_more_than_one_iteration():
    model = sequential((32,), stock.Dense(64, bias_initializer="random_normal", name="d"))
    model.layers[0].bias.assign(batch(64) * 0.5)
    (row,) = lsuv(model, batch(500, 32), seed=1)
    assert 1 < row["n_iterations"] < 10
    assert variance(model(batch(500, 32))) == unit_variance()
    np.testing.assert_array_equal(model.layers[0].bias, batch(64) * np.float32(0.5))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64"])
def test_dtype_policies(policy):
    model = sequential((16,), *(stock.Dense(16, activation="relu", dtype=policy) for _ in range(5)))
    for row in lsuv(model, batch(500, 16), seed=1):
        assert row["variance"] == unit_variance()
    kernel = np.asarray(model.layers[0].kernel, "float64")
    product = kernel.T @ kernel
    # Not rounded to the compute dtype, eps 8e-3.
    np.testing.assert_allclose(product / product[0, 0], np.eye(16), atol=1e-5)


def test_the_model_is_as_before_but_for_its_kernels():
    model = sequential((8,), stock.Dense(8, activation="relu"), LeakyReLU(0.1), stock.Dense(2))
    model.compile("sgd", "mse")
    config, attributes = model.to_json(), [set(vars(layer)) for layer in model.layers]
    lsuv(model, batch(20, 8))
    assert model.to_json() == config
    assert [set(vars(layer)) for layer in model.layers] == attributes
    assert model.layers[0].activation is keras.activations.relu
    history = model.fit(batch(20, 8), batch(20, 2), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_a_model_is_restored_where_it_fails_half_way():
    model = sequential(
        (8,),
        stock.Dense(8, activation="relu"),
        sequential((8,), stock.Dense(8, activation=lambda x: 0 * x), stock.Dense(4, name="dead")),
    )
    attributes = [set(vars(layer)) for layer in model.layers]
    before = model.get_weights()
    message = (
        "Layer 'dead' must have a finite variance above 0 on `x`. It is 0 if all inputs of "
        "the layer are 0. Received: variance=0.0"
    )
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        lsuv(model, batch(20, 8))
    for after, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(after, value)
    assert [set(vars(layer)) for layer in model.layers] == attributes


class Interrupted(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.interrupts = False

    def call(self, x):
        y = self.inner(x)
        if self.interrupts:
            raise KeyboardInterrupt
        return y


def test_an_interruption_restores_the_model():
    model = Interrupted(sequential((8,), stock.Dense(8)))
    model(batch(2, 8))
    before = model.get_weights()
    model.interrupts = True
    with pytest.raises(KeyboardInterrupt):
        lsuv(model, batch(20, 8))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize(
    ("activation", "shown"), [(lambda x: x + np.nan, "nan"), (lambda x: x + np.inf, "nan")]
)
def test_a_variance_that_is_not_finite_is_refused(activation, shown):
    model = sequential((8,), stock.Dense(8, activation=activation), stock.Dense(2, name="second"))
    with pytest.raises(ValueError, match=f"^Layer 'second' must .* variance={shown}$"):
        lsuv(model, batch(20, 8))


def test_biases_that_spread_too_far_are_refused():
    model = sequential((8,), stock.Dense(8, name="biased"))
    model.layers[0].bias.assign(3 * batch(8))
    before = model.get_weights()
    message = (
        r"^Layer 'biased' must have variance 1 within tolerance=0.05 after t_max=4 iterations; "
        r"biases are not scaled. Received: variance=\d+\.\d+$"
    )
    with pytest.raises(ValueError, match=message):
        lsuv(model, batch(20, 8), tolerance=0.05, t_max=4)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros((0, 8)),
            "`x` must be one batch of at least one sample. Received: shapes [(0, 8)]",
        ),
        ([], "`x` must be one batch of at least one sample. Received: shapes []"),
        ([[1.0, 2.0]], "`x` must be one batch of at least one sample. Received: shapes [(), ()]"),
        (
            np.array([[0, np.nan, np.inf, 1.0]]),
            "`x` must be finite. Received: 2 NaN or infinite of 4 numbers",
        ),
    ],
)
def test_a_batch_that_is_none_is_refused(x, message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        lsuv(sequential((8,), stock.Dense(8)), x)


@pytest.mark.parametrize("tolerance", [0, 1, -0.1, np.nan, True, "0.1"])
def test_tolerances_out_of_range_are_refused(tolerance):
    message = f"`tolerance` must lie in (0, 1). Received: tolerance={tolerance!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        lsuv(sequential((8,), stock.Dense(8)), batch(2, 8), tolerance=tolerance)


@pytest.mark.parametrize("t_max", [0, -1, 1.5, True, None])
def test_numbers_of_iterations_out_of_range_are_refused(t_max):
    message = f"`t_max` must be an int of at least 1. Received: t_max={t_max!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        lsuv(sequential((8,), stock.Dense(8)), batch(2, 8), t_max=t_max)


def test_what_is_no_model_to_scale_is_refused():
    for model in (stock.Dense(3), keras.Sequential([stock.Dense(3)]), "model"):
        with pytest.raises(ValueError, match=r"^`model` must be a built keras\.Model\. "):
            lsuv(model, batch(2, 8))
    model = sequential((8,), LeakyReLU(name="act"))
    message = "`model` must hold a trainable Dense or convolution. Received: a model with the lay"
    with pytest.raises(ValueError, match="^" + message + r"ers \['act'\]$"):
        lsuv(model, batch(2, 8))


def test_layers_with_lora_are_left_alone():
    adapted, plain = keras.layers.Dense(8), keras.layers.Dense(6, name="plain")
    model = keras.Sequential([keras.Input((4,)), adapted, plain])
    adapted.enable_lora(2)
    before = adapted.get_weights()
    report = lsuv(model, np.random.default_rng(0).normal(size=(64, 4)), seed=1)
    assert [row["layer"] for row in report] == ["plain"]
    for old, new in zip(before, adapted.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
