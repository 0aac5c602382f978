"""Which models share a program, and which do not."""

import abc
import collections
import dataclasses
import enum
import functools
import logging
import math
import random
import re
import threading
import types
from typing import Generic, NamedTuple, TypeVar

import keras
import numpy as np
import pytest

import keras_leaky
from keras_leaky.layers.slope import variable_slopes
from keras_leaky.tuning import ScaledSchedule
from keras_leaky.tuning._engine.programs import build_optimizer
from keras_leaky.tuning._engine.structure import structure_of

layers = keras.layers
schedules = keras.optimizers.schedules


def scale(x):
    return 2 * x


def other_scale(x):
    return 3 * x


def make_loss(factor):
    def loss(y, y_pred):
        return factor * keras.ops.mean((y - y_pred) ** 2, -1)

    return loss


class Doubling(layers.Layer):
    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return self.factor * x


def structure(
    alpha=0.1,
    rate=0.01,
    width=3,
    activation=None,
    extra=tuple,
    optimizer=None,
    loss="mse",
    policy=None,
    seed=None,
    exclude=(),
    frozen=False,
    **compiling,
):
    keras.utils.clear_session()
    initializer = keras_leaky.initializers.RectifierNormal("leaky_relu", alpha, seed=seed)
    with variable_slopes():
        inputs = keras.Input((4,))
        x = layers.Dense(width, activation=activation, kernel_initializer=initializer)(inputs)
        x = keras_leaky.layers.LeakyReLU(alpha, dtype=policy)(x)
        x = layers.Dropout(0.5, seed=seed)(x)
        for layer in extra():
            x = layer(x)
        model = keras.Model(inputs, layers.Dense(1, name="last")(x))
    model.get_layer("last").trainable = not frozen
    optimizer = optimizer() if optimizer else keras.optimizers.AdamW(rate, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=list(exclude))
    model.compile(optimizer, loss, **compiling)
    build_optimizer(model)
    return structure_of(model)


def cosine(rate, steps=10, **kwargs):
    return keras.optimizers.SGD(schedules.CosineDecay(rate, steps, **kwargs))


@pytest.mark.parametrize(
    ("some", "others"),
    [
        ({}, {}),
        ({"alpha": 0.1}, {"alpha": 0.3}),
        ({"rate": 0.1}, {"rate": 0.01}),
        ({"seed": 1}, {"seed": 2}),
        ({"loss": scale}, {"loss": scale}),
        ({"loss": make_loss(2)}, {"loss": make_loss(2)}),
        ({"optimizer": lambda: cosine(0.1)}, {"optimizer": lambda: cosine(0.3)}),
        (
            {"optimizer": lambda: cosine(0.0, warmup_target=0.1, warmup_steps=2)},
            {"optimizer": lambda: cosine(0.0, warmup_target=0.3, warmup_steps=2)},
        ),
        (
            {
                "optimizer": lambda: keras.optimizers.SGD(
                    ScaledSchedule(schedules.CosineDecay(1.0, 9), 0.1)
                )
            },
            {
                "optimizer": lambda: keras.optimizers.SGD(
                    ScaledSchedule(schedules.CosineDecay(1.0, 9), 0.7)
                )
            },
        ),
        ({"metrics": ["mae"]}, {"metrics": ["mae"]}),
    ],
)
def test_numbers_are_no_structure(some, others):
    first = structure(**some)
    assert first is not None
    assert first == structure(**others)
    assert hash(first) == hash(structure(**others))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 4},
        {"activation": "tanh"},
        {"activation": scale},
        {"extra": lambda: [layers.Dropout(0.1)]},
        {"extra": lambda: [Doubling(3)]},
        {"loss": "mae"},
        {"loss": scale},
        {"loss": make_loss(2)},
        {"policy": "mixed_bfloat16"},
        {"optimizer": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.2)},
        {"optimizer": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0)},
        {"optimizer": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, beta_1=0.8)},
        {"optimizer": lambda: keras.optimizers.SGD(0.01)},
        {"optimizer": lambda: cosine(0.1)},
        {"exclude": ["bias"]},
        {"frozen": True},
        {"metrics": ["mae"]},
        {"jit_compile": keras.backend.backend() != "jax"},
        {"steps_per_execution": 2},
    ],
)
def test_all_else_is_structure(change):
    assert structure(**change) != structure()


@pytest.mark.parametrize(
    ("some", "others"),
    [
        ({"activation": scale}, {"activation": other_scale}),
        ({"loss": make_loss(2)}, {"loss": make_loss(3)}),
        ({"extra": lambda: [Doubling(2)]}, {"extra": lambda: [Doubling(3)]}),
        ({"optimizer": lambda: cosine(0.1, 10)}, {"optimizer": lambda: cosine(0.1, 20)}),
        (
            {"optimizer": lambda: cosine(0.1, alpha=0.1)},
            {"optimizer": lambda: cosine(0.1, alpha=0.2)},
        ),
    ],
)
def test_what_functions_and_schedules_do_is_structure(some, others):
    assert structure(**some) != structure(**others)


def test_functions_of_one_name_that_close_over_other_values_differ():
    def make_activation(factor):
        def activation(x):
            return factor * x

        return activation

    assert structure(activation=make_activation(2)) == structure(activation=make_activation(2))
    assert structure(activation=make_activation(2)) != structure(activation=make_activation(3))


def make_loss_of(values):
    def loss(y, y_pred):
        return keras.ops.mean(y_pred * values)

    return loss


def test_arrays_in_closures_are_compared():
    assert structure(loss=make_loss_of(np.ones(3))) == structure(loss=make_loss_of(np.ones(3)))
    assert structure(loss=make_loss_of(np.ones(3))) != structure(loss=make_loss_of(np.zeros(3)))


@pytest.mark.parametrize(
    "thing",
    [
        iter([1]),
        np.random.default_rng(0),
        random.Random(0),
        np.random.normal,
        keras.Variable(1.0),
        threading.local(),
    ],
)
def test_what_cannot_be_looked_into_has_no_known_structure(thing):
    assert structure(loss=make_loss_of(thing)) is None


class Pair(NamedTuple):
    first: float
    second: float


@dataclasses.dataclass
class Setting:
    value: float


class Mode(enum.Enum):
    ONE, TWO = 1, 2


class WithSlots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Base(abc.ABC):
    @abc.abstractmethod
    def get(self):
        pass


class OfBase(Base):
    def __init__(self, value):
        self.value = value

    def get(self):
        return self.value


class Typed(Generic[T := TypeVar("T")]):
    def __init__(self, value):
        self.value = value


def logging_loss(value):
    def loss(y, y_pred):
        logger.info("loss")
        return value * keras.ops.mean(y_pred)

    return loss


logger = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (lambda: Pair(1.0, 2.0), lambda: Pair(2.0, 1.0)),
        (lambda: Setting(1.0), lambda: Setting(2.0)),
        (lambda: Mode.ONE, lambda: Mode.TWO),
        (lambda: WithSlots(1), lambda: WithSlots(2)),
        (lambda: OfBase(1), lambda: OfBase(2)),
        (lambda: Typed(1), lambda: Typed(2)),
        (lambda: collections.OrderedDict(a=1), lambda: collections.OrderedDict(a=2)),
        (lambda: collections.deque([1, 2]), lambda: collections.deque([2, 1])),
        (lambda: {"a", "b"}, lambda: {"a", "c"}),
        (lambda: {1: {2: [3]}}, lambda: {1: {2: [4]}}),
        (lambda: 0.0, lambda: -0.0),
        (lambda: np.float32(1), lambda: np.float64(1)),
        (lambda: re.compile("a"), lambda: re.compile("b")),
        (lambda: types.SimpleNamespace(a=1), lambda: types.SimpleNamespace(a=2)),
        (lambda: keras.ops.ones(3), lambda: keras.ops.zeros(3)),
        (lambda: keras.ops.relu, lambda: keras.ops.elu),
        (lambda: np.exp, lambda: np.log),
        (lambda: math.exp, lambda: math.log),
        (lambda: slice(1, 2), lambda: slice(1, 3)),
        (lambda: logging_loss(1), lambda: logging_loss(2)),
        (lambda: int, lambda: float),
        (lambda: functools.partial(scale, 1), lambda: functools.partial(scale, 2)),
    ],
)
def test_values_in_closures_are_compared(one, two):
    assert structure(loss=make_loss_of(one())) == structure(loss=make_loss_of(one())) is not None
    assert structure(loss=make_loss_of(one())) != structure(loss=make_loss_of(two())) is not None


@pytest.mark.parametrize("argument", ["loss", "activation"])
def test_partial_functions_are_compared(argument):
    def power(x, *y_pred, exponent):
        return x**exponent

    def with_exponent(exponent):
        return structure(**{argument: functools.partial(power, exponent=exponent)})

    assert with_exponent(2) == with_exponent(2) is not None
    assert with_exponent(2) != with_exponent(3)


def test_subclasses_are_compared_with_their_code():
    def make(factor):
        class Model(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(1)

            def call(self, x):
                return factor * self.dense(x)

        keras.utils.clear_session()
        model = Model()
        model(np.zeros((1, 4), "float32"))
        model.compile("sgd", "mse")
        build_optimizer(model)
        return structure_of(model)

    assert make(2) == make(2) is not None
    assert make(2) != make(3)


def test_an_adapted_layer_belongs_to_its_data():
    def adapted(values):
        layer = layers.Normalization()
        layer.adapt(np.array(values, "float32").reshape(-1, 1) * np.ones((1, 3), "float32"))
        return structure(extra=lambda: [layer])

    assert adapted([0, 1]) == adapted([0, 1])
    assert adapted([0, 1]) != adapted([0, 2])
