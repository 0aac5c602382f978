"""Names that mean different things in files of Keras 2 and Keras 3.

`tests/golden/compare_with_keras2.py` compares all activations and layers of the last Keras 2.
"""

from typing import Any

import keras
from keras import ops

_HARD_SIGMOID = "hard_sigmoid"
# Where a config has names of layers.
_LAYER_NAMES = ("name", "input_layers", "output_layers", "inbound_nodes")


@keras.saving.register_keras_serializable(package="keras_leaky")
def hard_sigmoid_keras2(x: Any) -> Any:
    """`clip(0.2 * x + 0.5, 0, 1)`, the `hard_sigmoid` of Keras 2.

    Keras 3's `hard_sigmoid` is `relu6(x + 3) / 6`, up to 0.083 away from it.
    """
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


def keep_functions(
    path: str,
    saved_by: dict[str, str | None],
    config: dict[str, Any],
    custom_objects: dict[str, Any] | None,
) -> dict[str, Any]:
    """The `config` with the functions that the file's version of Keras meant.

    That also holds for the caller's own classes, which pass the name on to Keras. The caller's own
    function under such a name takes precedence, as in Keras 2.
    """
    version = saved_by["version"] or ""
    if _is_keras_3(saved_by):
        return config
    if keras.saving.get_registered_object(_HARD_SIGMOID, custom_objects) is not None:
        by_name = {"class_name": "function", "config": _HARD_SIGMOID, "module": "builtins"}
        return _replace(config, {**by_name, "registered_name": _HARD_SIGMOID})
    kept = _replace(config, keras.saving.serialize_keras_object(hard_sigmoid_keras2))
    if kept != config and version[:2] not in ("1.", "2."):
        raise ValueError(
            f"{path!r} does not say which version of Keras saved it, and its activation "
            f"`{_HARD_SIGMOID}` is one function in Keras 2 and another in Keras 3. Write the "
            "version into the file, such as '2.12.0': as the attribute `keras_version` of an .h5 "
            "file, or as `keras_version` in metadata.json of a .keras file. "
            f"Received: keras_version={version!r}"
        )
    return kept


def freeze_inner_layers(saved_by: dict[str, str | None], config: dict[str, Any]) -> dict[str, Any]:
    """The `config` with every layer frozen that lies inside a frozen layer of Keras 2.

    There a wrapper's or a layer's `trainable=False` holds for the layers inside it, an activation
    included. Keras 3 still trains them. It also reads the weights of a model inside a model in
    another order then, as .h5 files have the trainable ones first.
    """
    return config if _is_keras_3(saved_by) else _freeze(config, False)


def check_kernels(path: str, saved_by: dict[str, str | None], config: dict[str, Any]) -> None:
    """Refuses convolutions that were trained on Theano, which stored their kernels reversed."""
    name = _first_convolution(config) if saved_by["backend"] == "theano" else None
    if name is not None:
        raise ValueError(
            f"{path!r} holds a `{name}` that Keras saved on Theano, which stores the kernels of "
            "convolutions in reversed order. Load the file in Keras 2.3 on TensorFlow (`pip "
            "install keras==2.3.1`), which reverses the kernels of Conv1D, Conv2D, Conv3D, "
            "Conv2DTranspose and ConvLSTM2D. Compare the outputs, and save it again."
        )


def _is_keras_3(saved_by):
    major = (saved_by["version"] or "").split(".")[0]
    return major.isdecimal() and int(major) >= 3


def _freeze(config, is_frozen) -> Any:
    if isinstance(config, list):
        return [_freeze(item, is_frozen) for item in config]
    if not isinstance(config, dict):
        return config
    inner = config.get("config")
    if isinstance(inner, dict) and "trainable" in inner:
        if is_frozen:
            config = {**config, "config": {**inner, "trainable": False}}
        is_frozen = not config["config"]["trainable"]
    return {key: _freeze(value, is_frozen) for key, value in config.items()}


def _first_convolution(config):
    if isinstance(config, dict):
        name = config.get("class_name")
        if isinstance(name, str) and "Conv" in name:
            return name
        config = list(config.values())
    if isinstance(config, list):
        return next(filter(None, map(_first_convolution, config)), None)
    return None


def _replace(config, function, key=None) -> Any:
    if key in _LAYER_NAMES:
        return config
    if isinstance(config, list):
        return [_replace(item, function, key) for item in config]
    if config == _HARD_SIGMOID:
        return function
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "function" and config.get("config") == _HARD_SIGMOID:
        return function
    return {key: _replace(value, function, key) for key, value in config.items()}
