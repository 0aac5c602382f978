"""A search that trains, for processes that are killed or run out of disk."""

import keras
import numpy as np

from keras_leaky import tuning

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")


def build(hp):
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def search(folder, cls=tuning.RandomSearch):
    tuner = cls(build, "val_loss", max_trials=6, seed=1, directory=folder)
    tuner.search(X, X[:, 0], validation_split=0.25, epochs=2, verbose=0)
    return tuner


def results(tuner):
    """Values, score and weights of each trial."""
    return {
        name: (
            trial.hyperparameters.values,
            trial.score,
            tuner.load_model(trial).get_weights()[0].tolist(),
        )
        for name, trial in tuner.oracle.trials.items()
    }
