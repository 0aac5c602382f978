"""Many nets in one program: each trains as if it were alone."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_leaky.initializers import RectifierNormal, randomized_asymmetric
from keras_leaky.layers import LeakyReLU
from recipes.dying_relu.draws import draw_randomized_asymmetric, draw_rectifier, join
from recipes.dying_relu.ensemble import (
    EnsembleDense,
    EnsembleLeakyReLU,
    EnsembleLoss,
    build_ensemble,
    cross_entropy,
    squared_error,
)

SIZES = [3, 8, 8, 4]
SLOPES = np.array([0.0, 0.1, 0.3])


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 3)).astype("float32")
    return x, np.eye(4, dtype="float32")[rng.integers(0, 4, 96)]


def drawn():
    return join(
        [draw_rectifier(1, SIZES, "leaky_relu", a, seed=5 + i) for i, a in enumerate(SLOPES)]
    )


def train_ensemble(weights, slopes, optimizer, loss, x, y, epochs=4):
    model, _ = build_ensemble(weights, lambda: EnsembleLeakyReLU(slopes))
    model.compile(optimizer, loss)
    model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    layers = [layer for layer in model.layers if isinstance(layer, EnsembleDense)]
    return model, [[np.asarray(ops.convert_to_numpy(v)) for v in la.weights] for la in layers]


def train_alone(weights, net, slope, optimizer, loss, x, y, epochs=4):
    """The same net of stock layers, by itself."""
    model = keras.Sequential([keras.Input((SIZES[0],))])
    for i, units in enumerate(SIZES[1:]):
        model.add(keras.layers.Dense(units))
        if i < len(SIZES) - 2:
            model.add(LeakyReLU(slope))
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for layer, (kernel, bias) in zip(dense, weights, strict=True):
        layer.set_weights([kernel[net], bias[net]])
    model.compile(optimizer, loss)
    model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0)
    return [layer.get_weights() for layer in dense]


def assert_equal(ensemble, net, alone):
    for (kernels, biases), (kernel, bias) in zip(ensemble, alone, strict=True):
        np.testing.assert_allclose(kernels[net], kernel, atol=1e-5)
        np.testing.assert_allclose(biases[net, 0], bias, atol=1e-5)


def test_member_trains_as_alone_with_adam(images):
    x, y = images
    weights = drawn()
    adam = keras.optimizers.Adam(0.01)
    _, ours = train_ensemble(weights, SLOPES, adam, EnsembleLoss(squared_error), x, y)
    for net, slope in enumerate(SLOPES):
        alone = train_alone(weights, net, slope, keras.optimizers.Adam(0.01), "mse", x, y)
        assert_equal(ours, net, alone)
        assert np.abs(alone[0][0] - weights[0][0][net]).max() > 0.01, "nothing was learned"


def test_member_trains_as_alone_with_its_own_learning_rate_and_momentum(images):
    x, y = images
    weights, rates = drawn(), [0.02, 0.1, 0.3]
    sgd = keras.optimizers.SGD(1.0, momentum=0.9)
    loss = EnsembleLoss(cross_entropy, np.array(rates))
    _, ours = train_ensemble(weights, SLOPES, sgd, loss, x, y)
    for net, (slope, rate) in enumerate(zip(SLOPES, rates, strict=True)):
        sgd = keras.optimizers.SGD(rate, momentum=0.9)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        assert_equal(ours, net, train_alone(weights, net, slope, sgd, loss, x, y))


def test_net_that_diverges_leaves_the_others_as_they_are(images):
    x, y = images
    results = []
    for rates in ([0.1, 1e30, 0.1], [0.1, 0.1, 0.1]):
        sgd = keras.optimizers.SGD(1.0, momentum=0.9)
        loss = EnsembleLoss(cross_entropy, np.array(rates))
        model, weights = train_ensemble(drawn(), SLOPES, sgd, loss, x, y)
        results.append((ops.convert_to_numpy(model(x)), weights))
    (outputs, weights), (_, undisturbed) = results
    assert not np.isfinite(outputs[:, 1]).any()
    assert np.isfinite(outputs[:, [0, 2]]).all()
    for ours, theirs in zip(weights, undisturbed, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            # Not bit for bit: the rates are constants of the program, which differs by them.
            np.testing.assert_allclose(a[[0, 2]], b[[0, 2]], atol=1e-6)


def test_levels_are_the_pre_activations_and_the_outputs(images):
    x, _ = images
    weights = drawn()
    model, levels = build_ensemble(weights, lambda: EnsembleLeakyReLU(SLOPES))
    *hidden, outputs = (ops.convert_to_numpy(level) for level in levels(x))
    signal = x.astype("float64")
    for level, (kernel, bias) in zip([*hidden, outputs], weights, strict=True):
        expected = signal @ kernel[1] + bias[1]
        np.testing.assert_allclose(level[1], expected, atol=1e-5)
        signal = np.where(expected > 0, expected, SLOPES[1] * expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), outputs.transpose(1, 0, 2))


def test_initial_biases_are_kept():
    weights = draw_randomized_asymmetric(5, [1, 2, 1], seed=0)
    model, _ = build_ensemble(weights, keras.layers.ReLU)
    layers = [layer for layer in model.layers if isinstance(layer, EnsembleDense)]
    for layer, (kernel, bias) in zip(layers, weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.kernel), kernel)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.bias)[:, 0], bias)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_he_draws_have_the_fan_in_of_one_net(alpha):
    weights = draw_rectifier(3000, [100, 3], "leaky_relu", alpha, seed=0)
    kernel, bias = weights[0]
    assert kernel.shape == (3000, 100, 3)
    assert kernel.std() == pytest.approx((2 / (1 + alpha**2) / 100) ** 0.5, rel=0.005)
    assert not bias.any()
    one = RectifierNormal("leaky_relu", alpha, seed=1)((100, 3))
    assert kernel[0].std() == pytest.approx(float(ops.std(one)), rel=0.2)
    assert len(np.unique(kernel[:, 0, 0])) == 3000, "the nets differ"


def test_draws_of_one_seed_differ_by_the_gain_alone():
    relu, leaky = (draw_rectifier(4, SIZES, "leaky_relu", a, seed=3) for a in (0.0, 0.3))
    for (ours, _), (theirs, _) in zip(leaky, relu, strict=True):
        np.testing.assert_allclose(ours, theirs / (1 + 0.3**2) ** 0.5, rtol=1e-5)


def test_randomized_asymmetric_draws_are_distributed_as_those_of_a_layer():
    """Quantiles of kernel and bias of many small nets against many layers of the package."""
    n_nets = 20_000
    ((kernel, bias),) = draw_randomized_asymmetric(n_nets, [2, 2], seed=0)
    pair = randomized_asymmetric(2, seed=11)
    theirs = pair["kernel_initializer"]((2, 2 * n_nets)), pair["bias_initializer"]((2 * n_nets,))
    levels = np.linspace(0.05, 0.95, 19)
    for ours, other in zip((kernel, bias), theirs, strict=True):
        other = ops.convert_to_numpy(other)
        for quantity in (lambda v: v, np.abs):
            distance = np.quantile(quantity(ours), levels) - np.quantile(quantity(other), levels)
            assert np.abs(distance).max() < 0.03
    # A unit has exactly one entry of Beta(2, 1), and it is the bias in a third of the units.
    sigma = 0.6007 / 2**0.5
    entries = np.concatenate([kernel, bias[:, None]], axis=1)
    assert entries.mean() == pytest.approx(2 / 9, abs=0.01)
    assert np.square(entries).mean() == pytest.approx((2 * sigma**2 + 0.5) / 3, rel=0.02)
