"""Replacing the activations of a model."""

import numbers
import random
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import keras

from keras_leaky.layers._axes import channel_axis
from keras_leaky.rectifiers import ALIASES, activation_name
from keras_leaky.surgery._configs import Hosts
from keras_leaky.surgery._copy import check_graph, copy_model
from keras_leaky.surgery._graph import ChannelAxes, kernel_of
from keras_leaky.surgery._matching import Matching
from keras_leaky.surgery._state import parts_and_functions_of

_OF_PLACE = ("name", "dtype", "trainable", "activity_regularizer")  # from where a layer is put


def replace_activations(
    model: keras.Model,
    replacements: dict[str, Any],
    *,
    weights: Literal["keep", "draw"] = "keep",
    initializers: Literal["keep", "match"] = "keep",
    seed: int | None = None,
) -> keras.Model:
    """A copy of a model with other activations and the same weights.

    Activations are found by name, Keras's and those of this package alike:

    - layers (`ReLU`, `Activation("relu")`), also within nested models and wrappers;
    - the argument `activation` of any layer (`Dense(10, activation="relu")`), also within wrappers;
    - functions of `keras.ops` and `keras.activations` called in a functional model.

    A ReLU with a cap of 6 (`ReLU(6.0)`, "relu6") is "relu6", and a ReLU with a slope is
    "leaky_relu". ReLUs with another cap or with a threshold have no name, and stay. If "relu" is
    replaced, a warning names the ReLUs that are left. Other arguments, such as the
    `recurrent_activation` of an LSTM, are not changed.

    Every place gets its own new layer, or the function. It takes the name, dtype policy,
    `trainable` and `activity_regularizer` of the layer that it replaces. For the argument
    `activation`, it takes them from the layer that has the argument, and its name joins both names.
    A layer that replaces a function of the graph computes in the precision of the function. The new
    layer's own regularizer stays.

    Shared layers stay shared. A shared activation becomes one layer per use if the uses need
    weights of different shapes, such as a `PReLU` behind convolutions of 16 and of 32 filters. A
    `PReLU` with `shared_axes="spatial"` gets one `alpha` per channel, also if channels come first:
    the layers before it show this by `data_format` or by the axis of a normalization.

    Names, dtype policies and `trainable` of all other layers are kept. The given model is not
    changed, and the copy is not compiled. A new activation with weights starts with its initial
    weights. If it replaces an activation with weights of the same shapes (Keras's `PReLU` by ours),
    it takes them over.

    Args:
        model: Built `keras.Sequential` or functional model. Not changed.
        replacements: Dict from the name of an activation ("relu", "relu6", "leaky_relu", "prelu",
            "elu", "gelu", ...) to a layer, or to a name or function that `keras.activations.get`
            takes. The layer is a pattern: it is not used itself.
        weights: `"keep"`, or `"draw"` for new weights by the initializers of the model. Frozen
            layers, and adapted layers such as `Normalization`, keep their weights. Defaults to
            `"keep"`.
        initializers: `"keep"`, or `"match"` to give the initializers of the layers in front the
            gain of the new activation: drawn weights grow by the ratio of
            `keras_leaky.initializers.gain`. So He for ReLU becomes `RectifierNormal` for the new
            activation. Layers in front have a kernel, and their outputs reach the activation with
            no other activation or kernel in between: directly, or through normalization, sums,
            pooling and the like. Weights that are kept do not change. Defaults to `"keep"`.
        seed: Int of at least 0 for `weights="draw"`; the same seed draws the same weights. Draws
            depend on the layers' names, so they are the same for every replacement. Defaults to
            None, which draws a seed from Python's generator, like Keras
            (`keras.utils.set_random_seed`).

    Returns:
        A model of the same kind, not compiled.

    Raises:
        ValueError: If `model` is not a built Sequential or functional model, or a layer of it
            cannot be rebuilt from its config; if `replacements` is not a dict, is empty, names an
            activation that the model does not have, or holds a value of the wrong type; if an
            activation is out of reach within a layer; if a layer with weights would have to go
            within a layer that does not end with its activation, such as an LSTM; if a layer is
            shared within a wrapper and outside; if the channel axis of a PReLU is unknown; if
            `weights`, `initializers` or `seed` has an invalid value; if a gain is not known.

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
    seed = _read_seed(weights, initializers, seed)
    axes, names_found = ChannelAxes(model), set()
    matching = Matching(model, patterns) if initializers == "match" else None

    def change(part: Any, key: str, hosts: Hosts, operation: Any, inputs: Sequence[Any]) -> Any:
        if matching and len(hosts) == 1 and key == kernel_of(operation):
            return matching.match(part, operation)
        is_layer = isinstance(part, dict) and part.get("class_name") != "function"
        if is_layer and key.endswith("_activation"):
            return dict(part)  # stays, with everything inside it
        name = activation_name(part) if is_layer or key == "activation" else None
        names_found.add(name)
        if name not in patterns:
            return part
        if key == "activation":
            new = patterns[name].as_argument(hosts[-1])
        else:
            new = patterns[name].as_layer(part, None if hosts else operation)
        return _fit_channels(new, axes, operation, inputs, len(hosts) - (key == "activation"))

    new_model, pairs = copy_model(model, change, seed)
    names_found.discard(None)
    for name in patterns:
        if name not in names_found:
            raise ValueError(
                f"`replacements` must name activations of model {model.name!r}, which has "
                f"{', '.join(sorted(names_found)) or 'none'}. Received: {name!r}"
            )
    for _, new in pairs:
        _check_all_replaced(new, patterns)
    if "relu" in patterns:
        _warn_of_relus([new for _, new in pairs], patterns)
    if matching:
        matching.warn()
    return new_model


class _Pattern:
    """The replacement of an activation, serialized."""

    def __init__(self, value: Any) -> None:
        self.function: Any = None
        if not isinstance(value, keras.layers.Layer):
            self.function = keras.activations.serialize(keras.activations.get(value))
            value = keras.layers.Activation(keras.activations.get(self.function))
        self.node: Any = keras.saving.serialize_keras_object(value)
        self.node.pop("build_config", None)  # the shape is that of its place
        # `is_like` will see the resulting object.
        self.layer: Any = keras.saving.deserialize_keras_object(self.node)
        self.node = keras.saving.serialize_keras_object(self.layer)

    def as_layer(self, replaced: dict[str, Any], operation: Any) -> dict[str, Any]:
        """The replacement of a serialized layer, or of the function `operation` of the graph."""
        place = replaced["config"]
        if operation is not None and not isinstance(operation, keras.layers.Layer):
            place = {**place, **_dtype_of(operation, self.layer)}
        config = self._config(place, place["name"])
        regularizer = config.get("activity_regularizer") or place.get("activity_regularizer")
        if regularizer is not None:
            config["activity_regularizer"] = regularizer
        return {**replaced, **self.node, "config": config}

    def as_argument(self, host: dict[str, Any]) -> Any:
        """The replacement as `activation` of the serialized layer `host`."""
        if self.function is not None:
            return self.function
        name = f"{host['config'].get('name', 'activation')}_{self.node['config']['name']}"
        return {**self.node, "config": self._config(host["config"], name)}

    def _config(self, place: Mapping[str, Any], name: str) -> dict[str, Any]:
        own = self.node["config"]
        return {
            **own,
            "name": name,
            "dtype": place.get("dtype", own.get("dtype")),
            "trainable": own.get("trainable", True) and place.get("trainable", True),
        }

    def is_like(self, thing: Any) -> bool:
        """Whether a layer or function is this replacement, in any place."""
        if isinstance(thing, keras.Operation):
            return _essence(keras.saving.serialize_keras_object(thing)) == _essence(self.node)
        return self.function == keras.activations.serialize(thing)


def _essence(node: Any) -> tuple[Any, Any, dict[str, Any]]:
    config = {key: value for key, value in node["config"].items() if key not in _OF_PLACE}
    if node["class_name"] == "PReLU":
        config.pop("shared_axes", None)  # "spatial" is spelled out where channels come first
    return node["module"], node["class_name"], config


def _dtype_of(operation: Any, layer: Any) -> dict[str, str]:
    """The `dtype` with which a layer computes in the precision of a function of the graph."""
    dtype = keras.tree.flatten(operation.output)[0].dtype
    if not keras.backend.is_float_dtype(dtype) or dtype == layer.compute_dtype:
        return {}
    is_half = dtype in ("float16", "bfloat16")
    return {"dtype": f"mixed_{dtype}" if is_half else dtype}


def _fit_channels(
    node: Any, axes: ChannelAxes, operation: Any, inputs: Sequence[Any], depth: int
) -> Any:
    """A serialized PReLU with `alpha` shared over the spatial axes, even if channels come first.

    Args:
        axes: `ChannelAxes`.
        operation, inputs: Its operation in the graph, and the inputs of this operation.
        depth: How many layers it is within.
    """
    is_prelu = isinstance(node, dict) and node.get("registered_name") == "keras_leaky>PReLU"
    if not (axes.has_first and is_prelu and node["config"]["shared_axes"] == "spatial"):
        return node
    rank = len(inputs[0].shape)
    axis: Any = None
    if depth == 0:
        is_argument = activation_name(operation) is None
        axis = channel_axis(operation) if is_argument else axes.axis_of(inputs[0])
        axis = rank - 1 if is_argument and axis is None else axis
    if axis is None:
        raise ValueError(
            f"`replacements` must say which axes of layer {operation.name!r} share one `alpha`, "
            "because the axis of the channels is unknown. Use PReLU(shared_axes=[2, 3]) for "
            "images with channels first, and shared_axes=[1, 2] for others. Received: "
            "shared_axes='spatial'"
        )
    shared = [a for a in range(1, rank) if a != axis % rank]
    if shared == list(range(1, rank - 1)):
        return node
    return {**node, "config": {**node["config"], "shared_axes": shared}}


def _read_seed(weights: str, initializers: str, seed: int | None) -> int | None:
    """The seed to draw from, None if nothing is drawn."""
    for name, value, words in (
        ("weights", weights, ("keep", "draw")),
        ("initializers", initializers, ("keep", "match")),
    ):
        if value not in words:
            allowed = " or ".join(f'"{word}"' for word in words)
            raise ValueError(f"`{name}` must be {allowed}. Received: {name}={value!r}")
    is_int = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if seed is not None and (weights == "keep" or not is_int or seed < 0):
        raise ValueError(
            '`seed` must be an int of at least 0, and needs weights="draw". Received: '
            f"seed={seed!r}, weights={weights!r}"
        )
    if weights == "keep":
        return None
    return random.randrange(2**31) if seed is None else int(seed)


def _read_replacements(replacements: Any) -> dict[str, _Pattern]:
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


def _check_all_replaced(layer: Any, patterns: Mapping[str, _Pattern]) -> None:
    """Refuses a layer that makes an activation without showing it in its config."""
    for thing in parts_and_functions_of(layer):
        name = activation_name(thing)
        if name in patterns and not any(p.is_like(thing) for p in patterns.values()):
            raise ValueError(
                f"Layer {layer.name!r} of class {type(layer).__name__} applies {name}, but its "
                "config does not show it as a layer or as `activation`, so it cannot be replaced"
            )


def _warn_of_relus(operations: Iterable[Any], patterns: Mapping[str, _Pattern]) -> None:
    """Warns which ReLUs are left, because "relu" is not their name."""
    left = []
    for operation in operations:
        for thing in parts_and_functions_of(operation):
            name = activation_name(thing)
            is_relu = type(thing).__name__ == "ReLU" and name not in ("relu", *patterns)
            is_relu6 = name == "relu6" and name not in patterns
            if (is_relu or is_relu6) and not any(p.is_like(thing) for p in patterns.values()):
                key = f'"{name}"' if name else "no name"
                left.append(f"{operation.name!r} ({key})")
    if left:
        warnings.warn(
            '"relu" is a ReLU without a cap, threshold or slope. Not replaced are: '
            f"{', '.join(dict.fromkeys(left))}. Those with a name can be replaced by it",
            stacklevel=3,
        )
