"""What a compiled program depends on: models of one structure differ in numbers alone."""

import json
import sys
from types import FunctionType, MethodType
from typing import Any

import keras
import numpy as np

# What only decides the numbers that variables start from; `compile` is looked at by itself.
_OF_THE_START = ("seed", "build_config", "compile_config")
# What rectifiers inside `variable_slopes()` and a `ScaledSchedule` keep in a variable.
_IN_VARIABLES = ("negative_slope", "alpha", "lower", "upper", "learning_rate")
# Keras wraps these methods anew in every layer.
_WRAPPED_METHODS = ("build", "call", "quantize")


def structure_of(model):
    """A hashable that is equal for models that can run in one compiled program.

    The numbers in which they may differ are those in variables: weights, statistics, seeds, slopes
    made inside `variable_slopes()`, a learning rate; and what these were drawn with. All else is
    part of the structure, automatic names too, so models to compare are built after
    `clear_session`.

    Not seen: a global that a function reads, and an attribute of a layer that is no argument of it
    and was changed after the layer was made.

    Args:
        model: A built and compiled Keras model.

    Returns:
        The structure, or None where it cannot be told, as of a subclass of `keras.Model` or of a
        closure over an object.
    """
    if not type(model).__module__.startswith("keras."):
        return None
    layers: Any = model._flatten_layers(include_self=False)  # Keras has no public walk
    layers, optimizer = list(layers), model.optimizer
    if any(hasattr(layer, "get_vocabulary") for layer in layers):
        return None  # a table beside the variables
    try:
        given = _given_to_compile(model)
        configs = (
            _less_the_start(keras.saving.serialize_keras_object(model)),
            _less_the_start({**model.get_compile_config(), "optimizer": None}),
            _less_the_start(_optimizer_config(optimizer)),
        )
        functions = tuple(map(_function_identity, _functions(layers + given)))
    except (NotImplementedError, TypeError, ValueError, _UnknownError):
        return None
    return (
        json.dumps(configs, sort_keys=True, default=str),
        functions,
        tuple(map(type, [model, optimizer, *layers, *given])),
        tuple((tuple(v.shape), v.dtype, v.trainable) for v in model.variables),
        tuple((tuple(v.shape), v.dtype) for v in optimizer.variables),
        # Excluded by name, which no config holds.
        tuple(optimizer._use_weight_decay(v) for v in model.trainable_variables),
        # `adapt` makes constants of them.
        tuple(_values(layer) for layer in layers if hasattr(layer, "adapt")),
    )


class _UnknownError(Exception):
    """The structure cannot be told."""


def _less_the_start(node):
    """A serialized object less what only decides where its variables start."""
    if isinstance(node, list | tuple):
        return [_less_the_start(value) for value in node]
    if not isinstance(node, dict):
        return node
    config = node.get("config")
    if str(node.get("registered_name")).startswith("keras_leaky>") and isinstance(config, dict):
        node = {**node, "config": {k: v for k, v in config.items() if k not in _IN_VARIABLES}}
    return {
        name: _less_the_start(value)
        for name, value in node.items()
        if name not in _OF_THE_START and not name.endswith("_initializer")
    }


def _optimizer_config(optimizer):
    config = {**optimizer.get_config(), "name": None}
    if isinstance(config.get("learning_rate"), float):
        config["learning_rate"] = None
    if hasattr(optimizer, "inner_optimizer"):
        config["inner_optimizer"] = _optimizer_config(optimizer.inner_optimizer)
    return config


def _given_to_compile(model):
    """The losses and metrics as they were given, where they are no names."""
    config = model._compile_config.config  # public only in its serialized form
    given = [config.get(key) for key in ("loss", "metrics", "weighted_metrics")]
    return [thing for thing in keras.tree.flatten(given) if callable(thing)]


def _functions(things):
    """The Python functions that layers, losses and metrics apply."""
    for thing in things:
        attributes = {} if isinstance(thing, FunctionType) else vars(thing)
        for name, value in {"": thing, **attributes}.items():
            if name in _WRAPPED_METHODS:
                continue
            if isinstance(value, FunctionType):
                yield value
            elif callable(value) and not _has_config(value):
                raise _UnknownError  # such as functools.partial


def _has_config(thing):
    """Whether the config tells what a callable does, or that of its owner."""
    is_of_keras = type(thing).__module__.startswith("keras.")
    return is_of_keras or hasattr(thing, "get_config") or isinstance(thing, type | MethodType)


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
        raise _UnknownError
    return function.__code__, tuple(values)


def _values(layer):
    return tuple(np.asarray(keras.ops.convert_to_numpy(v)).tobytes() for v in layer.variables)
