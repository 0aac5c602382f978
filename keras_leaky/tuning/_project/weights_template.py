"""Files of weights without Keras's walk through the model, which is slower than a short trial.

A file that Keras wrote of a model is a template: the places of the numbers of each variable do not
change while the model is the same. To find these places, the model is saved once with a different
number in each variable.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import keras
import numpy as np

_BASE = 100  # numbers that every dtype holds exactly, int8 too


class WeightsTemplate:
    """A file of weights, and the places of each variable's numbers in it.

    Args:
        data: Content of the file.
        places: Offset and index of the variable of each array in it. None if there is no template,
            because Keras does not write the variables unchanged.
        ids: Ids of the variables of the model and its optimizer.
    """

    def __init__(
        self, data: bytes, places: Sequence[tuple[int, int]] | None, ids: Sequence[int]
    ) -> None:
        self._data, self._places, self._ids = data, places, ids

    @classmethod
    def of(cls, model: keras.Model, save: Callable[[], bytes]) -> "WeightsTemplate":
        """The template of a model.

        Args:
            save: Function that returns the content of a file of the weights.
        """
        variables = _variables_of(model)
        ids = [id(variable) for variable in variables]
        values: list[Any] = [keras.ops.convert_to_numpy(variable) for variable in variables]
        if not values or any(value.dtype == bool or value.size == 0 for value in values):
            return cls(b"", None, ids)
        digits = []
        try:
            for power in range(1 + len(variables) // _BASE):
                for i, (variable, value) in enumerate(zip(variables, values, strict=True)):
                    digit = i // _BASE**power % _BASE if power else i % _BASE
                    variable.assign(np.full(value.shape, 1 + digit).astype(value.dtype))
                digits.append(_read_constants(save()))
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        data = save()
        places = _find_places(data, digits, values)
        template = cls(data, places, ids)
        return template if places and template.fill(model) == data else cls(b"", None, ids)

    def fits(self, model: keras.Model) -> bool:
        """Whether it can be filled: the model must still have the same variables."""
        ids = [id(variable) for variable in _variables_of(model)]
        return self._places is not None and ids == self._ids

    def fill(self, model: keras.Model) -> bytes:
        """The content of the file with the current numbers of the variables."""
        variables, data = _variables_of(model), bytearray(self._data)
        for offset, number in self._places or ():
            value = np.asarray(keras.ops.convert_to_numpy(variables[number])).tobytes()
            data[offset : offset + len(value)] = value
        return bytes(data)


def _variables_of(model: Any) -> list[Any]:
    variables = [*model.variables, *(model.optimizer.variables if model.optimizer else ())]
    return list({id(variable): variable for variable in variables}.values())


def _read_constants(data: bytes) -> dict[str, Any]:
    """The number that each array of a file is full of; None if it has more than one."""
    found: dict[str, Any] = {}

    def read(name: str, part: Any) -> None:
        if isinstance(part, h5py.Dataset):
            values = np.unique(np.asarray(part)) if part.dtype.kind in "fiu" else []
            found[name] = int(values[0]) if len(values) == 1 else None

    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(read)
    return found


def _find_places(
    data: bytes, digits: Sequence[dict[str, Any]], values: Sequence[Any]
) -> list[tuple[int, int]] | None:
    places: list[tuple[int, int]] = []
    with h5py.File(io.BytesIO(data), "r") as file:
        for name in digits[0]:
            found = [read.get(name) for read in digits]
            parts = [part for part in found if part is not None]
            if len(parts) < len(found):
                return None
            number = sum((part - 1) * _BASE**i for i, part in enumerate(parts))
            dataset: Any = file[name]
            offset = dataset.id.get_offset()
            if not 0 <= number < len(values) or offset is None:
                return None
            same = (dataset.shape, dataset.dtype) == (values[number].shape, values[number].dtype)
            if not same:
                return None
            places.append((offset, number))
    return places
