"""Configs of Keras 2 in Keras 3's form: models and their nodes.

This module does not read files. It takes a config and returns a repaired one, which is unchanged if
Keras 3 can read it. The files in `tests/golden/keras2` show what each version wrote.
"""

from typing import Any

from keras_leaky.saving.configs import in_keras_layers, is_of_keras, replace_values
from keras_leaky.saving.keras2_layers import RECURRENT, repair_layer
from keras_leaky.saving.keras2_training import repair_training


def repair_model(config: Any, custom_objects: dict[str, Any] | None) -> Any:
    """`config`, and every config inside it, as Keras 3 reads it.

    Classes in `custom_objects`, and registered ones, read their own arguments themselves.
    """
    if isinstance(config, list):
        return [repair_model(item, custom_objects) for item in config]
    if not isinstance(config, dict):
        return config
    if is_of_keras(config, custom_objects) and config["class_name"] in MODELS:
        config = MODELS[config["class_name"]](config)
    config = repair_layer(config, custom_objects)
    # Every class of layer wrote its input shape, if it had one. In Keras 3 it belongs to an
    # InputLayer, which by now is there.
    if config.get("class_name") != "InputLayer" and isinstance(config.get("config"), dict):
        config = replace_values(config, ["batch_input_shape"])
    config = {key: repair_model(value, custom_objects) for key, value in config.items()}
    if "class_name" in config and isinstance(config.get("compile_config"), dict):
        config["compile_config"] = repair_training(config["compile_config"], custom_objects)
    return config


def _sequential(config):
    """The layers under a name (2.0 and 2.1 wrote a bare list), the first one an InputLayer."""
    inner = config["config"]
    if isinstance(inner, list):
        config = {**config, "config": {"name": config.get("name", "sequential"), "layers": inner}}
    layers = config["config"].get("layers")
    if not layers or layers[0]["class_name"] == "InputLayer":
        return config
    first = _first_layer(layers[0])
    shape = first.get("batch_input_shape") or first.get("batch_shape")
    if not shape:
        return config
    dtype = first.get("dtype")
    input_layer = in_keras_layers(
        {
            "class_name": "InputLayer",
            "config": {
                "batch_shape": shape,
                "dtype": dtype if isinstance(dtype, str) else "float32",
                "name": f"{first.get('name', 'first')}_input",
            },
        }
    )
    return replace_values(config, layers=[input_layer, *layers])


def _first_layer(config):
    """The inner config of the first layer, even if it lies in a model inside the model."""
    inner = config["config"]
    if isinstance(inner, list):
        inner = {"layers": inner}
    layers = inner.get("layers")
    return _first_layer(layers[0]) if layers else inner


def _functional(config):
    """Repairs the module, the node numbers, and lists around one input or output."""
    if ".engine" in (config.get("module") or ""):  # keras.src.engine, tf_keras.src.engine
        config = {**config, "module": "keras", "class_name": "Model", "registered_name": None}
    layers = config["config"].get("layers")
    # Keras 3 writes a node as a dict, and a list of one only for a model that was made with one.
    if not layers or any(isinstance(n, dict) for layer in layers for n in layer["inbound_nodes"]):
        return config
    # Keras 2 gave a model a node of its own, before those of its calls. For functional models that
    # are outputs Keras 3 takes that into account.
    kinds = {layer["name"]: layer["class_name"] for layer in layers}
    models = {name for name, kind in kinds.items() if kind in ("Functional", "Model", "Sequential")}
    sequential = {name for name in models if kinds[name] == "Sequential"}
    changes: dict = {
        "layers": [
            {
                **layer,
                "inbound_nodes": [
                    _with_tensors(node, kinds, layer["class_name"])
                    for node in _renumber(layer["inbound_nodes"], models)
                ],
            }
            for layer in layers
        ]
    }
    for key in ("input_layers", "output_layers"):
        ends = _renumber(config["config"].get(key), sequential)
        is_single = isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list)
        changes[key] = ends[0] if is_single else ends
    return replace_values(config, **changes)


def _renumber(tensors, models):
    """Lists of `[layer, number of its node, ...]`, one node earlier if the layer is a model."""
    if not isinstance(tensors, list):
        return tensors
    if tensors and isinstance(tensors[0], str):
        name, node, *rest = tensors
        rest = [_renumber_arguments(item, models) for item in rest]
        return [name, max(node - 1, 0) if name in models else node, *rest]
    return [_renumber(item, models) for item in tensors]


def _renumber_arguments(item, models):
    if not isinstance(item, dict):
        return item
    return {k: _renumber(v, models) if _is_tensor(v) else v for k, v in item.items()}


def _is_tensor(value):
    return (
        isinstance(value, list)
        and [type(item) for item in value[:3]] == [str, int, int]
        and len(value) in (3, 4)
    )


def _with_tensors(node, layers, class_name):
    """A node of a layer that was called with several tensors, in Keras 3's form.

    Keras 2 has a tensor by name as a list like `["x", 0, 0]`, which Keras 3 would give to the layer
    as it is. The initial states of a recurrent layer follow its input.
    """
    tensors = [node] if _is_tensor(node) else node
    arguments = tensors[-1][3] if tensors and len(tensors[-1]) > 3 else {}
    by_name = [k for k, v in arguments.items() if _is_tensor(v) and v[0] in layers]
    has_states = class_name in RECURRENT and len(tensors) > 1
    if not by_name and not has_states:
        return node
    inputs = [_keras_tensor(tensor) for tensor in tensors]
    named = {k: _keras_tensor(v) if k in by_name else v for k, v in arguments.items()}
    if has_states:
        inputs, named["initial_state"] = inputs[:1], inputs[1:]
        if named.get("constants") is None:  # which Keras 3 does not take
            named.pop("constants", None)
    return {"args": inputs if len(inputs) == 1 else [inputs], "kwargs": named}


def _keras_tensor(tensor):
    config = {"shape": [None], "dtype": "float32", "keras_history": tensor[:3]}
    return {"class_name": "__keras_tensor__", "config": config}


def _input_layer(config):
    if "batch_input_shape" not in config["config"]:
        return config
    shape = config["config"]["batch_input_shape"]
    return replace_values(config, ["batch_input_shape"], batch_shape=shape)


MODELS = {
    "Sequential": _sequential,
    "Functional": _functional,
    "Model": _functional,
    "InputLayer": _input_layer,
}
