"""What Keras 2 wrote into its files, in the words of Keras 3.

Nothing here knows files: a config goes in, a repaired config comes out, equal to the first where
Keras 3 reads that. What is said of versions, the files in `tests/golden/keras2` show.
"""

import math

import keras

from keras_leaky.layers import LeakyReLU
from keras_leaky.layers._arguments import as_number
from keras_leaky.saving.configs import is_of_keras, replace_values
from keras_leaky.saving.keras2_training import repair_training

# Arguments that Keras 3 dropped, with the value that changes nothing. Left out of the layers that
# Leaky ReLU comes with in the GANs and sequence models of the time.
GONE = {
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), ("groups", 1)),
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), ("time_major", False)),
}


def repair_model(config, custom_objects):
    """`config`, and every config inside it, as Keras 3 reads it.

    Classes in `custom_objects`, and registered ones, read their own arguments themselves.
    """
    if isinstance(config, list):
        return [repair_model(item, custom_objects) for item in config]
    if not isinstance(config, dict):
        return config
    if is_of_keras(config, custom_objects):
        repair_class = CLASSES.get(config["class_name"], lambda config: config)
        config = _repair_layer(repair_class(config), custom_objects)
    # Every class of layer wrote its input shape, if it was told one. The place of that is an
    # InputLayer, which by now is there.
    if config.get("class_name") != "InputLayer" and isinstance(config.get("config"), dict):
        config = replace_values(config, ["batch_input_shape"])
    config = {key: repair_model(value, custom_objects) for key, value in config.items()}
    if "class_name" in config and isinstance(config.get("compile_config"), dict):
        config["compile_config"] = repair_training(config["compile_config"], custom_objects)
    return config


def _repair_layer(config, custom_objects):
    """What any layer may need."""
    inner = config["config"]
    if not isinstance(inner, dict):
        return config
    drop, changes = [], {}
    for key, value in inner.items():
        if (key, value) == GONE.get(config["class_name"]):
            drop.append(key)
        # tf.keras up to 2.11 wrote a layer inside another without its module.
        elif (
            key.endswith(("activation", "layer"))
            and isinstance(value, dict)
            and "module" not in value
            and is_of_keras(value, custom_objects)
            and hasattr(keras.layers, value["class_name"])
        ):
            changes[key] = _in_keras_layers(value)
            if value["class_name"] == "PReLU" and "build_config" not in value:
                changes[key]["build_config"] = {"input_shape": _output_shape(inner)}
    return replace_values(config, drop, **changes)


def _output_shape(inner):
    """Of a layer with channels last, for PReLU: its shared axes may have any size."""
    n_channels = inner.get("units", inner.get("filters"))
    return [None, *(1 for _ in inner.get("kernel_size", ())), n_channels]


def _in_keras_layers(config):
    return {**config, "module": "keras.layers", "registered_name": None}


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
    input_layer = _in_keras_layers(
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
    """The inner config of the first layer, also where that lies in a model inside the model."""
    inner = config["config"]
    if isinstance(inner, list):
        inner = {"layers": inner}
    layers = inner.get("layers")
    return _first_layer(layers[0]) if layers else inner


def _functional(config):
    """Another module, other node numbers, and no lists around one input or output."""
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
            {**layer, "inbound_nodes": _renumber(layer["inbound_nodes"], models)}
            for layer in layers
        ]
    }
    for key in ("input_layers", "output_layers"):
        ends = _renumber(config["config"].get(key), sequential)
        is_single = isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list)
        changes[key] = ends[0] if is_single else ends
    return replace_values(config, **changes)


def _renumber(tensors, models):
    """Lists of `[layer, number of its node, ...]`, one node earlier where the layer is a model."""
    if not isinstance(tensors, list):
        return tensors
    if tensors and isinstance(tensors[0], str):
        name, node, *rest = tensors
        return [name, max(node - 1, 0) if name in models else node, *rest]
    return [_renumber(item, models) for item in tensors]


def _input_layer(config):
    if "batch_input_shape" not in config["config"]:
        return config
    shape = config["config"]["batch_input_shape"]
    return replace_values(config, ["batch_input_shape"], batch_shape=shape)


def _batch_normalization(config):
    """The axis as a number, where TensorFlow wrote a list of one."""
    axis = config["config"].get("axis")
    single = isinstance(axis, list) and len(axis) == 1
    return replace_values(config, axis=axis[0]) if single else config


def _numbers(config):
    """Arrays of one number as numbers: `as_number` says who wrote them."""
    changes = {}
    for key in ("alpha", "theta", "max_value", "negative_slope", "threshold"):
        value = config["config"].get(key)
        if isinstance(value, dict | list):
            changes[key] = as_number(value)
            if not math.isfinite(changes[key]):
                raise ValueError(
                    f"`{key}` of layer {config['config'].get('name')!r} must be one real number. "
                    f"Received: {key}={value!r}"
                )
    return replace_values(config, **changes)


def _constant(config):
    """The initializer of many a PReLU. Of more than one number Keras has to make sense."""
    value = as_number(config["config"].get("value"))
    is_array = isinstance(config["config"].get("value"), dict) and math.isfinite(value)
    return replace_values(config, value=value) if is_array else config


def _leaky_relu(config):
    """Keras's own layer under its new argument; ours where Keras 3 refuses the slope."""
    config = _numbers(config)
    if "alpha" not in config["config"]:
        return config
    slope = config["config"]["alpha"]
    config = _in_keras_layers(replace_values(config, ["alpha"], negative_slope=slope))
    if not as_number(slope) < 0:
        return config
    name = keras.saving.get_registered_name(LeakyReLU)
    return {**config, "module": LeakyReLU.__module__, "registered_name": name}


def _thresholded_relu(config):
    """`x if x > theta else 0`, which is what ReLU of Keras 3 does with a threshold."""
    config = _in_keras_layers(_numbers(config))
    theta = config["config"].get("theta", 1.0)
    return {**replace_values(config, ["theta"], threshold=theta), "class_name": "ReLU"}


CLASSES = {
    "Sequential": _sequential,
    "Functional": _functional,
    "Model": _functional,
    "InputLayer": _input_layer,
    "LeakyReLU": _leaky_relu,
    "ThresholdedReLU": _thresholded_relu,
    "ELU": _numbers,
    "ReLU": _numbers,
    "BatchNormalization": _batch_normalization,
    "Constant": _constant,
}
