"""`train_all`: every point from every seed, here and on workers."""

import math

import keras
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning import Trainer, train_all

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1]
POINTS = [{"alpha": 0.01, "rate": 0.1}, {"alpha": 0.3, "rate": 0.01}]


def build(point):
    layers = [keras.Input((4,)), keras.layers.Dense(8), LeakyReLU(point["alpha"])]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(point["rate"]), "mse")
    return model


def bias(model):
    return keras.ops.convert_to_numpy(model.layers[-1].bias).tolist()


def test_each_is_what_a_trainer_gives_in_the_order_of_points_and_seeds():
    trained = train_all(build, POINTS, X, Y, seeds=[3, 5], examine=bias, epochs=2, verbose=0)
    assert [(one.point, one.seed) for one in trained] == [(p, s) for p in POINTS for s in (3, 5)]
    for one in trained:
        trainer = Trainer()
        model = trainer.build(lambda: build(one.point), one.seed)  # noqa: B023, called at once
        model, history = trainer.fit(model, X, Y, seed=one.seed, epochs=2, verbose=0)
        assert one.history["loss"] == history.history["loss"]
        assert one.examined == bias(model)
        assert one.failure is None


def test_a_training_that_diverges_ends_and_the_others_go_on():
    points = [{"alpha": 0.1, "rate": 1e30}, POINTS[0]]
    diverged, other = train_all(build, points, X, Y, examine=bias, epochs=5, verbose=0)
    assert diverged.failure.startswith("The training loss became")
    assert diverged.examined is None
    assert len(diverged.history["loss"]) < 5
    assert not math.isfinite(diverged.history["loss"][-1])
    assert other.failure is None
    assert len(other.history["loss"]) == 5


def test_weights_that_the_last_step_breaks_are_seen_in_the_validation_loss():
    """Training in one step: its loss is that of before, and finite."""
    given = {"validation_data": (X, Y), "batch_size": 64, "verbose": 0}
    points = [{"alpha": 0.1, "rate": 1e30}, POINTS[0]]
    diverged, other = train_all(build, points, X, Y, examine=bias, **given)
    assert math.isfinite(diverged.history["loss"][-1])
    assert diverged.failure.startswith("The validation loss became")
    assert diverged.examined is None
    assert other.failure is None


def test_callbacks_are_copied_for_each_training():
    class StopAfterTwo(keras.callbacks.Callback):
        n_epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.n_epochs += 1
            self.model.stop_training = self.n_epochs == 2

    stop = StopAfterTwo()
    trained = train_all(build, POINTS, X, Y, epochs=5, callbacks=[stop], verbose=0)
    assert [len(one.history["loss"]) for one in trained] == [2, 2]
    assert stop.n_epochs == 0


def test_progress_is_shown(capsys):
    train_all(build, POINTS, X, Y)
    assert "2/2" in capsys.readouterr().out
    train_all(build, [], X, Y)
    assert not capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_workers_give_the_same_numbers_whatever_their_number(n_workers):
    def data():
        return X

    here, there = (
        train_all(build, POINTS, data, Y, seeds=[1, 2], examine=bias, verbose=0, **workers)
        for workers in ({}, {"workers": n_workers})
    )
    for a, b in zip(here, there, strict=True):
        assert (a.point, a.seed, a.history, a.examined) == (b.point, b.seed, b.history, b.examined)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"seeds": []}, r"`seeds` must hold at least one int, each once. Received: seeds=\[\]"),
        ({"seeds": [1, 1]}, r"`seeds` must hold at least one int, each once"),
        ({"workers": 2, "client": object()}, r"`workers` must be left out if a `client`"),
    ],
)
def test_what_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        train_all(build, POINTS, X, Y, **kwargs)


def test_an_error_in_build_keeps_its_traceback():
    def wrong(point):
        raise KeyError("no such point")

    with pytest.raises(KeyError, match="no such point") as caught:
        train_all(wrong, POINTS, X, Y, verbose=0)
    assert caught.traceback[-1].name == "wrong"
