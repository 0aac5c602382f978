"""Other activations in a model that exists."""

from typing import Any

import keras

from keras_leaky.layers._names import ALIASES, activation_name
from keras_leaky.surgery._copy import check_graph, copy_model, parts_and_functions_of

_OF_PLACE = ("name", "dtype", "trainable")  # what a layer has from where it is put


def replace_activations(model, replacements):
    """A copy of a model with other activations and the same weights.

    Activations are found by name, Keras's and those of this package alike:

    - layers (`ReLU`, `Activation("relu")`), also within nested models and wrappers;
    - the argument `activation` of any layer (`Dense(10, activation="relu")`), also within wrappers;
    - functions of `keras.ops` and `keras.activations` called in a functional model.

    "relu" is also a ReLU with a cap (`ReLU(6.0)`, "relu6"), but not one with a slope or threshold.
    Other arguments, such as the `recurrent_activation` of an LSTM, stay as they are.

    Every place gets its own new layer, or the function. It has the name, dtype policy and
    `trainable` of the layer that it replaces; for the argument `activation` those of the layer that
    has the argument, and the names of both. A function has no dtype policy, so the layer keeps its
    own. Layers that are shared stay shared.

    Weights, names, dtype policies and `trainable` of all else are kept. The model given is left
    alone, and the copy is not compiled. An activation with weights starts afresh, unless it
    replaces one with weights of the same shapes (Keras's `PReLU` by ours), which it takes over.

    Args:
        model: Built `keras.Sequential` or functional model. Not changed.
        replacements: Dict from the name of an activation ("relu", "leaky_relu", "prelu", "elu",
            "gelu", ...) to a layer, or to a name or function that `keras.activations.get` takes.
            The layer is a pattern: it is not used itself.

    Returns:
        A model of the same kind, not compiled.

    Raises:
        ValueError: If `model` is no built Sequential or functional model, or a layer of it cannot
            be made from its config; if `replacements` is no dict or empty, names an activation
            that the model does not have, or a value is of another kind; if an activation is out of
            reach within a layer; if a layer with weights would have to go within a layer that does
            not end with its activation, such as an LSTM.

    Example:

    >>> import keras
    >>> from keras_leaky import replace_activations
    >>> from keras_leaky.layers import LeakyReLU
    >>> layers = [keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.ReLU(name="last")]
    >>> model = replace_activations(keras.Sequential(layers), {"relu": LeakyReLU(0.1)})
    >>> model.get_layer("last").negative_slope, model.layers[0].activation.negative_slope
    (0.1, 0.1)
    """
    check_graph(model)
    patterns = _read_replacements(replacements)
    names_found = set()

    def change(part, key, hosts):
        is_layer = isinstance(part, dict) and part.get("class_name") != "function"
        if is_layer and key.endswith("_activation"):
            return dict(part)  # stays, with all that is in it
        name = activation_name(part) if is_layer or key == "activation" else None
        names_found.add(name)
        if name not in patterns:
            return part
        if key == "activation":
            return patterns[name].as_argument(hosts[-1])
        return patterns[name].as_layer(part)

    new_model, layers = copy_model(model, change)
    names_found.discard(None)
    for name in patterns:
        if name not in names_found:
            raise ValueError(
                f"`replacements` must name activations of model {model.name!r}, which has "
                f"{', '.join(sorted(names_found)) or 'none'}. Received: {name!r}"
            )
    for layer in layers:
        _check_all_replaced(layer, patterns)
    return new_model


class _Pattern:
    """What comes in the place of an activation, serialized."""

    def __init__(self, value):
        self.function = None
        if not isinstance(value, keras.layers.Layer):
            self.function = keras.activations.serialize(keras.activations.get(value))
            value = keras.layers.Activation(keras.activations.get(self.function))
        self.node: Any = keras.saving.serialize_keras_object(value)
        self.node.pop("build_config", None)  # the shape is that of its place
        # What comes out is what `is_like` will see.
        copy = keras.saving.deserialize_keras_object(self.node)
        self.node = keras.saving.serialize_keras_object(copy)

    def as_layer(self, replaced):
        """In the place of a serialized layer or function of the graph."""
        config = self._config(replaced["config"], replaced["config"]["name"])
        return {**replaced, **self.node, "config": config}

    def as_argument(self, host):
        """As the `activation` of the serialized layer `host`."""
        if self.function is not None:
            return self.function
        name = f"{host['config'].get('name', 'activation')}_{self.node['config']['name']}"
        return {**self.node, "config": self._config(host["config"], name)}

    def _config(self, place, name):
        own = self.node["config"]
        return {
            **own,
            "name": name,
            "dtype": place.get("dtype", own.get("dtype")),
            "trainable": own.get("trainable", True) and place.get("trainable", True),
        }

    def is_like(self, thing):
        """Whether a layer or function is this one, whatever its place."""
        if isinstance(thing, keras.layers.Layer):
            return _essence(keras.saving.serialize_keras_object(thing)) == _essence(self.node)
        return self.function == keras.activations.serialize(thing)


def _essence(node):
    config = {key: value for key, value in node["config"].items() if key not in _OF_PLACE}
    return node["module"], node["class_name"], config


def _read_replacements(replacements):
    if not isinstance(replacements, dict) or not replacements:
        raise ValueError(
            "`replacements` must be a dict from names of activations to layers, and not empty. "
            f"Received: replacements={replacements!r}"
        )
    patterns = {}
    for name, value in replacements.items():
        is_function = callable(value) and not isinstance(value, type)
        problem = ""
        try:
            if isinstance(value, str) or is_function:
                patterns[ALIASES.get(name, name)] = _Pattern(value)
                continue
        except (TypeError, ValueError, NotImplementedError) as error:
            problem = f" ({error})"
        raise ValueError(
            f"`replacements[{name!r}]` must be a layer, or a name or function that "
            "`keras.activations.get` takes, of a class or function that is registered with Keras. "
            f"Received: {value!r}{problem}"
        )
    return patterns


def _check_all_replaced(layer, patterns):
    """Refuses a layer that makes an activation without showing it in its config."""
    for thing in parts_and_functions_of(layer):
        name = activation_name(thing)
        if name in patterns and not any(p.is_like(thing) for p in patterns.values()):
            raise ValueError(
                f"Layer {layer.name!r} of class {type(layer).__name__} applies {name} where its "
                f"config does not show it as a layer or as `activation`, so it cannot be replaced"
            )
