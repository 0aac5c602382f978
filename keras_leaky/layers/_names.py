"""Which activation a layer, an operation or a function applies."""

from typing import Any

import keras

# The class of a layer or operation -> the activation it applies, both in lower case letters only.
_ACTIVATIONS = {name.replace("_", ""): name for name in (*dir(keras.activations), "prelu", "rrelu")}

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_name(thing):
    """Name of the activation that a layer, an operation or a function applies, or None.

    `thing` is the object itself or its serialized form. "linear" is no activation. A ReLU with a
    slope is a "leaky_relu", and one with a cap of 6 a "relu6"; one with another cap, or with a
    threshold, is a function that no name tells.
    """
    if isinstance(thing, keras.Operation):  # layers are operations too
        return _name_of_operation(thing)
    if isinstance(thing, dict):
        return _name_of_serialized(thing)
    name: Any = thing if isinstance(thing, str) else getattr(thing, "__name__", None)
    return {"linear": None, **ALIASES}.get(name, name)


def _name_of_operation(operation):
    kind = type(operation)
    is_ours = keras.saving.get_registered_name(kind).startswith("keras_leaky>")
    if not (is_ours or kind.__module__.startswith("keras.")):
        return None
    if isinstance(operation, keras.layers.Activation):
        return activation_name(operation.activation)
    if kind.__name__ == "ReLU":
        return _name_of_relu(operation.negative_slope, operation.max_value, operation.threshold)
    return activation_name(_ACTIVATIONS.get(kind.__name__.lower()))


def _name_of_serialized(node):
    kind, config = node.get("class_name"), node.get("config")
    if kind == "function":
        return activation_name(config.split(">")[-1])  # less the package it is registered under
    is_ours = str(node.get("registered_name")).startswith("keras_leaky>")
    if not (is_ours or str(node.get("module")).startswith("keras.")):
        return None
    if kind == "Activation":
        return activation_name(config["activation"])
    if kind == "ReLU":
        return _name_of_relu(config["negative_slope"], config["max_value"], config["threshold"])
    return activation_name(_ACTIVATIONS.get(str(kind).lower()))


def _name_of_relu(negative_slope, max_value, threshold):
    if threshold or (negative_slope and max_value is not None):
        return None
    if negative_slope:
        return "leaky_relu"
    return {None: "relu", 6: "relu6"}.get(max_value)
