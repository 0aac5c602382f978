"""Objects of a user's own classes: none shares a program with another that does something else."""

import functools

import keras
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning import Trainer

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")


class Loss(keras.losses.Loss):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean((y_true - y_pred) ** 2, -1)


class Dense(keras.layers.Dense):
    def __init__(self, factor):
        super().__init__(1)
        self.factor = factor

    def call(self, inputs):
        return self.factor * super().call(inputs)


class Constraint(keras.constraints.Constraint):
    def __init__(self, factor):
        self._factor = factor

    def __call__(self, w):
        return w * self._factor


class Regularizer(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * keras.ops.sum(x**2)

    def get_config(self):
        return {}


class Sgd(keras.optimizers.SGD):
    def __init__(self, factor):
        super().__init__(0.01)
        self.factor = factor

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * self.factor, variable, learning_rate)


class Metric(keras.metrics.Mean):
    def __init__(self, factor):
        super().__init__(name="metric")
        self.factor = factor

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(self.factor * keras.ops.mean(y_pred))


class Schedule(keras.optimizers.schedules.CosineDecay):
    def __init__(self, factor):
        super().__init__(0.1, 10)
        self.factor = factor

    def __call__(self, step):
        return self.factor * super().__call__(step)


class Scaling:
    def __init__(self, factor):
        self.factor = factor

    def act(self, x):
        return self.factor * x

    def loss(self, y_true, y_pred):
        return self.factor * keras.ops.mean((y_true - y_pred) ** 2)


class Masked(keras.layers.Layer):
    """Holds an array, which no config can tell."""

    def __init__(self, factor):
        super().__init__()
        self.mask = np.full(4, factor, "float32")

    def call(self, inputs):
        return inputs * self.mask


MADE_BEFORE = {factor: LeakyReLU(-factor, name="act") for factor in (1.0, 3.0)}
PARTS = {
    "loss": lambda factor: {"loss": Loss(factor)},
    "layer": lambda factor: {"layer": Dense(factor)},
    "constraint": lambda factor: {
        "layer": keras.layers.Dense(1, kernel_constraint=Constraint(factor))
    },
    "regularizer": lambda factor: {
        "layer": keras.layers.Dense(1, kernel_regularizer=Regularizer(factor))
    },
    "optimizer": lambda factor: {"optimizer": Sgd(factor)},
    "schedule": lambda factor: {"optimizer": keras.optimizers.SGD(Schedule(factor))},
    "metric": lambda factor: {"metrics": [Metric(factor)]},
    "loss that is a method": lambda factor: {"loss": Scaling(factor).loss},
    "activation that is a method": lambda factor: {
        "layer": keras.layers.Dense(1, activation=Scaling(factor).act)
    },
    "activation that is a partial function": lambda factor: {
        "layer": keras.layers.Dense(1, activation=functools.partial(keras.ops.multiply, factor))
    },
    "array": lambda factor: {"layer": Masked(factor)},
    "rectifier made before": lambda factor: {"layer": MADE_BEFORE[factor]},
}


def build(part, factor):
    given = {
        "layer": keras.layers.Dense(1),
        "loss": "mse",
        "optimizer": "sgd",
        **PARTS[part](factor),
    }
    model = keras.Sequential([keras.Input((4,)), given.pop("layer"), keras.layers.Dense(1)])
    model.compile(**given)
    return model


def losses(trainer, part, factor):
    model = trainer.build(lambda: build(part, factor), seed=1)
    _, history = trainer.fit(model, X, X[:, :1], seed=1, epochs=2, batch_size=8, verbose=0)
    return history.history


@pytest.mark.parametrize("part", PARTS)
def test_what_differs_in_a_number_of_its_own_has_its_own_program(part):
    trainer = Trainer()
    first = losses(trainer, part, 1.0)
    assert losses(trainer, part, 3.0) == losses(Trainer(), part, 3.0) != first
    assert losses(trainer, part, 1.0) == first


@pytest.mark.parametrize("part", ["loss", "layer", "constraint", "optimizer", "metric", "array"])
def test_what_differs_in_nothing_shares_a_program(part):
    trainer = Trainer()
    assert losses(trainer, part, 3.0) == losses(trainer, part, 3.0)
    assert len(trainer._programs._programs) == 1
