"""Files of weights by a template, against those that Keras writes."""

import io

import h5py
import keras
import numpy as np
import pytest

from keras_leaky.layers import PReLU
from keras_leaky.tuning._project.checkpoint import Checkpoint
from keras_leaky.tuning._project.weights_template import WeightsTemplate


def make_model(kind="plain"):
    layers = [keras.Input((6, 6, 2)), keras.layers.Conv2D(3, 3), PReLU()]
    if kind == "norm":
        layers += [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    if kind == "many":
        layers += [layer for _ in range(36) for layer in (keras.layers.Conv2D(3, 1), PReLU())]
    layers += [keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    optimizer = "adam" if kind != "half" else keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def draw(model, seed):
    rng = np.random.default_rng(seed)
    for variable in [*model.variables, *model.optimizer.variables]:
        value = rng.normal(size=variable.shape) * 50
        variable.assign(np.abs(value).astype(keras.backend.standardize_dtype(variable.dtype)))


def contents(data):
    found = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(
            lambda name, part: (
                found.update({name: np.asarray(part)}) if isinstance(part, h5py.Dataset) else None
            )
        )
    return found


def saved_by_keras(model, tmp_path):
    path = tmp_path / "keras.weights.h5"
    model.save_weights(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["plain", "norm", "many"])
def test_files_are_those_of_keras(tmp_path, kind):
    model = make_model(kind)
    for seed in range(4):  # the third is the first by a template
        draw(model, seed)
        before = [np.asarray(v) for v in [*model.variables, *model.optimizer.variables]]
        data = Checkpoint.of(model).weights
        expected, received = contents(saved_by_keras(model, tmp_path)), contents(data)
        assert expected.keys() == received.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(received[name], value)
        for value, variable in zip(
            before, [*model.variables, *model.optimizer.variables], strict=True
        ):
            np.testing.assert_array_equal(np.asarray(variable), value)
    template = WeightsTemplate.of(model, lambda: saved_by_keras(model, tmp_path))
    assert template.fits(model)
    assert not template.fits(make_model(kind))


def test_another_model_loads_what_a_template_wrote():
    model, other = make_model("norm"), make_model("norm")
    for seed in range(3):
        draw(model, seed)
        checkpoint = Checkpoint.of(model)
    checkpoint.load_into(other)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class _Doubled(keras.layers.Layer):
    """Saves something else than its variables."""

    def build(self, shape):
        self.kernel = self.add_weight((2, 2), name="kernel")

    def call(self, inputs):
        return inputs

    def save_own_variables(self, store):
        store["doubled"] = 2 * np.asarray(self.kernel)

    def load_own_variables(self, store):
        self.kernel.assign(np.asarray(store["doubled"]) / 2)


def test_a_layer_that_saves_something_else_has_no_template(tmp_path):
    model = keras.Sequential([keras.Input((2,)), _Doubled(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    for seed in range(3):
        draw(model, seed)
        data = Checkpoint.of(model).weights
        expected, received = contents(saved_by_keras(model, tmp_path)), contents(data)
        for name, value in expected.items():
            np.testing.assert_array_equal(received[name], value)
    assert not WeightsTemplate.of(model, lambda: saved_by_keras(model, tmp_path)).fits(model)


def test_a_model_that_was_compiled_again_is_saved_by_keras(tmp_path):
    model = make_model()
    for seed in range(3):
        draw(model, seed)
        Checkpoint.of(model)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse")
    model.optimizer.build(model.trainable_variables)
    draw(model, 5)
    expected = contents(saved_by_keras(model, tmp_path))
    received = contents(Checkpoint.of(model).weights)
    assert expected.keys() == received.keys()
