"""The data of a search on the device, split and weighted as `fit` would."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_leaky.tuning._engine.fit_arguments import FitArguments
from keras_leaky.tuning.tables import as_arrays


class DeviceData:
    """Moves the data of `fit` to the device, and keeps the data moved last.

    Arrays are the same if they are the same objects.

    Args:
        backend: The module of the backend. Its `to_device` makes a tensor of an array, and its
            `is_dataset` says which data stay as they are.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._given: list[Any] | None = None
        self._placed: Any = None

    def place(self, arguments: FitArguments) -> Any:
        """Training and validation data, each `(x, y, sample_weight)` of tensors; None if not given.

        Args:
            arguments: Arguments of `fit`.
        """
        given = [
            *(arguments.x, arguments.y, arguments.sample_weight, arguments.class_weight),
            *(arguments.validation_data, arguments.validation_split),
        ]
        if isinstance(arguments.class_weight, dict):
            given.append(tuple(arguments.class_weight))  # the keys, which flattening loses
        if self._given is None or not _are_same(given, self._given):
            self.forget()  # frees the memory first
            self._placed = [self._move(part) for part in self._split(arguments)]
            self._given = given
        return self._placed

    def forget(self) -> None:
        self._given = self._placed = None

    def batch_of(self, data: Any, batch_size: int) -> Any:
        """A stand-in for a batch of the data from `place`: tensors, or their shapes and dtypes."""
        if self._backend.is_dataset(data):
            return data.element_spec
        return map_arrays(lambda a: a[:batch_size], data)

    def n_batches_of(self, data: Any, batch_size: int) -> int | None:
        """How many batches an epoch has; None if that is not known in advance."""
        if self._backend.is_dataset(data):
            return max(0, int(data.cardinality())) or None
        return -(-n_samples_of(data) // batch_size)

    def order_of(self, data: Any) -> np.ndarray | None:
        """The indices of the samples; None for data with their own order."""
        return None if self._backend.is_dataset(data) else np.arange(n_samples_of(data))

    def _move(self, data: Any) -> Any:
        def move(array: Any) -> Any:
            # As `fit` does; integers keep their dtype.
            if keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype)):
                floatx = keras.config.floatx()
                is_array = isinstance(array, np.ndarray)  # which is cast before it is moved
                array = array.astype(floatx) if is_array else keras.ops.cast(array, floatx)
            return self._backend.to_device(array)

        is_moved = data is None or self._backend.is_dataset(data)
        return data if is_moved else map_arrays(move, data)

    def _split(self, arguments: FitArguments) -> tuple[Any, Any]:
        x, y, sample_weight, validation_data = as_arrays(
            (arguments.x, arguments.y, arguments.sample_weight, arguments.validation_data)
        )
        training: Any = (x, y, sample_weight)
        validation = None
        if self._backend.is_dataset(validation_data):
            validation = validation_data
        elif validation_data is not None:
            is_many = isinstance(validation_data, tuple | list)
            validation = (*(validation_data if is_many else [validation_data]), None, None)[:3]
        elif arguments.validation_split:
            n_training = math.floor(n_samples_of(x) * (1.0 - arguments.validation_split))
            validation = map_arrays(lambda a: a[n_training:], training)
            training = map_arrays(lambda a: a[:n_training], training)
        if self._backend.is_dataset(x):
            training = x
        elif arguments.class_weight is not None:
            training = (*training[:2], _weights(training[1], arguments.class_weight))
        return training, validation


def map_arrays(function: Callable[[Any], Any], data: Any) -> Any:
    """Applies `function` to every array in nested `data`; None stays None."""
    return keras.tree.map_structure(lambda a: None if a is None else function(a), data)


def n_samples_of(data: Any) -> int:
    return len(keras.tree.flatten(data)[0])


def _are_same(some: Any, others: Any) -> bool:
    some, others = keras.tree.flatten(some), keras.tree.flatten(others)
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def _weights(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """One weight per sample, by its class: a number, or the largest of one-hot numbers."""
    y = np.asarray(keras.ops.convert_to_numpy(y))
    if y.ndim > 1:
        y = y[:, 0] if y.shape[-1] == 1 else y.argmax(-1)
    classes, places = np.unique(np.round(y).astype("int32"), return_inverse=True)
    weights = [class_weight.get(int(number), 1.0) for number in classes]
    return np.asarray(weights, keras.config.floatx())[places]
