"""The net of `keras-leaky study` without FILE.py: what it makes of inputs and targets."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky.study._small_net import make_small_net
from keras_leaky.study.arms import Arm, ArmModel
from keras_leaky.study.data_files import read_data
from keras_leaky.study.errors import InputError
from tests.study.data_arrays import write_table

N = 200
CLASSES = np.arange(N) % 3


def make(folder, x, y):
    data = read_data(write_table(folder, y, x_train=x)).with_classes_from_0()
    return *make_small_net(data), data


def build(net):
    return ArmModel(net, Arm("leaky_relu")).build(keras_tuner.HyperParameters())


@pytest.mark.parametrize(
    ("shape", "n_convolutions", "n_rectifiers"),
    [((), 0, 2), ((6,), 0, 2), ((16, 5), 2, 3), ((12, 9, 2), 2, 3), ((3, 4, 5, 2), 0, 2)],
)
def test_kind_of_net_follows_the_shape(tmp_path, shape, n_convolutions, n_rectifiers):
    x = np.random.default_rng(0).normal(size=(N, *shape))
    net, _, _ = make(tmp_path, x, CLASSES)
    layers = [type(layer).__name__ for layer in build(net).layers]
    assert sum(name in ("Conv1D", "Conv2D") for name in layers) == n_convolutions
    assert layers.count("LeakyReLU") == n_rectifiers


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("shape", [(6,), (16, 5), (8, 8), (12, 9, 2)])
def test_inputs_of_any_scale_reach_the_first_layer_standardized(tmp_path, shape, dtype):
    x = np.random.default_rng(0).integers(0, 256, (N, *shape)).astype(dtype)
    x[..., 0] = 7  # a feature that does not vary, or a column of an image
    net, _, data = make(tmp_path, x, CLASSES)
    model = build(net)
    rescaling = next(one for one in model.layers if isinstance(one, keras.layers.Rescaling))
    scaled = keras.Model(model.input, rescaling.output).predict(data.train.x, verbose=0)
    others = tuple(range(scaled.ndim - 1))
    assert np.abs(scaled.mean(axis=others)).max() < 1e-3
    assert scaled.std(axis=others).max() == pytest.approx(1, abs=1e-3)


def test_real_targets_come_out_in_their_own_scale(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 6))
    y = np.stack([1e6 + 1e5 * x[:, 0], -3 + 0.01 * x[:, 1]], axis=1)
    net, _, data = make(tmp_path, x, y)
    predicted = build(net).predict(data.test.x, verbose=0)
    assert predicted[:, 0].mean() == pytest.approx(1e6, rel=0.3)
    assert predicted[:, 1].mean() == pytest.approx(-3, abs=0.1)
    assert net.objective == "val_mae"


def test_channels_that_seem_to_come_first_are_told(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (N, 3, 8, 8), dtype="uint8")
    _, notes, _ = make(tmp_path, x, CLASSES)
    assert notes == [
        "`x_train` is taken for images of 3 x 8 pixels with 8 channels. If channels come first, "
        "save np.moveaxis(x, 1, -1)."
    ]
    assert not make(tmp_path, np.moveaxis(x, 1, -1), CLASSES)[1]


def test_targets_for_a_net_of_ones_own_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"unless FILE\.py holds a net for it"):
        make(tmp_path, np.random.default_rng(0).normal(size=(N, 4)), np.zeros((N, 4, 4)))


def test_net_is_saved_and_loaded(tmp_path):
    x = np.random.default_rng(0).normal(size=(N, 16, 5))
    net, _, data = make(tmp_path, x, x[:, 0, 0])
    model = build(net)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    inputs = data.test.x[:5].astype("float32")
    np.testing.assert_array_equal(
        again.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )
