"""What a program depends on that no config need tell."""

import functools
import sys
from types import FunctionType, MethodType
from typing import Any

import keras
import numpy as np

_PLAIN = (int, float, complex, str, bytes, type(None), np.generic)


class UnknownError(Exception):
    """What an object does cannot be told."""


def details_of(thing):
    """What configs need not tell: functions, and what objects of a user's classes hold."""
    if isinstance(thing, FunctionType | MethodType):
        yield from _details_of_value("", thing, is_users=True)
        return
    is_users = not _is_known(thing)
    for name, value in vars(thing).items():
        if name not in _names_of_keras() and not name.endswith("_initializer"):
            for part in keras.tree.flatten(value):
                yield from _details_of_value(name, part, is_users)


def _details_of_value(name, value, is_users):
    """`is_users`: whether it is an attribute of an object of a user's class."""
    if isinstance(value, FunctionType):
        yield _function_identity(value)
    elif isinstance(value, keras.layers.Layer) or _is_known(value):
        return  # looked at by itself, or its config tells
    elif hasattr(value, "get_config"):
        yield type(value)
        yield from details_of(value)
    elif is_users and isinstance(value, _PLAIN):
        yield name, value
    elif is_users and isinstance(value, np.ndarray):
        yield name, value.shape, str(value.dtype), value.tobytes()
    elif is_users or callable(value):
        raise UnknownError  # such as functools.partial, or a generator of random numbers


def _is_known(thing):
    return type(thing).__module__.split(".")[0] in ("keras", "keras_leaky")


@functools.cache
def _names_of_keras():
    """The attributes that layers, metrics, losses and optimizers of Keras have to themselves."""
    layer = keras.layers.Layer(name="any")
    layer.build((1,))
    metric = keras.metrics.Mean(name="any")
    optimizer = keras.optimizers.SGD(name="any")
    optimizer.build(metric.variables)
    others = (metric, optimizer, keras.losses.MeanSquaredError())
    private = {name for thing in others for name in vars(thing) if name.startswith("_")}
    own = private | set(vars(layer)) | {"call"}  # wrapped anew in every layer, as build is
    return own - {"activity_regularizer", "_fn_kwargs"}


def _function_identity(function):
    """Equal for functions that do the same: imported ones, and closures over plain values."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is function:
        return function.__module__, function.__qualname__
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    if not all(isinstance(value, int | float | str | None) for value in values):
        raise UnknownError
    return function.__code__, tuple(values)
