"""Layers and initializers of Keras 2 in Keras 3's form."""

import math
from inspect import isfunction
from typing import Any

import keras

from keras_leaky.layers import LeakyReLU
from keras_leaky.layers._arguments import as_number
from keras_leaky.saving.configs import in_keras_layers, is_of_keras, replace_values

# Classes that go by another name today. tf.keras 1.14 and 1.15 wrote their own name of
# BatchNormalization, tf.keras 1.13 of the layers that can use cuDNN.
RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "UnifiedLSTM": "LSTM",
    "UnifiedGRU": "GRU",
}
RECURRENT = (
    "SimpleRNN", "LSTM", "GRU", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional",
)  # fmt: skip
# Arguments that Keras 3 dropped, with the only value that it can express.
_UNUSED = object()  # an argument that computed nothing, whatever its value
_GROUPS = {"groups": 1}
_TIME = {"time_major": False}
_DEPTHWISE = {
    **_GROUPS,
    **dict.fromkeys(("kernel_initializer", "kernel_regularizer", "kernel_constraint"), _UNUSED),
}
_DROPOUT = {"trainable": _UNUSED, "noise_shape": None, "rng_type": _UNUSED}
_SHAPES = dict.fromkeys(("query_shape", "key_shape", "value_shape"), _UNUSED)
GONE = {
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _GROUPS),
    **dict.fromkeys(RECURRENT[:-1], _TIME),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _DEPTHWISE),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _DEPTHWISE),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"), _DROPOUT),
    "BatchNormalization": {"virtual_batch_size": None, "adjustment": None, "fused": _UNUSED},
    "Softmax": {"robust_masking": False},
    "MultiHeadAttention": {**_SHAPES, "softmax_robust_masking": False},
    "Attention": {"causal": False},
    "AdditiveAttention": {"causal": False},
    "Embedding": {"input_length": _UNUSED},
    "Discretization": {"trainable": _UNUSED},
}
# `rng_type` chose how random numbers were made. No layer draws any when it predicts.
_RNG_TYPE = "rng_type"
_RESIZINGS_GONE = ("gaussian", "mitchellcubic")


def repair_layer(config: dict[str, Any], custom_objects: dict[str, Any] | None) -> dict[str, Any]:
    """The `config` of a layer as Keras 3 reads it; inner objects stay unchanged."""
    inner = config.get("config")
    if not isinstance(inner, dict) or not isinstance(config.get("class_name"), str):
        return config
    config = _dtype(config)
    if not is_of_keras(config, custom_objects):
        return _with_axis(config, custom_objects)
    name = RENAMED.get(config["class_name"], config["class_name"])
    if name != config["class_name"]:
        is_synchronized = config["class_name"].startswith("Sync")
        changes: dict[str, Any] = {"synchronized": True} if is_synchronized else {}
        config = in_keras_layers({**replace_values(config, **changes), "class_name": name})
    config = CLASSES.get(str(name), lambda config: config)(config)
    config = _without_gone_arguments(_without_shapes(config))
    config = _wrapped(config, custom_objects)
    if "module" not in config and _is_layer(config["class_name"]) and _is_misread(config):
        config = in_keras_layers(config)
    return config


def _is_misread(config):
    """Whether Keras 3 would misread a config without a module, as .h5 files have them.

    It drops lists of axes, and takes a text such as "dot" for the function in `keras.layers`.
    """
    inner = config["config"]
    functions = (
        key != "name" and isinstance(value, str) and isfunction(getattr(keras.layers, value, None))
        for key, value in inner.items()
    )
    return isinstance(inner.get("axis"), dict | list) or any(functions)


def _is_layer(name):
    found = getattr(keras.layers, name, None)
    return isinstance(found, type) and issubclass(found, keras.layers.Layer)


def _dtype(config) -> dict:
    """The dtype as a text, if Keras 2 wrote a `Policy`."""
    policy = config["config"].get("dtype")
    if not isinstance(policy, dict) or policy.get("class_name") not in ("Policy", "PolicyV1"):
        return config
    name = policy.get("config", {}).get("name")
    # The policy of TensorFlow 1.14 to 2.0 that took the dtype of the first input.
    return replace_values(config, dtype="float32" if name in ("infer", "_infer") else name)


def _with_axis(config, custom_objects):
    """A layer that is not Keras's, whose list of axes Keras 3's reader would drop."""
    name = config["class_name"]
    if "module" in config or not isinstance(config["config"].get("axis"), dict | list):
        return config
    if keras.saving.get_registered_object(name, custom_objects) is None:
        return config
    return {**config, "module": None, "class_name": name.split(">")[-1], "registered_name": name}


def _without_shapes(config):
    """Built by their call: Keras 2 wrote one shape or many, Keras 3 wants one per argument."""
    name, shape = config["class_name"], (config.get("build_config") or {}).get("input_shape")
    is_of_several = name in RECURRENT and bool(shape) and isinstance(shape[0], list)
    if name != "MultiHeadAttention" and not is_of_several:
        return config
    return {key: value for key, value in config.items() if key != "build_config"}


def _without_gone_arguments(config):
    gone, drop = GONE.get(config["class_name"], {}), []
    for key, value in config["config"].items():
        if key == _RNG_TYPE or gone.get(key) is _UNUSED:
            drop.append(key)
        elif key in gone:
            if value != gone[key]:
                raise _refused(config, key, f"{gone[key]!r}: Keras 3 has no such argument")
            drop.append(key)
    return replace_values(config, drop)


def _refused(config, key, rule):
    inner = config["config"]
    return ValueError(
        f"`{key}` of layer {inner.get('name')!r} of class `{config['class_name']}` must be {rule}. "
        f"Received: {key}={inner[key]!r}. Load the file in Keras 2 (`pip install tf_keras`), "
        "change the model there, and save it again."
    )


def _wrapped(config, custom_objects):
    """Layers inside the layer, which tf.keras up to 2.11 wrote without their module."""
    inner, changes = config["config"], {}
    for key, value in inner.items():
        if (
            key.endswith(("activation", "layer"))
            and isinstance(value, dict)
            and "module" not in value
            and is_of_keras(value, custom_objects)
            and hasattr(keras.layers, value["class_name"])
        ):
            changes[key] = in_keras_layers(value)
            if value["class_name"] == "PReLU" and "build_config" not in value:
                changes[key]["build_config"] = {"input_shape": _output_shape(inner)}
    return replace_values(config, **changes)


def _output_shape(inner):
    """Of a layer with channels last, for PReLU: its shared axes may have any size."""
    n_channels = inner.get("units", inner.get("filters"))
    return [None, *(1 for _ in inner.get("kernel_size", ())), n_channels]


def _batch_normalization(config):
    """The axis as a number, if TensorFlow wrote a list of one."""
    axis = config["config"].get("axis")
    single = isinstance(axis, list) and len(axis) == 1
    return replace_values(config, axis=axis[0]) if single else config


def _gru(config):
    """Up to 2.1 there was one GRU, which is `reset_after=False` in Keras 3."""
    return replace_values(config, **{"reset_after": False, **config["config"]})


def _resizing(config):
    if config["config"].get("interpolation") in _RESIZINGS_GONE:
        raise _refused(config, "interpolation", "a method of Keras 3, such as 'bicubic'")
    return config


def _random_crop(config):
    raise ValueError(
        f"The layer {config['config'].get('name')!r} of class `RandomCrop` resizes images when the "
        "model predicts in Keras 2, but not in Keras 3. Load the file in Keras 2 (`pip install "
        "tf_keras`), replace the layer by `Resizing`, and save the model again."
    )


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
    """The initializer of many PReLUs. Keras itself handles more than one number."""
    value = as_number(config["config"].get("value"))
    is_array = isinstance(config["config"].get("value"), dict) and math.isfinite(value)
    return replace_values(config, value=value) if is_array else config


def _leaky_relu(config):
    """Keras's own layer under its new argument; ours where Keras 3 refuses the slope."""
    config = _numbers(config)
    if "alpha" not in config["config"]:
        return config
    slope = config["config"]["alpha"]
    config = in_keras_layers(replace_values(config, ["alpha"], negative_slope=slope))
    if not as_number(slope) < 0:
        return config
    name = keras.saving.get_registered_name(LeakyReLU)
    return {**config, "module": LeakyReLU.__module__, "registered_name": name}


def _thresholded_relu(config):
    """`x if x > theta else 0`, which is what ReLU of Keras 3 does with a threshold."""
    config = in_keras_layers(_numbers(config))
    theta = config["config"].get("theta", 1.0)
    return {**replace_values(config, ["theta"], threshold=theta), "class_name": "ReLU"}


CLASSES = {
    "LeakyReLU": _leaky_relu,
    "ThresholdedReLU": _thresholded_relu,
    "ELU": _numbers,
    "ReLU": _numbers,
    "BatchNormalization": _batch_normalization,
    "Constant": _constant,
    "GRU": _gru,
    "GRUCell": _gru,
    "RandomCrop": _random_crop,
    "UpSampling2D": _resizing,
    "Resizing": _resizing,
}
