"""The kind: an array that two models share, which JAX frees for both when one of them is trained.

On JAX a variable that is assigned to another shares its array. No NumPy view may be held here: on a
CPU that would keep the array.
"""

import keras
import numpy as np
import pytest

from keras_leaky import replace_activations
from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning import Trainer

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = X[:, :1]


def net():
    layers = [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.BatchNormalization()]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("weights", ["keep", "draw"])
def test_a_copy_with_other_activations(weights):
    model = net()
    model.layers[0].trainable = weights == "keep"  # what is frozen is copied
    copy = replace_activations(model, {"relu": LeakyReLU(0.1)}, weights=weights)
    copy.compile("adam", "mse")
    copy.fit(X, Y, verbose=0)
    assert np.isfinite(model.predict(X, verbose=0)).all()


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch compiles no epoch")
@pytest.mark.parametrize("method", ["fit", "train"])
def test_a_model_that_others_start_from(method):
    pretrained, trainer = net(), Trainer()

    def build():
        model = net()
        for variable, other in zip(model.variables, pretrained.variables, strict=True):
            variable.assign(other)
        return model

    for seed in (1, 2, 3):
        model = trainer.build(build, seed)
        getattr(trainer, method)(model, X, Y, seed=seed, epochs=2, verbose=0)
    assert np.isfinite(pretrained.predict(X, verbose=0)).all()
