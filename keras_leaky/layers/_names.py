"""Which activation a layer, an operation or a function applies."""

from typing import Any

import keras

# The class of a layer or operation -> the activation it applies, both in lower case letters only.
_ACTIVATIONS = {name.replace("_", ""): name for name in (*dir(keras.activations), "prelu", "rrelu")}

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_name(thing):
    """Name of the activation that a layer, an operation or a function applies, or None.

    `thing` is the object itself or its serialized form. "linear" is no activation.
    """
    if isinstance(thing, keras.Operation):  # layers are operations too
        return _name_of_operation(thing)
    if isinstance(thing, dict):
        return _name_of_serialized(thing)
    name: Any = thing if isinstance(thing, str) else getattr(thing, "__name__", None)
    return {"linear": None, "relu6": "relu", **ALIASES}.get(name, name)


def _name_of_operation(operation):
    kind = type(operation)
    is_ours = keras.saving.get_registered_name(kind).startswith("keras_leaky>")
    if not (is_ours or kind.__module__.startswith("keras.")):
        return None
    if isinstance(operation, keras.layers.Activation):
        return activation_name(operation.activation)
    if kind.__name__ == "ReLU" and (operation.negative_slope or operation.threshold):
        return None  # another function, which no name tells
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
    if kind == "ReLU" and (config["negative_slope"] or config["threshold"]):
        return None
    return activation_name(_ACTIVATIONS.get(str(kind).lower()))
