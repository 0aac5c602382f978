"""The classes and functions in a model's config, checked before any is looked up.

In safe mode Keras refuses Python lambdas, and the functions on its own list. A Lambda layer of a
file can call other functions, such as `keras.config.set_floatx`, with arguments from the file.
"""

import builtins
import sys
from typing import Any

import keras

REACHES_OUT = "TFSMLayer"  # Keras has stopped it in safe mode since a version after 3.12
# Where Keras has functions that are parts of models.
_MODELLING = {
    "activations", "constraints", "initializers", "layers", "losses", "metrics", "ops",
    "quantizers", "random", "regularizers",
    "src",  # from where Keras takes nothing but classes of its own that can be saved
}  # fmt: skip


def is_well_formed(config: Any) -> bool:
    """Whether the entries about classes in a config have the types that Keras expects."""
    for item in _dicts(config):
        texts = [item.get(key) for key in ("class_name", "module", "registered_name")]
        if "config" in item and not all(text is None or isinstance(text, str) for text in texts):
            return False
    return True


def foreign_reference(config: Any, custom_objects: dict[str, Any] | None) -> str | None:
    """The full name of the first class or function that is not part of a model, or None."""
    for item in _dicts(config):
        name = item.get("class_name")
        if name is None or "config" not in item:
            continue
        is_function = name == "function"
        if is_function:
            name = item["config"]
            if not isinstance(name, str):
                continue
        registered = name if is_function else item.get("registered_name", name)
        if keras.saving.get_registered_object(registered, custom_objects) is not None:
            continue
        module = item.get("module") or ""
        parts = f"{module}.{name}".split(".")
        if name == REACHES_OUT or _is_foreign(parts, is_function or name[:1].islower()):
            return f"{module}.{name}"
    return None


def _is_foreign(parts, is_function):
    """`parts` of a dotted name."""
    if parts[0] == "builtins":
        return hasattr(builtins, parts[-1])
    if parts[0] == "keras" and is_function:
        return parts[1] not in _MODELLING and parts[-1] != "preprocess_input"
    return parts[0] in sys.stdlib_module_names and parts[0] != "__main__"


def _dicts(config):
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
