"""The cases that the compiled epoch covers, and why the others go through `fit`."""

import math
from typing import Any, TypeGuard

import keras
import numpy as np

from keras_leaky.tuning._engine.fit_arguments import FitArguments
from keras_leaky.tuning._engine.programs import epochs_module
from keras_leaky.tuning._engine.reachable import is_of_library
from keras_leaky.tuning.tables import as_arrays, is_numeric_table, is_table

_BATCH_HOOKS = [
    f"on_{phase}batch_{moment}" for phase in ("", "train_", "test_") for moment in ("begin", "end")
]
_STEPS = ("train_step", "test_step", "fit", "evaluate", "make_train_function")


def count_steps(arguments: FitArguments) -> int | None:
    """Steps of an epoch of `fit`; None if the data do not tell."""
    x, batch_size = arguments.x, arguments.batch_size or 32
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    if hasattr(x, "cardinality"):  # tf.data
        n_batches = int(x.cardinality())
        return n_batches if n_batches > 0 else None
    arrays = [array for array in keras.tree.flatten(x) if hasattr(array, "shape")]
    if hasattr(x, "__next__") or not arrays:
        return None
    n_samples = len(arrays[0])
    if arguments.validation_data is None and arguments.validation_split:
        n_samples = int(n_samples * (1 - arguments.validation_split))
    return -(-n_samples // batch_size)


def reason_for_fit(model: Any, arguments: FitArguments) -> str | None:
    """Why this training needs `fit`, in a few words; None if the compiled epoch covers it."""
    if epochs_module() is None:
        return f"the backend is {keras.backend.backend()}"
    if not model.compiled:
        return "the model is not compiled"
    if not model.built:
        return "the model is not built"
    if model.run_eagerly:
        return "the model runs eagerly"
    for name in _STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"the model has its own `{name}`"
    if keras.distribution.distribution() is not None or _has_strategy(model):
        return "the training is distributed"
    if arguments.validation_steps is not None:
        return "`validation_steps` is given"
    if arguments.shuffle not in (True, False):
        return f"`shuffle` is {arguments.shuffle!r}"
    for name in ("batch_size", "validation_batch_size", "validation_freq"):
        value = getattr(arguments, name)
        if value is not None and not _is_count(value):
            return f"`{name}` is {value!r}"
    reason = _reason_of_data(arguments) or _reason_of_steps(arguments)
    if reason is not None:
        return reason
    for callback in keras.tree.flatten(arguments.callbacks or []):
        hook = _batch_hook(callback)
        if hook is not None:
            return f"{type(callback).__name__} has `{hook}`"
    return None


def describe_labels(arguments: FitArguments) -> str:
    """Shapes and dtypes of a model's training data, as a string."""
    x, y = arguments.x, arguments.y
    if hasattr(x, "element_spec"):
        return str(x.element_spec)
    labels = [as_arrays(a[:1]) if is_table(a) else a for a in keras.tree.flatten(y)]
    labels = [a for a in labels if hasattr(a, "shape") and hasattr(a, "dtype")]
    return str([(tuple(a.shape[1:]), str(a.dtype)) for a in labels])


def may_change_model(callback: Any) -> bool:
    """Whether a user's code runs in a callback, which may change the model."""
    owner = getattr(callback, "tuner", callback)  # whose hooks are called
    return isinstance(callback, keras.callbacks.LambdaCallback) or not is_of_library(
        type(owner).__module__
    )


def _reason_of_data(arguments: FitArguments) -> str | None:
    """Why the data need `fit`, which also reports data that it refuses."""
    is_dataset = epochs_module().is_dataset
    x, y, sample_weight = arguments.x, arguments.y, arguments.sample_weight
    validation_data, validation_split = arguments.validation_data, arguments.validation_split
    class_weight = arguments.class_weight
    training = [] if is_dataset(x) else [x, y, sample_weight]
    groups = [training, [] if is_dataset(validation_data) else [validation_data]]
    groups = [[a for a in keras.tree.flatten(group) if a is not None] for group in groups]
    if not all(_is_array(array) for group in groups for array in group):
        return "the data are not arrays"
    if any(len({len(a) for a in group}) > 1 or len(group[0]) == 0 for group in groups if group):
        return "arrays are empty or differ in length"
    has_weights = sample_weight is not None or class_weight is not None
    if is_dataset(x):
        if has_weights or y is not None or validation_split or arguments.batch_size is not None:
            return "arguments are given besides the data set"
        return None
    n_samples = len(groups[0][0])
    if validation_data is None and math.floor(n_samples * (1 - validation_split)) <= 0:
        return "`validation_split` leaves no training data"
    if has_weights and (
        keras.tree.is_nested(y) or (sample_weight is not None and class_weight is not None)
    ):
        return "only `fit` covers these sample or class weights"
    return None


def _reason_of_steps(arguments: FitArguments) -> str | None:
    """Why `steps_per_epoch` needs `fit`: a second epoch continues in the data after the first."""
    n_steps = arguments.steps_per_epoch
    is_one_epoch = arguments.epochs - arguments.initial_epoch <= 1
    is_covered = (
        not epochs_module().is_dataset(arguments.x)
        and is_one_epoch
        and _is_count(n_steps)
        and n_steps <= (count_steps(arguments) or 0)
    )
    return None if n_steps is None or is_covered else "`steps_per_epoch` is given"


def _has_strategy(model: Any) -> bool:
    return getattr(model, "_distribute_strategy", None) is not None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and value > 0


def _is_array(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return data.dtype.kind in "fiub" and data.ndim > 0
    if is_numeric_table(data):
        return True
    if not keras.ops.is_tensor(data) or not hasattr(data, "__array__") or not data.shape:
        return False  # a tensor of a graph, ragged or sparse
    dtype = keras.backend.standardize_dtype(data.dtype)
    return dtype == "bool" or "int" in dtype or "float" in dtype


def _batch_hook(callback: Any) -> str | None:
    """The first hook of the callback that is called at every batch, None if it has none."""
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch":
        return None
    for hook in _BATCH_HOOKS:
        default = getattr(keras.callbacks.Callback, hook)
        if getattr(type(callback), hook) is not default or hook in vars(callback):
            return hook
    return None
