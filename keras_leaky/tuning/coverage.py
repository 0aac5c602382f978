"""What the compiled epoch covers, and why all else goes through `fit`."""

import inspect

import keras
import numpy as np

from keras_leaky.tuning.programs import epochs_module

_BATCH_HOOKS = [
    f"on_{phase}batch_{moment}" for phase in ("", "train_", "test_") for moment in ("begin", "end")
]
_STEPS = ("train_step", "test_step", "fit", "evaluate", "make_train_function")
_UNCOVERED = ("steps_per_epoch", "validation_steps")


def read_arguments(args, kwargs):
    """The arguments of `fit` by name, those given and the defaults of the others."""
    bound = inspect.signature(keras.Model.fit).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name != "self"}


def reason_for_fit(model, arguments):
    """Why this training needs `fit`, in a few words, or None where the compiled epoch covers it."""
    if epochs_module() is None:
        return f"the backend is {keras.backend.backend()}"
    if model.run_eagerly:
        return "the model runs eagerly"
    for name in _STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"the model has a `{name}` of its own"
    if keras.distribution.distribution() is not None or _has_strategy(model):
        return "the training is distributed"
    for name in _UNCOVERED:
        if arguments[name] is not None:
            return f"`{name}` is given"
    if arguments["shuffle"] not in (True, False):
        return f"`shuffle` is {arguments['shuffle']!r}"
    if not isinstance(arguments["validation_freq"], int):
        return "`validation_freq` is no int"
    data = [arguments[name] for name in ("x", "y", "sample_weight", "validation_data")]
    if not all(_is_array(part) for part in keras.tree.flatten(data) if part is not None):
        return "the data are no arrays"
    for callback in keras.tree.flatten(arguments["callbacks"] or []):
        hook = _batch_hook(callback)
        if hook is not None:
            return f"{type(callback).__name__} has `{hook}`"
    return None


def _has_strategy(model):
    return getattr(model, "_distribute_strategy", None) is not None


def _is_array(data):
    return isinstance(data, np.ndarray) and data.dtype.kind in "fiub" and data.ndim > 0


def _batch_hook(callback):
    """The first hook of the callback that is called at every batch, None if it has none."""
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch":
        return None
    for hook in _BATCH_HOOKS:
        default = getattr(keras.callbacks.Callback, hook)
        if getattr(type(callback), hook) is not default or hook in vars(callback):
            return hook
    return None
