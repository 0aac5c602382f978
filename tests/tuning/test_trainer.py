"""Trainings that are no trials."""

import random
import threading
import time

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
    (_, losses), (_, other) = fit(trainer, 0.1), fit(trainer, 0.3)
    assert len(trainer._programs._programs) == 1
    assert losses != other
    assert fit(Trainer(), 0.3)[1] == other


def test_trained_models_stay_what_they_are():
    """Weights, predictions, optimizer: after other trainings, and after one of their own."""
    alphas, trainer = (0.1, 0.3, 0.9), Trainer()
    models = [fit(trainer, alpha)[0] for alpha in alphas]
    for model, alpha in zip(models, alphas, strict=True):
        alone, _ = fit(Trainer(), alpha)
        np.testing.assert_array_equal(model.predict(X, verbose=0), alone.predict(X, verbose=0))
        for some, other in zip(model.optimizer.variables, alone.optimizer.variables, strict=True):
            np.testing.assert_array_equal(some, other)
    before = [model.get_weights() for model in models]
    models[0].fit(X, Y, epochs=1, verbose=0)  # the one whose program the others ran in
    assert not all(map(np.array_equal, before[0], models[0].get_weights()))
    after = models[0].get_weights()
    again, losses = fit(trainer, 0.9)
    assert losses == fit(Trainer(), 0.9)[1]
    assert all(map(np.array_equal, after, models[0].get_weights()))
    assert all(map(np.array_equal, before[2], models[2].get_weights()))
    assert all(map(np.array_equal, before[2], again.get_weights()))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.compile("sgd", "mae"),
        lambda model: setattr(model.layers[0], "stddev", 3.0),
        lambda model: setattr(model.layers[1], "trainable", False),
    ],
)
def test_what_a_user_does_with_a_trained_model_concerns_no_other(change):
    trainer = Trainer()
    first, _ = fit(trainer, 0.1)
    change(first)
    before = first.get_weights()
    assert fit(trainer, 0.3)[1] == fit(Trainer(), 0.3)[1]
    assert all(map(np.array_equal, before, first.get_weights()))


def test_weights_from_outside_of_build_are_told(caplog):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="made")])

    def wrap():
        model = keras.Sequential([made, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    trainer = Trainer()
    for seed in (1, 1):
        trainer.build(wrap, seed)
    assert not caplog.records
    for seed in (2, 3):
        trainer.build(wrap, seed)
    (record,) = caplog.records
    assert "`build` returned models with the same weights for two seeds: " in (record.getMessage())


def test_weights_that_build_draws_are_not_told(caplog):
    trainer = Trainer()
    for seed in (1, 2, 3):
        trainer.build(build, seed)
    assert not caplog.records


def test_seed_decides():
    trainer = Trainer()
    assert fit(trainer, 0.1, seed=1)[1] == fit(trainer, 0.1, seed=1)[1]
    assert fit(trainer, 0.1, seed=1)[1] != fit(trainer, 0.1, seed=2)[1]


def test_a_thread_that_draws_all_the_time_changes_nothing():
    """As the one of a Dask worker that talks to the scheduler: Keras seeds itself by `random`."""
    drawn, is_over = [], threading.Event()

    def draw():
        while not is_over.is_set():
            drawn.append(random.random())
            time.sleep(1e-5)

    def numbers(by_fit):
        def build_so():
            model = build(noise=0.1)
            model.run_eagerly = by_fit  # which `fit` then trains
            return model

        trainer = Trainer()
        model = trainer.build(build_so, 1)
        model, _ = trainer.fit(model, X, Y, seed=1, epochs=1, batch_size=8, verbose=0)
        return model.get_weights()

    functions = random.random, random.randint, random.seed
    for by_fit in (False, True):
        alone = numbers(by_fit)
        is_over.clear()
        thread = threading.Thread(target=draw)
        thread.start()
        beside = numbers(by_fit)
        is_over.set()
        thread.join()
        for a, b in zip(alone, beside, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(set(drawn)) > 1000, "the other thread has its own draws"
    assert (random.random, random.randint, random.seed) == functions


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


def test_what_a_callback_saves_has_the_slope_and_rate_of_its_training(tmp_path):
    def build_with_schedule(alpha):
        model = build(alpha)
        rate = keras.optimizers.schedules.CosineDecay(alpha, 10)
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    trainer = Trainer()
    for alpha in (0.1, 0.3):
        path = tmp_path / f"{alpha}.keras"
        saving = keras.callbacks.ModelCheckpoint(str(path))
        model = trainer.build(lambda a=alpha: build_with_schedule(a), seed=1)
        trainer.fit(model, X, Y, seed=1, callbacks=[saving], verbose=0)
        loaded = keras.saving.load_model(path)
        assert loaded.layers[3].negative_slope == alpha
        assert loaded.optimizer.get_config()["learning_rate"]["config"]["learning_rate"] == alpha
    assert len(trainer._programs._programs) == 1


def test_weight_decay_that_is_excluded_behind_loss_scaling_is_another_structure():
    def build_excluding(names):
        model = build()
        optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=names)
        model.compile(keras.optimizers.LossScaleOptimizer(optimizer), "mse")
        return model

    trainer = Trainer()
    for names in (["kernel"], ["nothing"]):
        trainer.fit(trainer.build(lambda n=names: build_excluding(n), 1), X, Y, seed=1, verbose=0)
    assert len(trainer._programs._programs) == 2


def test_data_that_changed_in_place_has_to_be_forgotten():
    trainer, x = Trainer(), X.copy()

    def loss():
        model = trainer.build(build, seed=1)
        return trainer.fit(model, x, Y, seed=1, verbose=0)[1].history["loss"]

    before = loss()
    x *= 10
    assert loss() == before
    trainer.forget_data()
    assert loss() != before


def test_class_weights_of_other_classes_are_other_weights():
    trainer, labels = Trainer(), (X[:, 0] > 0).astype("int64")

    def loss(class_weight):
        model = trainer.build(build, seed=1)
        arguments = {"class_weight": class_weight, "seed": 1, "verbose": 0}
        return trainer.fit(model, X, labels, **arguments)[1].history["loss"]

    weight = 5.0
    assert loss({0: weight}) != loss({1: weight})


def test_a_subclassed_model_that_is_not_built_goes_through_fit(caplog):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs)

    def build_subclass():
        model = Model()
        model.compile("sgd", "mse")
        return model

    trainer = Trainer()
    _, history = trainer.fit(trainer.build(build_subclass, 1), X, Y, seed=1, verbose=0)
    assert len(history.history["loss"]) == 1
    assert "because the model is not built" in caplog.text
