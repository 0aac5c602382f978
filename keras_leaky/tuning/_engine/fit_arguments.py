"""The arguments of `keras.Model.fit`."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import keras


@dataclasses.dataclass(frozen=True, eq=False)  # arrays cannot be compared
class FitArguments:
    """A call of `keras.Model.fit`: the attributes are the arguments of `fit`."""

    x: Any
    y: Any
    batch_size: int | None
    epochs: int
    verbose: Any
    callbacks: Any
    validation_split: float
    validation_data: Any
    shuffle: Any
    class_weight: Any
    sample_weight: Any
    initial_epoch: int
    steps_per_epoch: int | None
    validation_steps: int | None
    validation_batch_size: int | None
    validation_freq: Any

    @classmethod
    def of(cls, args: Sequence[Any], kwargs: dict[str, Any]) -> "FitArguments":
        """The given arguments, and the defaults of the others.

        Raises:
            TypeError: If `fit` does not take them.
        """
        bound = inspect.signature(keras.Model.fit).bind(None, *args, **kwargs)
        bound.apply_defaults()
        return cls(**{one.name: bound.arguments[one.name] for one in dataclasses.fields(cls)})
