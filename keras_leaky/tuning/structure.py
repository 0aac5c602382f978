"""What a compiled program depends on: models of one structure differ in numbers alone."""

import json

import keras
import numpy as np

from keras_leaky.layers.slope import SLOPE_NAMES, FixedRectifier
from keras_leaky.tuning.details import UnknownError, details_of
from keras_leaky.tuning.layers_of import layers_of
from keras_leaky.tuning.scaled_schedule import ScaledSchedule, inner_optimizer_of, schedule_of

# What only decides the numbers that variables start from; `compile` is looked at by itself.
_OF_THE_START = ("seed", "build_config", "compile_config")
# What rectifiers inside `variable_slopes()` and a `ScaledSchedule` keep in a variable.
_IN_VARIABLES = (*SLOPE_NAMES, "learning_rate")


def structure_of(model):
    """A hashable that is equal for models that can run in one compiled program.

    The numbers in which they may differ are those in variables: weights, statistics, seeds, slopes
    made inside `variable_slopes()`, a learning rate; and what these were drawn with. All else is
    part of the structure, automatic names too, so models to compare are built
    `in_new_session`.

    Not seen: a global that a function reads, and an attribute of a layer of Keras that was changed
    after the layer was made.

    Args:
        model: A built and compiled Keras model.

    Returns:
        The structure, or None where it cannot be told, as of a subclass of `keras.Model` or of a
        closure over an object.
    """
    if not type(model).__module__.startswith("keras."):
        return None
    layers = layers_of(model)
    optimizer = inner_optimizer_of(model.optimizer)
    if any(hasattr(layer, "get_vocabulary") for layer in layers):
        return None  # a table beside the variables
    try:
        given = _given_to_compile(model)
        configs = (
            _less_the_start(keras.saving.serialize_keras_object(model)),
            _less_the_start({**model.get_compile_config(), "optimizer": None}),
            _less_the_start(_optimizer_config(model.optimizer)),
        )
        things = [*layers, *given, model.optimizer, optimizer, *_schedules(optimizer)]
        details = tuple(detail for thing in things for detail in details_of(thing))
    except (NotImplementedError, TypeError, ValueError, UnknownError):
        return None
    return (
        json.dumps(configs, sort_keys=True, default=str),
        details,
        tuple(map(type, [model, *things])),
        tuple((tuple(v.shape), v.dtype, v.trainable) for v in model.variables),
        tuple((tuple(v.shape), v.dtype) for v in model.optimizer.variables),
        # Excluded by name, which no config holds.
        tuple(optimizer._use_weight_decay(v) for v in model.trainable_variables),
        # `adapt` makes constants of them.
        tuple(_values(layer) for layer in layers if hasattr(layer, "adapt")),
        # Made before, outside `variable_slopes()`: constants.
        tuple(
            tuple(getattr(layer, name, None) for name in SLOPE_NAMES)
            for layer in layers
            if isinstance(layer, FixedRectifier) and not layer.weights
        ),
    )


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


def _schedules(optimizer):
    """What a user may have written of the learning rate."""
    schedule = schedule_of(optimizer)
    if isinstance(schedule, ScaledSchedule):
        schedule = schedule.shape
    is_schedule = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    return [schedule] if is_schedule else []


def _given_to_compile(model):
    """The losses and metrics as they were given, where they are no names."""
    config = model._compile_config.config  # public only in its serialized form
    given = [config.get(key) for key in ("loss", "metrics", "weighted_metrics")]
    return [thing for thing in keras.tree.flatten(given) if callable(thing)]


def _values(layer):
    return tuple(np.asarray(keras.ops.convert_to_numpy(v)).tobytes() for v in layer.variables)
