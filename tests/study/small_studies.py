"""Studies of seconds: tiny nets on made-up data."""

import keras
import numpy as np

from keras_leaky.study import Study

N_CLASSES = 3


def make_data(n=120, seed=0):
    """`(x, y)`: points around three centers."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % N_CLASSES
    centers = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    return (2 * centers[y] + rng.normal(size=(n, 4))).astype("float32"), y


X, Y = make_data()
VALIDATION, TEST = make_data(60, 1), make_data(60, 2)
FIT = {"validation_data": VALIDATION, "epochs": 2, "batch_size": 30, "verbose": 0}


def build(hp, rectifier):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(8, kernel_initializer=rectifier.initializer()),
        rectifier(),
        keras.layers.Dense(N_CLASSES),
    ]
    model = keras.Sequential(layers)
    model.compile(
        keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def make_study(directory, function=build, **kwargs):
    given = {"arms": ["leaky_relu"], "trials": 3, "finalists": 2, "seeds": 2, "seed": 7}
    return Study(function, directory=directory, **{**given, **kwargs})


def rows_without_times(rows):
    """Rows that can be compared between runs."""
    return [{**row, "seconds": None} for row in rows.to_dicts()]
