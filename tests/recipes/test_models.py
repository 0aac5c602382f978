import keras
import numpy as np
import pytest

import keras_leaky
from recipes.common.models import activation_layer, build_model
from recipes.common.options import MnistOptions


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", keras.layers.ReLU),
        ("leaky_relu", keras_leaky.layers.LeakyReLU),
        ("prelu", keras_leaky.layers.PReLU),
        ("elu", keras_leaky.layers.ELU),
    ],
)
def test_flag_names_its_rectifier(activation, kind):
    alpha = None if activation == "relu" else 0.3
    layer = activation_layer(activation, alpha, "float32")
    assert isinstance(layer, kind)
    expected = {"relu": 0.0, "elu": 0.3 * np.expm1(-2.0)}.get(activation, -0.6)
    assert float(layer(np.array([[-2.0]]))[0, 0]) == pytest.approx(expected)


def test_unknown_rectifier_is_refused():
    with pytest.raises(ValueError, match="`activation` must name a searched rectifier"):
        activation_layer("swish", 0.1, "float32")


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "prelu", "elu"])
def test_pooling_first_changes_nothing(activation):
    """As the nets do it, with a quarter of the elements to rectify."""
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype("float32")
    alpha = None if activation == "relu" else 0.2
    rectifier = activation_layer(activation, alpha, "float32")
    pooling = keras.layers.MaxPooling2D()
    np.testing.assert_array_equal(rectifier(pooling(x)), pooling(rectifier(x)))
    model = build_model(MnistOptions(activation=activation), (28, 28), activation, alpha, 1e-3)
    kinds = [type(layer) for layer in model.layers]
    assert kinds.index(keras.layers.MaxPooling2D) + 1 == kinds.index(type(rectifier))
