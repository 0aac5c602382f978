"""Studies: which rectifier, which alpha, which learning rate, and does it help at all?"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_leaky.study._joint import load_all, run_studies
    from keras_leaky.study.arms import Arm
    from keras_leaky.study.errors import InputError, StudyFailedError
    from keras_leaky.study.loading import load
    from keras_leaky.study.outcome import Outcome
    from keras_leaky.study.study import About, Plan, Study

__all__ = [
    "About",
    "Arm",
    "InputError",
    "Outcome",
    "Plan",
    "Study",
    "StudyFailedError",
    "load",
    "load_all",
    "run_studies",
]

# Imported on first use, because the flags of a command line are checked before Keras is there.
_MODULES = {
    **dict.fromkeys(("About", "Plan", "Study"), "study"),
    **dict.fromkeys(("InputError", "StudyFailedError"), "errors"),
    **dict.fromkeys(("load_all", "run_studies"), "_joint"),
    "Arm": "arms",
    "Outcome": "outcome",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'keras_leaky.study' has no attribute {name!r}")
    return getattr(importlib.import_module(f"keras_leaky.study.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
