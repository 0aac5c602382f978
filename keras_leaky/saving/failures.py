"""One sentence instead of Keras's message about a file that it cannot read.

Keras nests its messages, each with the whole config of its level: some kilobytes for a small model.
The sentences here name the class and what to do; the message of Keras stays in the cause.
"""

import re
import textwrap
from typing import Any

import keras

from keras_leaky.saving.configs import is_of_keras

# Messages of Keras 3.12 to 3.15 about configs and weights. Other errors are not handled here.
_CONFIG = re.compile(
    r"Exception encountered: |[Cc]ould not (be deserialized|deserialize|locate|interpret|parse)"
    r"|Cannot deserialize|^Unknown |^Unrecognized keyword|^Invalid Functional model"
)
_WEIGHTS = re.compile(
    r"objects could not be loaded|(Layer|Weight) count mismatch|Shape mismatch in"
)
_BUILTINS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")
_PLACES = (
    keras,
    keras.layers,
    keras.optimizers,
    keras.optimizers.schedules,
    *(getattr(keras, name) for name in _BUILTINS),
)


def explain(
    error: Exception, path: str, config: dict[str, Any], custom_objects: dict[str, Any] | None
) -> str | None:
    """The sentence for a known TypeError or ValueError of Keras; None for other errors."""
    message = str(error)
    if _WEIGHTS.search(message):
        return f"The weights in {path!r} do not fit the layers in it: {_first_failure(message)}"
    if "safe_mode=False" in message and "lambda" not in message.lower():
        reason = _innermost(message).split(". ")[0].removesuffix(".")
        return (
            f"{path!r} needs something that safe mode refuses: {reason}. If you trust the file, "
            "pass `safe_mode=False`."
        )
    if "safe_mode=False" in message:
        return (
            f"{path!r} holds a Python lambda, and loading one runs the code in it. If you trust "
            "the file, pass `safe_mode=False`."
        )
    if message.startswith("File format not supported"):
        return f"`path` must be a .keras or .h5 file or a folder of Keras. Received: path={path!r}"
    if not _CONFIG.search(message):
        return None
    unknown = _first_unknown(config, custom_objects)
    if unknown and unknown[0].split(">")[-1] in message.split("Exception encountered: ")[-1]:
        return f"{path!r} needs {_describe(*unknown)}"
    reason = _innermost(message)
    return f"{path!r} cannot be read: {_where(message)}{reason}{_advice(reason)}"


def explain_training(
    error: Exception, path: str, configs: dict[str, Any], custom_objects: dict[str, Any] | None
) -> str:
    """The sentence for a model that loads but cannot be compiled as it was."""
    training = configs["training"] or configs["model"].get("compile_config")
    training = training if isinstance(training, dict) else {}
    unknown = _first_unknown(training, custom_objects)
    if unknown and unknown[0].split(">")[-1] in str(error):
        return f"{path!r} needs {_describe(*unknown)} Or pass `compile=False`."
    saved = ", ".join(f"{key}={training.get(key)!r}" for key in ("loss", "metrics"))
    return (
        f"The model in {path!r} cannot be compiled with its saved {_shorten(saved)}: "
        f"{_innermost(str(error))} Pass your own classes in `custom_objects={{...}}`, or pass "
        "`compile=False` and call `compile` on the model."
    )


def explain_other(error: Exception, path: str) -> str:
    """The sentence for an error that Keras does not mean to raise over a file."""
    return (
        f"{path!r} cannot be read: Keras failed with {type(error).__name__}: "
        f"{_shorten(str(error).splitlines()[0] if str(error) else '')!r}. The file is damaged, was "
        "not made by Keras, or a class in it has a bug: see the error that caused this one."
    )


def _innermost(message):
    """The innermost error in a nested message of Keras, without the configs in it."""
    message = message.split("Exception encountered: ")[-1]
    message = re.split(r"\s*(?:Full (?:object )?config|config=\{)", message)[0]
    return _shorten(message).removesuffix(".") + "."


def _shorten(text):
    return textwrap.shorten(text, 300, placeholder=" ...")


def _where(message):
    """The innermost layer that a nested message of Keras names."""
    layers = re.findall(r"deserializing class '(\w+)' using config=\{'name': '([^']*)'", message)
    return "layer {1!r} of class `{0}`: ".format(*layers[-1]) if layers else ""


def _advice(reason):
    if re.search(r"keyword argument|not recognized", reason):
        return (
            " The class took other arguments when the file was saved: update its package, or pass "
            "a class that takes these arguments in `custom_objects={...}`."
        )
    if re.search(r"interpret|locate|[Uu]nknown", reason):
        return " If it is your own class, pass it in `custom_objects={...}`."
    return ""


def _first_failure(message):
    """How many objects of a `.keras` file have no weights, and why the first has none."""
    found = re.search(
        r"total of (\d+) objects.*?for object (<.*?>):\s+(.*?)\n\n", message, re.DOTALL
    )
    if not found:
        return _innermost(message)
    count, layer, reason = found.groups()
    advice = (
        " If Keras 2.13 wrote the file, save it as .h5 there, because its .keras files name "
        "weights in another way."
        if "received 0 variables" in reason
        else ""
    )
    return f"{count} object(s) failed, the first {layer}: {_innermost(reason)}{advice}"


def _describe(name, package, is_function):
    kind = "function" if is_function else "class"
    if package == "keras_leaky":
        return f"{kind} `{name}`, which a newer keras_leaky has: upgrade keras_leaky."
    remedy = f"Pass `custom_objects={{{name!r}: {name.split('>')[-1]}}}`"
    if package:
        remedy += f", or import `{package}` first if that registers it"
    return f"{kind} `{name}`, which Keras {keras.__version__} does not know. {remedy}."


def _first_unknown(config, custom_objects):
    """(name, package, whether a function) of the first unknown object, or None."""
    if isinstance(config, list):
        found = (_first_unknown(item, custom_objects) for item in config)
        return next(filter(None, found), None)
    if not isinstance(config, dict):
        return None
    name = config.get("class_name")
    if isinstance(name, str) and "config" in config and not name.startswith("__"):
        is_function = name == "function"
        name = config["config"] if is_function else config.get("registered_name") or name
        if not _is_known(config, name, is_function, custom_objects):
            module = config.get("module") or ""
            package = name.split(">")[0] if ">" in name else module.split(".")[0]
            of_nobody = ("", "keras", "tf_keras", "builtins", "__main__", "Custom")
            return name, package if package not in of_nobody else None, is_function
    return _first_unknown(list(config.values()), custom_objects)


def _is_known(config, name, is_function, custom_objects):
    if keras.saving.get_registered_object(name, custom_objects) is not None:
        return True
    if is_function:
        return any(hasattr(getattr(keras, module), name) for module in _BUILTINS)
    if not is_of_keras(config, custom_objects):
        return False
    # A module of Keras that is not public cannot be asked from here.
    is_private = (config.get("module") or "").startswith("keras.src")
    return is_private or name == "Functional" or any(hasattr(place, name) for place in _PLACES)
