"""Trainings that are no trials."""

import keras
import numpy as np
import pytest

from keras_leaky.layers import ELU, LeakyReLU
from keras_leaky.tuning import Trainer

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = X[:, :1] ** 2


def build(alpha=0.1, width=5, noise=0.0):
    layers = [keras.Input((4,)), keras.layers.GaussianNoise(noise), keras.layers.Dense(width)]
    layers += [keras.layers.BatchNormalization(), LeakyReLU(alpha), keras.layers.Dense(3), ELU(0.7)]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def fit(trainer, alpha, seed=1):
    model = trainer.build(lambda: build(alpha, noise=0.1), seed)
    model, history = trainer.fit(model, X, Y, seed=seed, epochs=2, batch_size=8, verbose=0)
    return model, history.history["loss"]


def test_trainings_of_one_structure_share_a_program():
    trainer = Trainer()
    (first, losses), (second, other) = fit(trainer, 0.1), fit(trainer, 0.3)
    assert first is second
    assert losses != other
    assert fit(Trainer(), 0.3)[1] == other


def test_seed_decides():
    trainer = Trainer()
    assert fit(trainer, 0.1, seed=1)[1] == fit(trainer, 0.1, seed=1)[1]
    assert fit(trainer, 0.1, seed=1)[1] != fit(trainer, 0.1, seed=2)[1]


def test_a_copy_is_the_trained_model_with_slopes_that_are_numbers(tmp_path):
    trainer = Trainer()
    fit(trainer, 0.1)  # the program is of this model, and its config says so
    trained, _ = fit(trainer, 0.4)
    copy = trainer.copy(trained, lambda: build(0.4))
    predictions = copy.predict(X, verbose=0)
    np.testing.assert_allclose(predictions, trained.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    assert copy.layers[3].get_config()["negative_slope"] == 0.4
    assert copy.layers[3].variables == []
    fit(trainer, 0.1)
    np.testing.assert_array_equal(copy.predict(X, verbose=0), predictions)
    copy.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), predictions)


def test_a_copy_needs_the_same_weights():
    trainer = Trainer()
    trained, _ = fit(trainer, 0.1)
    with pytest.raises(ValueError, match="shape"):
        trainer.copy(trained, lambda: build(width=6))


def test_what_the_compiled_epoch_does_not_cover_goes_through_fit(caplog):
    class Batches(keras.callbacks.Callback):
        n = 0

        def on_train_batch_end(self, batch, logs=None):
            self.n += 1

    trainer, batches = Trainer(), Batches()
    model = trainer.build(build, seed=1)
    trainer.fit(model, X, Y, seed=1, batch_size=8, callbacks=[batches], verbose=0)
    assert batches.n == 5
    assert "because Batches has `on_train_batch_end`" in caplog.text
