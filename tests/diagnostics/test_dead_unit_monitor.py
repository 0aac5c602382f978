"""Dead units over the epochs: what the logs, the history and the pictures show."""

import copy
import csv
import logging

import keras
import numpy as np
import pytest

from keras_leaky.diagnostics import DeadUnitMonitor
from keras_leaky.layers import LeakyReLU, PReLU
from keras_leaky.tuning import Trainer

L = keras.layers
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = np.ones((64, 6), "float32")
NAMES = {"dead_fraction", "inactive_fraction", "dead_fraction/h", "inactive_fraction/h"}


def make_model(activation="relu", learning_rate=0.01):
    model = keras.Sequential([keras.Input((4,)), L.Dense(6, activation, name="h")])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


def kill(model, *units):
    kernel, bias = model.layers[0].get_weights()[:2]
    bias[list(units)] = -100.0
    model.layers[0].set_weights([kernel, bias, *model.layers[0].get_weights()[2:]])


def test_fractions_in_the_logs(tmp_path):
    model, monitor = make_model(), DeadUnitMonitor(X)
    kill(model, 0, 1, 4)
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    history = model.fit(X, Y, epochs=2, callbacks=[monitor, log], verbose=0).history
    assert set(history) > NAMES
    assert history["dead_fraction"] == history["dead_fraction/h"] == [0.5, 0.5]
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [float(row["inactive_fraction/h"]) for row in rows] == [0.5, 0.5]
    assert list(monitor.reports) == [0, 1, 2]
    assert monitor.reports[0].dead_fraction == 0.5


def test_the_totals_alone():
    model, monitor = make_model(), DeadUnitMonitor(X, per_layer=False)
    kill(model, 0, 1, 4)
    history = model.fit(X, Y, epochs=2, callbacks=[copy.deepcopy(monitor)], verbose=0).history
    assert set(history) == {"loss", "dead_fraction", "inactive_fraction"}
    assert history["dead_fraction"] == [0.5, 0.5]
    model, monitor = make_model("relu", 1e30), DeadUnitMonitor(X, per_layer=False)
    history = model.fit(X, 1e9 * Y, epochs=3, callbacks=[monitor], verbose=0).history
    assert set(history) == {"loss", "dead_fraction", "inactive_fraction"}
    with pytest.raises(ValueError, match=r"`per_layer` must be .* Received: per_layer=1"):
        DeadUnitMonitor(X, per_layer=1)


def test_early_stopping_sees_it():
    model, monitor = make_model(), DeadUnitMonitor(X)
    kill(model, 0)
    stop = keras.callbacks.EarlyStopping(monitor="dead_fraction", mode="min", patience=2)
    model.fit(X, Y, epochs=9, callbacks=[monitor, stop], verbose=0)
    assert list(monitor.reports) == [0, 1, 2, 3]


def test_every_so_many_epochs():
    model, monitor = make_model(), DeadUnitMonitor(X, every=2, batch_size=10)
    history = model.fit(X, Y, epochs=5, callbacks=[monitor], verbose=0).history
    assert list(monitor.reports) == [0, 2, 4]
    assert history["dead_fraction"][0] == monitor.reports[0].dead_fraction
    assert len(history["dead_fraction/h"]) == 5
    model.fit(X, Y, epochs=1, callbacks=[monitor], verbose=0)
    assert list(monitor.reports) == [0]  # of the last training


def test_units_that_die_and_leaky_ones_that_come_back():
    for activation, comes_back in (("relu", False), (LeakyReLU(0.5), True)):
        model, monitor = make_model(activation, 1.0), DeadUnitMonitor(X)
        kernel, bias = model.layers[0].get_weights()
        model.layers[0].set_weights([kernel * 0, bias - 0.1])
        model.fit(X, Y, epochs=20, callbacks=[monitor], verbose=0)
        assert monitor.reports[0].inactive_fraction == 1
        assert (monitor.reports[20].inactive_fraction < 1) == comes_back


def test_alphas_of_prelu():
    model = make_model(PReLU(0.3, name="rectifier"))
    model.add(L.PReLU(name="of_keras"))
    monitor = DeadUnitMonitor(X)
    model.fit(X, Y, epochs=3, callbacks=[monitor], verbose=0)
    assert monitor.alphas[0]["rectifier"] == pytest.approx(0.3)
    np.testing.assert_array_equal(monitor.alphas[3]["rectifier"], model.layers[0].activation.alpha)
    assert set(monitor.alphas[3]) == {"rectifier", "of_keras"}
    dead, inactive, alphas = monitor.plot().axes
    assert [axes.get_title(loc="left") for axes in (dead, inactive)] == [
        "Dead units",
        "Inactive units",
    ]
    np.testing.assert_allclose(
        alphas.lines[0].get_ydata(), [monitor.alphas[i]["rectifier"].mean() for i in range(4)]
    )


def test_a_training_that_diverges_goes_on():
    model, monitor = make_model("relu", 1e30), DeadUnitMonitor(X)
    history = model.fit(X, 1e9 * Y, epochs=3, callbacks=[monitor], verbose=0).history
    assert monitor.reports[3] is None
    assert np.isnan(history["dead_fraction"][-1])
    assert np.isnan(history["inactive_fraction/h"][-1])
    assert len(monitor.plot().axes[0].lines) == 1


def test_the_compiled_epoch_covers_it(caplog):
    trainer, monitor = Trainer(), DeadUnitMonitor(X)
    model = trainer.build(lambda: make_model(LeakyReLU(0.1)), seed=1)
    with caplog.at_level(logging.WARNING):
        _, history = trainer.fit(model, X, Y, seed=1, epochs=2, callbacks=[monitor], verbose=0)
    if keras.backend.backend() != "torch":  # no compiled epoch there
        assert not caplog.records
    assert set(history.history) > NAMES
    assert list(monitor.reports) == [0, 1, 2]


def test_a_training_that_is_gone_on_with_keeps_its_record():
    model, monitor = make_model(), DeadUnitMonitor(X, every=2)
    model.fit(X, Y, epochs=5, callbacks=[monitor], verbose=0)
    model.fit(X, Y, epochs=8, initial_epoch=5, callbacks=[monitor], verbose=0)
    assert list(monitor.reports) == [0, 2, 4, 5, 6, 8]


def test_copies_share_the_sample_and_nothing_else():
    monitor = DeadUnitMonitor(X)
    new = copy.deepcopy(monitor)
    assert new.data is X
    make_model().fit(X, Y, callbacks=[new], verbose=0)
    assert not monitor.reports


def test_iterators_are_refused():
    with pytest.raises(ValueError, match="not an iterator"):
        DeadUnitMonitor(iter([X]))


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_wrong_every(every):
    with pytest.raises(ValueError, match=r"`every` must be a whole number .* Received: every="):
        DeadUnitMonitor(X, every=every)


def test_wrong_data_are_refused_before_the_training():
    with pytest.raises(ValueError, match="`data` must hold at least one sample"):
        make_model().fit(X, Y, callbacks=[DeadUnitMonitor(X[:0])], verbose=0)
