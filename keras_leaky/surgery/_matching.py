"""Initializers that have the gain of the activation behind them."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import keras

from keras_leaky.initializers import RectifierNormal, RectifierUniform, gain
from keras_leaky.layers._nested import layers_of
from keras_leaky.rectifiers import TABLE, activation_name
from keras_leaky.surgery._graph import inputs_of_uses, is_graph, kernel_of, layers_in_front

_OURS = (RectifierNormal, RectifierUniform)
_SLOPE_OF_KERAS = 0.2  # of its function `leaky_relu`

Direction = Literal["forward", "backward"]


class Pattern(Protocol):
    """The replacement of an activation."""

    layer: Any


class Matching:
    """Finds the layers in front of activations that are replaced.

    Args:
        model: Built Sequential or functional model.
        patterns: Dict from the names of activations to their replacements, each with its `layer`.
    """

    def __init__(self, model: Any, patterns: Mapping[str, Pattern]) -> None:
        # id of a layer -> [(old activation, new one)]
        self._behind: dict[int, list[tuple[Any, Any]]] = {}
        self._left: list[str] = []
        for operation, uses in inputs_of_uses(model).values():
            name: Any = activation_name(operation)
            if name in patterns:
                change = operation, patterns[name].layer
                fronts = [layers_in_front(inputs[0], _is_activated) for inputs in uses]
                for layer in {id(layer): layer for front in fronts for layer in front}.values():
                    self._behind.setdefault(id(layer), []).append(change)
            elif isinstance(operation, keras.layers.Layer) and not is_graph(operation):
                self._add_hosts(operation, patterns)

    def _add_hosts(self, layer: Any, patterns: Mapping[str, Pattern]) -> None:
        for part in layers_of(layer):
            activation = getattr(part, "activation", None)
            name: Any = activation_name(activation) if callable(activation) else None
            if name in patterns and part is layer and kernel_of(layer) is not None:
                change = activation, patterns[name].layer
                self._behind.setdefault(id(layer), []).append(change)
            elif name in patterns:
                self._left.append(layer.name)

    def match(self, node: Any, layer: Any) -> Any:
        """The kernel initializer `node` of `layer`, with the gain of the activation behind it."""
        changes = self._behind.get(id(layer), [])
        found = [match_initializer(node, old, new) for old, new in changes]
        if any(other != found[0] for other in found):
            raise ValueError(
                f'`initializers` may be "match" only if each layer has one activation behind it. '
                f"Received: layer {layer.name!r} with several, whose gains differ"
            )
        if found and found[0] is None:
            self._left.append(layer.name)
        return found[0] if found and found[0] is not None else node

    def warn(self) -> None:
        """Says which initializers have no gain to change."""
        if self._left:
            warnings.warn(
                f"Initializers of {', '.join(dict.fromkeys(map(repr, self._left)))} are not "
                "changed. Only a VarianceScaling or Orthogonal of a kernel can be matched, in "
                "layers of the model itself or of a nested model",
                stacklevel=3,
            )


def _is_activated(operation: Any) -> bool:
    """Whether it is an activation, or ends with one."""
    activation = getattr(operation, "activation", None)
    own = activation_name(activation) if callable(activation) else None
    return activation_name(operation) is not None or own is not None


def gain_ratio(old: Any, new: Any, direction: Direction) -> float:
    """The factor on a kernel if the activation `new` replaces `old`.

    Both are layers, operations or functions.
    """
    return _gain_of(new, direction) / _gain_of(old, direction)


def _gain_of(thing: Any, direction: Direction) -> float:
    while isinstance(thing, keras.layers.Activation):
        thing = thing.activation
    name: Any = activation_name(thing)
    if name == "relu6":
        name = "relu"  # pre-activations of variance 1 are almost never above 6
    if name not in TABLE:
        *names, last = ["relu", "relu6", *list(TABLE)[1:]]
        raise ValueError(
            '`initializers` may be "match" only if the gains of the activation and its replacement '
            f"are known. Known are the gains of {', '.join(names)} and {last}. "
            f"Received: {name or repr(thing)}"
        )
    return gain(name, _alpha_of(thing, name), direction)


def _alpha_of(thing: Any, name: str) -> Any:
    """The alpha of a layer, operation or function as `gain` takes it, None for the default."""
    found = [getattr(thing, parameter, None) for parameter in TABLE[name].parameters]
    if any(value is None for value in found):  # a function
        is_of_keras = not thing.__module__.startswith("keras_leaky.")
        return _SLOPE_OF_KERAS if name == "leaky_relu" and is_of_keras else None
    alphas = [
        _constant_of(value) if isinstance(value, keras.initializers.Initializer) else value
        for value in found
    ]
    return alphas if len(alphas) > 1 else next(iter(alphas), None)


def _constant_of(initializer: keras.initializers.Initializer) -> float:
    constants = (
        keras.initializers.Constant,
        keras.initializers.Zeros,
        keras.initializers.Ones,
    )
    if not isinstance(initializer, constants):
        raise ValueError(
            '`initializers` may be "match" only for a PReLU that starts from one number, as '
            f"PReLU(0.25) does. Received: alpha_initializer={initializer!r}"
        )
    alpha: Any = keras.ops.convert_to_numpy(initializer(()))
    return float(alpha)


def match_initializer(node: Any, old: Any, new: Any) -> Any:
    """The serialized initializer `node`, its weights times `gain_ratio`. None if it has no gain.

    Of a `VarianceScaling` (He, Glorot and LeCun are some) the `scale` changes, of `Orthogonal` the
    `gain`. The draws of a seed stay the same but for that factor.
    """
    initializer = keras.initializers.get(node)
    kind = type(initializer)
    of_keras = kind.__module__.startswith("keras.")
    if isinstance(initializer, keras.initializers.VarianceScaling) and (of_keras or kind in _OURS):
        config = keras.initializers.VarianceScaling.get_config(initializer)
        direction = "backward" if config["mode"] == "fan_out" else "forward"
        config["scale"] *= gain_ratio(old, new, direction) ** 2
        return keras.saving.serialize_keras_object(
            keras.initializers.VarianceScaling.from_config(config)
        )
    if isinstance(initializer, keras.initializers.Orthogonal) and of_keras:
        config = initializer.get_config()
        config["gain"] *= gain_ratio(old, new, "forward")
        return {**node, "config": config}
    return None
