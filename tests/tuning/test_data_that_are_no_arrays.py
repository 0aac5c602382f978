"""Data that are no NumPy arrays, losses and metrics over whole batches: as `fit`, or by `fit`."""

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_leaky.tuning import RandomSearch, Trainer

X = np.random.default_rng(0).normal(size=(44, 4)).astype("float32")
Y = (X[:, :3] == X[:, :3].max(1, keepdims=True)).astype("float32")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="data sets of TensorFlow"
)


def build(n_inputs=4, **compiling):
    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((n_inputs,)), *layers, keras.layers.Softmax()])
    model.compile(**{"optimizer": "adam", "loss": "categorical_crossentropy", **compiling})
    return model


def datasets():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    weighted = tf.data.Dataset.from_tensor_slices((X, Y, np.linspace(0, 1, 44))).batch(8)
    return {
        "batches": dataset,
        "weighted": weighted,
        "shuffled": dataset.unbatch().shuffle(50, seed=3, reshuffle_each_iteration=False).batch(8),
        "of unknown length": dataset.filter(lambda x, y: tf.reduce_any(x > 0)),
    }


def assert_equal(history, expected, rtol=2e-5):
    assert history.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=rtol, err_msg=name)


# Of Keras's own `fit`, where a data set does not know its length.
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize("name", datasets())
def test_a_data_set_is_trained_as_fit_does_it(name, caplog):
    dataset, validation = datasets()[name], datasets()["batches"].take(2)
    arguments = {"epochs": 2, "verbose": 0, "validation_data": validation}
    trainer = Trainer()
    for _ in range(2):
        model = trainer.build(build, seed=1)
        history = trainer.fit(model, dataset, seed=1, **arguments)[1].history
        expected = trainer.build(build, seed=1).fit(dataset, **arguments).history
        # `fit` may trace a second time for batches of any size, where BatchNormalization rounds
        # its gradient otherwise.
        assert_equal(history, expected, rtol=5e-4)
    assert not caplog.records  # not by `fit`, which would be said
    assert len(trainer._programs._programs) == 1


TABLES = {
    "numbers": (pd.DataFrame(X), pd.DataFrame(Y)),
    "other numbers": (pd.DataFrame(X.astype("float64")).assign(n=range(44)), pd.DataFrame(Y) > 0),
    "a column": (pd.DataFrame(X), pd.Series(Y.argmax(1))),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_trained_as_fit_does_it_and_as_arrays(name, caplog):
    x, y = TABLES[name]
    loss = "sparse_categorical_crossentropy" if y.ndim == 1 else "categorical_crossentropy"
    arguments = {"shuffle": False, "epochs": 2, "batch_size": 8, "verbose": 0}
    arguments["validation_split"] = 0.25

    def make():
        return build(x.shape[1], loss=loss)

    trainer = Trainer()
    history = trainer.fit(trainer.build(make, seed=1), x, y, seed=1, **arguments)[1].history
    assert_equal(history, trainer.build(make, seed=1).fit(x, y, **arguments).history)
    arrays = x.to_numpy(), y.to_numpy().reshape(44, -1)
    again = trainer.fit(trainer.build(make, seed=1), *arrays, seed=1, **arguments)[1].history
    assert again == history
    assert not caplog.records  # not by `fit`, which would be said
    assert len(trainer._programs._programs) == 1


def test_tables_of_bools_and_numbers_go_through_fit(caplog):
    trainer, table = Trainer(), pd.DataFrame(X).assign(is_big=X[:, 0] > 0)
    model = trainer.build(lambda: build(5), seed=1)
    with pytest.raises(ValueError, match="object type"):  # of Keras
        trainer.train(model, table, Y, seed=1, verbose=0)
    assert "because the data are not arrays" in caplog.text


def test_tensors_are_arrays(caplog):
    def run(*data):
        trainer = Trainer()
        arguments = {"epochs": 2, "verbose": 0, "validation_split": 0.25, "batch_size": 8}
        return trainer.fit(trainer.build(build, seed=1), *data, seed=1, **arguments)[1].history

    assert run(tf.constant(X), tf.constant(Y)) == run(X, Y)
    assert run(tf.constant(X, tf.float64), tf.constant(Y)) == run(X, Y)
    assert not caplog.records


def pairs(y_true, y_pred):
    """Over halves of a batch: an even number of samples or none."""
    first, second = keras.ops.split(y_pred - y_true, 2, axis=0)
    return keras.ops.mean((first - second) ** 2)


class Rate(keras.layers.Layer):
    def call(self, inputs):
        self.add_loss(keras.ops.mean(inputs**2))
        return inputs


def build_with_losses_alone():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Rate()(keras.layers.Dense(3)(inputs)))
    model.compile("adam")
    return model


BUILDS = {
    "F1Score": lambda: build(metrics=[keras.metrics.F1Score()]),
    "pairs": lambda: build(loss=pairs),
    "AUC of labels": lambda: build(metrics=[keras.metrics.AUC(multi_label=True)]),
    "losses of layers alone": build_with_losses_alone,
}


@pytest.mark.parametrize("name", BUILDS)
def test_losses_and_metrics_over_whole_batches(name):
    trainer = Trainer()
    arguments = {"epochs": 2, "verbose": 0, "batch_size": 22, "shuffle": False}
    for _ in range(2):
        model = trainer.build(BUILDS[name], seed=1)
        y = None if name == "losses of layers alone" else Y
        history = trainer.fit(model, X[:, :4], y, seed=1, **arguments)[1].history
        expected = trainer.build(BUILDS[name], seed=1).fit(X, y, **arguments).history
        assert_equal(history, expected)


def test_a_batch_size_tuned_in_fit_is_compiled(tmp_path, caplog):
    """The way that KerasTuner's guide documents."""

    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            return build(optimizer=keras.optimizers.Adam(hp.Choice("rate", [0.01, 0.02])))

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch_size", [4, 8]), **kwargs)

    tuner = RandomSearch(Model(), "val_loss", max_trials=4, seed=1, directory=tmp_path)
    tuner.search(X, Y, validation_split=0.25, epochs=2, verbose=0)
    assert not caplog.records
    assert len(tuner._trainer._programs._programs) == 1
    trials = tuner.oracle.trials.values()
    assert {trial.hyperparameters["batch_size"] for trial in trials} == {4, 8}
    assert len({trial.score for trial in trials}) == 4


def test_a_fit_that_recompiles_and_calls_fit_again(tmp_path):
    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            return build(optimizer=keras.optimizers.Adam(hp.Choice("rate", [0.01, 0.02])))

        def fit(self, hp, model, *args, **kwargs):
            model.fit(*args, **kwargs)
            model.layers[0].trainable = False
            model.compile("sgd", "mse")
            return model.fit(*args, **kwargs)

    def scores(folder, forget):
        class Tuner(RandomSearch):
            def run_trial(self, trial, *args, **kwargs):
                if forget:
                    self._trainer._programs._programs.clear()
                return super().run_trial(trial, *args, **kwargs)

        tuner = Tuner(Model(), "val_loss", max_trials=2, seed=1, directory=tmp_path / folder)
        tuner.search(X, Y, validation_split=0.25, epochs=1, verbose=0)
        return [trial.score for trial in tuner.oracle.trials.values()]

    assert scores("used", False) == scores("fresh", True)
