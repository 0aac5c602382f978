"""Every constructor argument of Keras's own losses, metrics, layers, ..., each with two values."""

import inspect

import keras

GROUPS = {
    "losses": (keras.losses, keras.losses.Loss),
    "metrics": (keras.metrics, keras.metrics.Metric),
    "regularizers": (keras.regularizers, keras.regularizers.Regularizer),
    "constraints": (keras.constraints, keras.constraints.Constraint),
    "optimizers": (keras.optimizers, keras.optimizers.Optimizer),
    "schedules": (keras.optimizers.schedules, keras.optimizers.schedules.LearningRateSchedule),
    "layers": (keras.layers, keras.layers.Layer),
}
# Not a whole of its own: abstract, or a wrapper of another framework.
NOT_SWEPT = {
    *("Layer", "Wrapper", "Loss", "Metric", "Regularizer", "Constraint", "Optimizer"),
    *("LearningRateSchedule", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer"),
    *("InputLayer", "RematScope"),
}
REQUIRED = {
    "activation": "relu",
    "axes": 1,
    "boundaries": [5, 9],
    "cell": lambda: keras.layers.LSTMCell(2),
    "cells": lambda: [keras.layers.LSTMCell(2)],
    "decay_rate": 0.5,
    "decay_steps": 10,
    "dims": (1, 2),
    "equation": "ab,bc->ac",
    "factor": 0.2,
    "filters": 2,
    "first_decay_steps": 10,
    "fn": keras.losses.mean_squared_error,
    "function": abs,
    "head_dim": 2,
    "height": 4,
    "height_factor": 0.2,
    "initial_learning_rate": 0.1,
    "inner_optimizer": lambda: keras.optimizers.SGD(0.1),
    "input_dim": 5,
    "kernel_size": 2,
    "key_dim": 2,
    "layer": lambda: keras.layers.LSTM(2),
    "layers": lambda: [keras.layers.Dense(2)],
    "max_number": 3,
    "n": 2,
    "num_bins": 3,
    "num_classes": 2,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "num_query_heads": 4,
    "optimizer_map": lambda: {"a": keras.optimizers.SGD(0.1)},
    "output_dim": 3,
    "output_shape": (4,),
    "output_size": 2,
    "pool_size": 2,
    "precision": 0.5,
    "rate": 0.2,
    "recall": 0.5,
    "scale": 0.5,
    "sensitivity": 0.5,
    "specificity": 0.5,
    "stddev": 0.2,
    "target_class_ids": [0],
    "target_shape": (2, 2),
    "units": 2,
    "values": [0.1, 0.05, 0.01],
    "width": 4,
    "width_factor": 0.2,
}
OF_CLASSES = {
    "CategoryEncoding": {"num_tokens": 3},
    "Discretization": {"num_bins": 3, "output_mode": "one_hot"},
    "RandomPosterization": {"factor": 3},
    "Hashing": {"output_mode": "one_hot"},
}
OTHERS = [
    *(True, False, 1, 2, 3, 0.3, 0.7, 1.5, (2, 1), (1, 2, 2), (1, 2, 1), ((1, 0), (0, 1))),
    *([1, 0], [0.2, 0.7], [4, 11], [0.2, 0.1, 0.02], ((1, 0), (0, 1), (1, 1)), (6,)),
    *("same", "channels_first", "nearest", "bicubic", "l2", "max_norm", "tanh", "float16", "micro"),
    *("sum", "horizontal", "hamming", "spectrum", "columns", "multi_hot", "PR", "minoring"),
    *("variance_weighted_average", "mean", "count", "linear", "magnitude", "constant", "concat"),
    *(
        "one_hot",
        "ab,cb->ac",
        [3, 4],
        "lower",
        "character",
        ["a", "b"],
        "utf-16",
        "int32",
        abs,
        len,
    ),
    lambda: keras.layers.GRUCell(2),
    lambda: [keras.layers.GRUCell(2)],
    lambda: keras.layers.GRU(2),
    lambda: [keras.layers.Dense(3)],
    lambda: keras.optimizers.Adam(0.1),
    lambda: {"b": keras.optimizers.SGD(0.1)},
    keras.losses.mean_absolute_error,
    {"a": 3},
    "log",
    "stft",
    "scaled",
    "truncate",
]
# What only decides where a variable starts, and a schedule's height, which goes into a variable.
STARTS = ("_initializer", "seed")
HEIGHTS = ("learning_rate", "initial_learning_rate")


def classes(group):
    module, base = GROUPS[group]
    found = {c for c in vars(module).values() if isinstance(c, type) and issubclass(c, base)}
    return sorted((c for c in found if c.__name__ not in NOT_SWEPT), key=lambda c: c.__name__)


def arguments(cls):
    """Names of the arguments of a class that decide what it does."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        p.name
        for p in parameters
        if p.kind not in kinds and not p.name.endswith(STARTS) and p.name not in (*HEIGHTS, "name")
    ]


def make(cls, **given):
    """An object of the class, with something for what it requires."""
    required = {
        name: REQUIRED[name]
        for name, p in list(inspect.signature(cls.__init__).parameters.items())[1:]
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    }
    if issubclass(cls, GROUPS["schedules"][1] | GROUPS["optimizers"][1]):
        heights = {n: 0.1 for n in HEIGHTS if n in inspect.signature(cls.__init__).parameters}
        required.update(heights)
    values = {**required, **OF_CLASSES.get(cls.__name__, {}), **given}
    is_maker = type(lambda: 0)
    return cls(
        **{
            n: v() if type(v) is is_maker and v.__name__ == "<lambda>" else v
            for n, v in values.items()
        }
    )
