"""Reading and rewriting what `keras.saving.serialize_keras_object` returns."""

from typing import Any

import keras

# The class of a layer or operation -> the activation it applies, both in lower case letters only.
_ACTIVATIONS = {name.replace("_", ""): name for name in (*dir(keras.activations), "prelu", "rrelu")}

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def rewrite(node, change, key="", hosts=()):
    """A copy of the serialized `node` with `change(part, key, hosts)` in the place of every part.

    `key` is the name of the argument that the part is given for, `hosts` are the serialized objects
    that it is in, outermost first. A part that `change` returns as it is gets searched further.
    """
    changed = change(node, key, hosts)
    if changed is not node:
        return changed
    if isinstance(node, list | tuple):
        return type(node)(rewrite(part, change, key, hosts) for part in node)
    if isinstance(node, dict):
        hosts = (*hosts, node) if "class_name" in node else hosts
        return {name: rewrite(part, change, name, hosts) for name, part in node.items()}
    return node


def activation_name(thing):
    """Name of the activation that a layer, an operation or a function applies, or None.

    `thing` is the object itself or its serialized form. "linear" is no activation.
    """
    if isinstance(thing, keras.Operation):  # layers are operations too
        known = type(thing).__name__.lower() in (*_ACTIVATIONS, "activation")
        return activation_name(keras.saving.serialize_keras_object(thing)) if known else None
    if isinstance(thing, dict):
        return _name_of_serialized(thing)
    name: Any = thing if isinstance(thing, str) else getattr(thing, "__name__", None)
    return {"linear": None, "relu6": "relu", **ALIASES}.get(name, name)


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
        return None  # another function, which no name tells
    return activation_name(_ACTIVATIONS.get(str(kind).lower()))
