"""Leaky ReLU, PReLU and ELU for Keras 3, and initializers that take the slope into account.

Importing this package registers every class with Keras, so that `keras.models.load_model`
finds them without `custom_objects`.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_leaky import diagnostics, initializers, layers, ops, study
    from keras_leaky.saving import load_model
    from keras_leaky.study import Study
    from keras_leaky.surgery import replace_activations, to_keras

__version__ = "0.1.0"

__all__ = [
    "Study",
    "__version__",
    "diagnostics",
    "initializers",
    "layers",
    "load_model",
    "ops",
    "replace_activations",
    "study",
    "to_keras",
]

# Public name -> its module, and its name there; "" for the module itself.
_NAMES = {
    "diagnostics": ("diagnostics", ""),
    "initializers": ("initializers", ""),
    "layers": ("layers", ""),
    "load_model": ("saving", "load_model"),
    "ops": ("ops", ""),
    "replace_activations": ("surgery", "replace_activations"),
    "to_keras": ("surgery", "to_keras"),
}
# Imported on first use: they cost the import of keras_tuner and more.
_LATE = {"Study": ("study", "Study"), "study": ("study", "")}


def __getattr__(name: str) -> Any:
    if name not in _NAMES and name not in _LATE:
        raise AttributeError(f"module 'keras_leaky' has no attribute {name!r}")
    part, attribute = (_NAMES | _LATE)[name]
    module = importlib.import_module(f"keras_leaky.{part}")
    return getattr(module, attribute) if attribute else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def import_parts() -> None:
    """Imports all modules that register classes with Keras. Only a command line calls it later."""
    for name in _NAMES:
        globals()[name] = __getattr__(name)


def is_command_line() -> bool:
    """Whether this is `keras-leaky` or a recipe: `--help` and a wrong flag do not wait for Keras.

    They call `import_parts` once they need it.
    """
    path = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    recipes = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recipes", "")
    is_command = os.path.splitext(os.path.basename(path))[0] == "keras-leaky"
    return is_command or os.path.abspath(path).startswith(recipes)


if not is_command_line():
    import_parts()
