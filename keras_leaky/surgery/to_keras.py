"""A model without this package."""

import math
from typing import Any

import keras

from keras_leaky.rectifiers import TABLE, Entry
from keras_leaky.surgery._configs import Hosts, rewrite
from keras_leaky.surgery._copy import check_graph, copy_model
from keras_leaky.surgery._state import parts_and_functions_of

_OURS = "keras_leaky>"
_BASE = ("name", "trainable", "dtype")  # what every layer has


def to_keras(model: keras.Model) -> keras.Model:
    """A copy of a model with Keras's own classes instead of this package's classes.

    Use it to deploy without this package: the saved copy loads without `import keras_leaky`.
    Weights, names, dtype policies and `trainable` are kept, also in nested models, wrappers,
    arguments (`activation`, `kernel_initializer`) and for shared layers. The given model is not
    changed, and the copy is not compiled. Other classes stay unchanged.

    | here | there |
    | --- | --- |
    | `LeakyReLU(negative_slope)`, at least 0 | `LeakyReLU(negative_slope)` |
    | `PReLU`, built | `PReLU` |
    | `ELU(alpha)` | `ELU(alpha)` |
    | `CELU(1.0)` | `Activation("celu")` |
    | `SELU()` | `Activation("selu")` |
    | `RReLU(lower, upper)` | `LeakyReLU((lower + upper) / 2)`: as in inference |
    | `RectifierNormal`, `RectifierUniform` | `VarianceScaling` |
    | `RandomizedAsymmetric()` | `VarianceScaling`: its second moment, not its asymmetry |
    | `RandomizedAsymmetric(fan_in)` | `RandomNormal`, likewise |

    In inference the outputs are the same within a few roundings (Keras's ELU and CELU lose negative
    numbers that are small beside 1). In training they may differ: RReLU no longer draws slopes, and
    Keras's derivatives at exactly 0 depend on layer and backend.

    Args:
        model: Built `keras.Sequential` or functional model. Not changed.

    Returns:
        A model of the same kind, not compiled.

    Raises:
        ValueError: If `model` is not a built Sequential or functional model, or a layer of it
            cannot be rebuilt from its config; if an object of this package has no counterpart in
            Keras: LeakyReLU with a negative slope, CELU with an `alpha` other than 1, a PReLU that
            was never built.

    Example:

    >>> import keras
    >>> from keras_leaky import to_keras
    >>> from keras_leaky.layers import RReLU
    >>> model = keras.Sequential([keras.Input((4,)), RReLU(0.1, 0.3)])
    >>> layer = to_keras(model).layers[0]
    >>> type(layer) is keras.layers.LeakyReLU, round(layer.negative_slope, 6)
    (True, 0.2)
    """
    check_graph(model)
    new_model, pairs = copy_model(model, lambda part, key, hosts, *_: _translate(part, key, hosts))
    for _, layer in pairs:
        for thing in parts_and_functions_of(layer):
            name = _registered_name(thing)
            if _is_ours(name):
                raise ValueError(
                    f"Layer {layer.name!r} of class {type(layer).__name__} uses {name} without "
                    "showing it in its config, so Keras's class cannot replace it"
                )
    return new_model


def _registered_name(thing: Any) -> str:
    is_function = hasattr(thing, "__name__")
    return keras.saving.get_registered_name(thing if is_function else type(thing))


def _is_ours(name: str) -> bool:
    """Whether Keras got that name from this package, or from a registered rectifier."""
    return name.startswith(_OURS) or _entry_named(name) is not None


def _entry_named(name: str) -> Entry | None:
    """The entry whose layer or function has that name in Keras, and is not Keras's own."""
    is_registered = ">" in name  # else it is the bare name of anything
    for entry in TABLE.values():
        if is_registered and name in entry.registered_names and not entry.is_of_keras:
            return entry
    return None


def _translate(part: Any, key: str, hosts: Hosts) -> Any:
    """Keras's counterpart of a serialized object of ours; other objects unchanged."""
    if not isinstance(part, dict):
        return part
    if part.get("class_name") == "function" and _is_ours(part["config"]):
        return _translate_function(part["config"], key, hosts)
    if _is_ours(str(part.get("registered_name"))):
        config = rewrite(part["config"], _translate, hosts=(*hosts, part))
        return _translate_object({**part, "config": config}, hosts)
    return part


def _translate_function(name: str, key: str, hosts: Hosts) -> Any:
    entry = _entry_named(name)
    if entry is not None and key.endswith("activation"):
        if entry.keras_function:
            return entry.keras_function
        host = hosts[-1]["config"]
        base = {
            "name": f"{host.get('name', 'activation')}_{entry.name}",
            "dtype": host.get("dtype"),
        }
        twin = entry.to_keras(entry.config_of(), None)
        if twin is not None:
            kind, own = twin
            return _of_keras("layers", kind, {**base, **own})
    raise _no_twin(name, hosts)


def _translate_object(node: dict[str, Any], hosts: Hosts) -> dict[str, Any]:
    entry = _entry_named(node["registered_name"])
    if entry is None:
        return _translate_initializer(node, hosts)
    config = node["config"]
    twin = entry.to_keras(config, node.get("build_config", {}).get("input_shape"))
    if twin is None:
        raise _no_twin(node["registered_name"], (*hosts, node))
    kind, own = twin
    base = {name: config[name] for name in _BASE}
    return {**node, **_of_keras("layers", kind, {**base, **own})}


def _translate_initializer(node: dict[str, Any], hosts: Hosts) -> dict[str, Any]:
    initializer = keras.saving.deserialize_keras_object(node)
    if not isinstance(initializer, keras.initializers.VarianceScaling):
        raise _no_twin(node["registered_name"], (*hosts, node))
    config = keras.initializers.VarianceScaling.get_config(initializer)
    fan_in = getattr(initializer, "fan_in", None)
    if fan_in is None:
        return _of_keras("initializers", "VarianceScaling", config)
    # The shape of a bias does not tell the fan-in, so the deviation is spelled out.
    deviation = math.sqrt(config["scale"] / (fan_in + 1))
    normal = {"mean": 0.0, "stddev": deviation, "seed": config["seed"]}
    return _of_keras("initializers", "RandomNormal", normal)


def _of_keras(module: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    node = {"module": f"keras.{module}", "class_name": kind, "config": config}
    return {**node, "registered_name": None}


def _no_twin(name: str, hosts: Hosts) -> ValueError:
    config = {key: value for key, value in hosts[-1]["config"].items() if key not in _BASE}
    layer = next(node["config"]["name"] for node in reversed(hosts) if "name" in node["config"])
    return ValueError(
        f"`model` must hold only objects with a counterpart in Keras. Received: {name} of layer "
        f"{layer!r}, whose config is {config}"
    )
