"""The kind of fault: a used program still holds something of the trial before.

A variable that nobody loads, state outside of all variables, and what callbacks changed.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.tuning import Trainer

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
TENSORFLOW_ONLY = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="uses TensorFlow's own state"
)


class AnnealedLoss(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.weight = keras.Variable(1.0, trainable=False)

    def call(self, y_true, y_pred):
        self.weight.assign(self.weight * 1.2)
        return self.weight * keras.ops.mean((y_true - y_pred) ** 2, -1)


def make_hidden_annealed_loss():
    """Its variable cannot be reached: it is in an object that looks like a number."""
    kept = {}

    def loss(y_true, y_pred):
        weight = VARIABLES[kept.setdefault("number", len(VARIABLES) - 1)]
        weight.assign(weight * 1.2)
        return weight * keras.ops.mean((y_true - y_pred) ** 2, -1)

    VARIABLES.append(keras.Variable(1.0, trainable=False))
    return loss


VARIABLES = []


class AnnealedRegularizer(keras.regularizers.Regularizer):
    def __init__(self):
        self.weight = keras.Variable(0.1, trainable=False)

    def __call__(self, x):
        self.weight.assign(self.weight * 1.5)
        return self.weight * keras.ops.sum(x**2)


class NeverReset(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(keras.ops.mean((y_true - y_pred) ** 2))

    def reset_state(self):
        pass


class TensorFlowNoise:
    """Noise by TensorFlow's own generator, in a loss."""

    def __init__(self):
        self.generator = tf.random.Generator.from_seed(1)

    def __call__(self, y_true, y_pred):
        noise = self.generator.uniform([])
        return (1 + noise) * keras.ops.mean((y_true - y_pred) ** 2, -1)


def op_noise(y_true, y_pred):
    return (1 + tf.random.uniform([])) * keras.ops.mean((y_true - y_pred) ** 2, -1)


class Counting:
    """State in Python, changed in each step."""

    def __init__(self):
        self.n = 0

    def __call__(self, y_true, y_pred):
        factor = tf.numpy_function(self.count, [], tf.float32)
        factor.set_shape([])
        return factor * keras.ops.mean((y_true - y_pred) ** 2, -1)

    def count(self):
        self.n += 1
        return np.float32(self.n)


def keras_noise(y_true, y_pred):
    return (1 + keras.random.uniform([])) * keras.ops.mean((y_true - y_pred) ** 2, -1)


def stateful_lstm():
    return [keras.layers.Reshape((2, 2)), keras.layers.LSTM(2, stateful=True)]


CASES = {
    "annealed loss": lambda: {"loss": AnnealedLoss()},
    "hidden annealed loss": lambda: {"loss": make_hidden_annealed_loss()},
    "annealed regularizer": lambda: {
        "layers": [keras.layers.Dense(1, kernel_regularizer=AnnealedRegularizer())]
    },
    "stateful LSTM": lambda: {"layers": stateful_lstm(), "batch_shape": (8, 4)},
    "metric that does not reset": lambda: {"metrics": [NeverReset(name="never")]},
    "generator of Keras": lambda: {"loss": keras_noise},
}
TENSORFLOW_CASES = {
    "generator of TensorFlow": lambda: {"loss": TensorFlowNoise()},
    "random operation of TensorFlow": lambda: {"loss": op_noise},
    "state in Python": lambda: {"loss": Counting()},
}


def make_build(case):
    def build():
        given = {
            "optimizer": "sgd",
            "loss": "mse",
            "layers": [],
            "batch_shape": (None, 4),
            **case(),
        }
        inputs = keras.Input(batch_shape=given.pop("batch_shape"))
        model = keras.Sequential([inputs, *given.pop("layers"), keras.layers.Dense(1)])
        model.compile(**given)
        return model

    return build


def train(trainer, build, callbacks=(), epochs=2, **kwargs):
    model = trainer.build(build, seed=1)
    arguments = {"epochs": epochs, "batch_size": 8, "verbose": 0, "callbacks": list(callbacks)}
    return trainer.train(model, X, X[:, :1], seed=1, **arguments, **kwargs)[1].history


@pytest.mark.parametrize("path", ["one call an epoch", "fit"])
@pytest.mark.parametrize(
    "name", [*CASES, *(pytest.param(name, marks=TENSORFLOW_ONLY) for name in TENSORFLOW_CASES)]
)
def test_three_identical_trainings_give_the_same(name, path):
    build, trainer = make_build({**CASES, **TENSORFLOW_CASES}[name]), Trainer()
    # A hook for batches, which only `fit` has.
    hook = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    callbacks = [hook] if path == "fit" else []
    histories = [train(trainer, build, callbacks) for _ in range(3)]
    assert histories[0] == histories[1] == histories[2]


class Change(keras.callbacks.Callback):
    """Changes something of the model, and leaves it so."""

    def __init__(self, moment, change):
        super().__init__()
        self.moment, self.change = moment, change

    def _at(self, moment):
        if moment == self.moment:
            self.change(self.model)

    def on_train_begin(self, logs=None):
        self._at("train")

    def on_test_begin(self, logs=None):
        self._at("test")

    def on_epoch_end(self, epoch, logs=None):
        self._at("epoch end")


def lower_rate(model):
    model.layers[0].rate = 0.0


def freeze(model):
    model.layers[-1].trainable = False


def scale(model):
    model.layers[1].factor = 3.0


class Scaling(keras.layers.Layer):
    factor = 1.0

    def call(self, inputs):
        return inputs * self.factor


def build_to_change():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dropout(0.5),
            Scaling(),
            keras.layers.Dense(3),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model


PATHS = ("one call an epoch", "fit")
IN_CI = {(lower_rate, "train", "fit"), (scale, "test", "one call an epoch")}
IN_CI |= {(freeze, "epoch end", path) for path in PATHS}


@pytest.mark.parametrize(
    ("change", "moment", "path"),
    [
        pytest.param(*case, marks=[] if case in IN_CI else pytest.mark.soak)
        for case in itertools.product(
            (lower_rate, freeze, scale), ("train", "test", "epoch end"), PATHS
        )
    ],
)
def test_what_a_callback_changes_concerns_its_training_alone(change, moment, path):
    """Before, after and between trainings without that callback, in one trainer."""
    hook = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    hooks = [hook] if path == "fit" else []
    data = {"validation_data": (X[:8], X[:8, :1]), "epochs": 2}

    def run(trainer, *callbacks):
        return train(trainer, build_to_change, [*callbacks, *hooks], **data)

    changing = Change(moment, change)
    plain, changed = run(Trainer()), run(Trainer(), changing)
    trainer = Trainer()
    assert [run(trainer, *c) for c in ([], [changing], [], [changing])] == [
        plain,
        changed,
        plain,
        changed,
    ]
