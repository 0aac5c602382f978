"""Reading and changing the config of an object."""

from collections.abc import Collection
from typing import Any

import keras


def is_of_keras(config: dict[str, Any], custom_objects: dict[str, Any] | None) -> bool:
    """Whether `config` belongs to an object of Keras 2 or 3, and not to other code."""
    if not {"class_name", "config"} <= config.keys() or not isinstance(config["class_name"], str):
        return False
    name = config["class_name"]
    # `.h5` files have no module, and None is that of a class that somebody wrote into a script.
    package = (config.get("module", "keras") or "").split(".")[0]
    # As Keras looks it up: where `.keras` files name a class of Keras, they have None here.
    registered_name = config.get("registered_name", name)
    return (
        package in ("keras", "tf_keras")
        and registered_name in (None, name)
        and keras.saving.get_registered_object(registered_name, custom_objects) is None
    )


def replace_values(
    config: dict[str, Any], drop: Collection[str] = (), **changes: Any
) -> dict[str, Any]:
    """The `config` of an object with other values in its inner config, and without dropped ones."""
    inner = {key: value for key, value in config["config"].items() if key not in drop}
    return {**config, "config": inner | changes}


def in_keras_layers(config: dict[str, Any]) -> dict[str, Any]:
    """The `config` of a layer of Keras with the module in which Keras 3 finds it."""
    return {**config, "module": "keras.layers", "registered_name": None}
