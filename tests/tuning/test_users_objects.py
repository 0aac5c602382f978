"""The kind of fault: parts of two models do different things and share a compiled program.

Objects of Keras whose config leaves something out, objects that hold others, functions, globals,
nesting, and names that Keras has for something else.
"""

import functools
import sys
import types

import keras
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning import Trainer
from tests.versions import has

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


class LossAround(keras.losses.Loss):
    """Holds an object of Keras, of ours, or a list or dictionary of plain values."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, y_true, y_pred):
        return self.inner(y_true, y_pred)


class LossOf(keras.losses.Loss):
    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def call(self, y_true, y_pred):
        flat = [part for parts in self.kept for part in parts]
        weight = 1.0 + len(self.kept[0]) + sum(float(v is True) for v in flat)
        return weight * keras.ops.mean((y_true - y_pred) ** 2, -1)


class ConstraintAround(keras.constraints.Constraint):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, w):
        return self.inner(w)


class RegularizerAround(keras.regularizers.Regularizer):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, x):
        return self.inner(x)


class MetricAround(keras.metrics.Metric):
    def __init__(self, inner):
        super().__init__(name="around")
        self.inner = inner

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.inner.update_state(y_true, y_pred)

    def result(self):
        return self.inner.result()

    def reset_state(self):
        self.inner.reset_state()


class ScheduleAround(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, step):
        return self.inner(step)


class SgdAround(keras.optimizers.SGD):
    def __init__(self, inner):
        super().__init__(0.01)
        self.inner = inner

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient * self.inner.weight_decay, variable, learning_rate)


class Clobbering(keras.layers.Layer):
    """Calls its attributes as Keras calls private ones, and as our layers call theirs."""

    def __init__(self, name, factor):
        super().__init__(name="clobbering")
        setattr(self, name, factor)
        self.which = name

    def call(self, inputs):
        return inputs * getattr(self, self.which)


class LeakyWithMore(LeakyReLU):
    """Ours, with another number under a name that others of ours keep in a variable."""

    def __init__(self, upper):
        super().__init__(0.1, name="leaky")
        self.upper = upper

    def call(self, inputs, training=None):
        return keras.ops.minimum(super().call(inputs, training), self.upper / 9)


class OfItsClass(keras.layers.Layer):
    FACTOR = 1.0

    def call(self, inputs):
        return inputs * self.FACTOR


def rate_of_1():
    return 0.01


def rate_of_3():
    return 0.03


def global_loss(y_true, y_pred):
    return GLOBAL["factor"] * keras.ops.mean((y_true - y_pred) ** 2, -1)


def loss_through_a_function(y_true, y_pred):
    return global_loss(y_true, y_pred)


def setting_of_module(y_true, y_pred):
    return settings.FACTOR * keras.ops.mean((y_true - y_pred) ** 2, -1)


GLOBAL = {"factor": 1.0}
settings = types.ModuleType("settings")


def notebook(factor):
    """A function that is defined anew under the same name and in the same module."""
    module = sys.modules.setdefault("notebook_of_a_user", types.ModuleType("notebook_of_a_user"))
    code = f"import keras\ndef loss(y, p):\n    return {factor} * keras.ops.mean((y - p) ** 2, -1)"
    exec(code, vars(module))
    return module.loss


def of_its_class(factor):
    OfItsClass.FACTOR = factor
    return OfItsClass(name="act")


def with_global(loss, factor):
    GLOBAL["factor"] = settings.FACTOR = factor
    return loss


def times(factor):
    return keras.layers.Lambda(lambda x, seed: x * seed, arguments={"seed": factor}, name="times")


def mean_through(part):
    return lambda y, p: keras.ops.mean(part(y - p), -1)


def inner_model(factor):
    inputs = keras.Input((1,))
    return keras.Model(inputs, LeakyReLU(-factor)(inputs))


MADE_BEFORE = {factor: LeakyReLU(-factor, name="act") for factor in (1.0, 3.0)}
PRIVATE_NAMES = [
    *("kernel_initializer", "_initializer", "seed", "_value", "alpha", "negative_slope", "upper"),
    *("train_function", "_nodes", "history", "stop_training", "_jax_state"),
]
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
    "Huber": lambda factor: {"loss": keras.losses.Huber(factor / 10)},
    "axis of CosineSimilarity": lambda factor: {
        "loss": keras.losses.CosineSimilarity(axis=-1 if factor == 1.0 else 0)
    },
    "dtype of a loss": lambda factor: {
        "loss": keras.losses.MeanSquaredError(dtype="float32" if factor == 1.0 else "float16")
    },
    "loss around a loss": lambda factor: {"loss": LossAround(keras.losses.Huber(factor / 10))},
    "loss around a layer": lambda factor: {"loss": LossAround(mean_through(LeakyReLU(-factor)))},
    "loss around a model": lambda factor: {"loss": LossAround(mean_through(inner_model(factor)))},
    "constraint around a constraint": lambda factor: {
        "layer": keras.layers.Dense(
            1, kernel_constraint=ConstraintAround(keras.constraints.MaxNorm(factor / 10))
        )
    },
    "regularizer around a regularizer": lambda factor: {
        "layer": keras.layers.Dense(
            1, kernel_regularizer=RegularizerAround(keras.regularizers.L2(factor))
        )
    },
    "metric around a metric": lambda factor: {
        "metrics": [MetricAround(keras.metrics.CosineSimilarity(axis=0 if factor == 3.0 else -1))]
    },
    "schedule around a schedule": lambda factor: {
        "optimizer": keras.optimizers.SGD(
            ScheduleAround(keras.optimizers.schedules.CosineDecay(factor / 100, 9))
        )
    },
    "optimizer around an optimizer": lambda factor: {
        "optimizer": SgdAround(keras.optimizers.SGD(weight_decay=factor))
    },
    "learning rate that is a function": lambda factor: {
        "optimizer": keras.optimizers.SGD(rate_of_1 if factor == 1.0 else rate_of_3)
    },
    "metrics by output": lambda factor: {"metrics": {"last": ["mae", "mse"][factor == 3.0]}},
    "nesting of a list": lambda factor: {
        "loss": LossOf([[0.0, 1.0], [2.0]] if factor == 1.0 else [[0.0], [1.0, 2.0]])
    },
    "True and 1": lambda factor: {"loss": LossOf([[True if factor == 1.0 else 1], [0]])},
    "function defined anew": lambda factor: {"loss": notebook(factor)},
    "argument of Lambda": lambda factor: {"layer": times(factor)},
    "attribute of a class": lambda factor: {"layer": of_its_class(factor)},
    "global": lambda factor: {"loss": with_global(global_loss, factor)},
    "global of a global": lambda factor: {"loss": with_global(loss_through_a_function, factor)},
    "attribute of a module": lambda factor: {"loss": with_global(setting_of_module, factor)},
    "subclass of ours": lambda factor: {"layer": LeakyWithMore(factor)},
}


def build(part, factor):
    given = {
        "layer": keras.layers.Dense(1),
        "loss": "mse",
        "optimizer": "sgd",
        **_part(part, factor),
    }
    last = keras.layers.Dense(1, name="last")
    model = keras.Sequential([keras.Input((4,)), given.pop("layer"), last])
    model.compile(**given)
    return model


def _part(part, factor):
    if part in PARTS:
        return PARTS[part](factor)
    return {"layer": Clobbering(part.removeprefix("attribute "), factor)}


def losses(trainer, part, factor):
    model = trainer.build(lambda: build(part, factor), seed=1)
    _, history = trainer.fit(model, X, X[:, :1], seed=1, epochs=2, batch_size=8, verbose=0)
    return history.history


# A part around a part is one kind, and so is an attribute with a name that Keras uses.
IN_CI = ("loss around a layer", "schedule around a schedule", "attribute seed", "attribute history")


def marks_of(part):
    if part == "metrics by output" and not has("keras", "3.14"):
        return [pytest.mark.skip("Keras's `fit` refuses them there")]
    is_of_a_kind = " around " in part or part.startswith("attribute ")
    return [pytest.mark.soak] if is_of_a_kind and part not in IN_CI else []


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, marks=marks_of(part))
        for part in [*PARTS, *map("attribute {}".format, PRIVATE_NAMES)]
    ],
)
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
