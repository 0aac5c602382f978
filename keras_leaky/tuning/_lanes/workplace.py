"""The workplace of a process: the arguments of `fit`, and its compiled programs."""

import dataclasses
from functools import partial
from types import FunctionType
from typing import Any

import keras
import numpy as np

from keras_leaky.tuning._engine.coverage import count_steps
from keras_leaky.tuning._engine.fit_arguments import FitArguments
from keras_leaky.tuning.trainer import Trainer


@dataclasses.dataclass
class Workplace:
    """Arguments of `fit`, and the trainer that a process keeps from one job to the next.

    Attributes:
        args, kwargs: Arguments of `fit`, or functions that load them. Without callbacks.
        trainer: Trainer of this process, once it has trained.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    trainer: Trainer | None = None
    is_loaded: bool = False

    def get_trainer(self) -> Trainer:
        """The trainer. The first call loads the data, which then stay the same objects."""
        if not self.is_loaded:
            self.args, self.kwargs = load_data(self.args, self.kwargs)
            self.is_loaded = True
        if self.trainer is None:
            self.trainer = Trainer()
        return self.trainer

    def count_steps(self) -> int | None:
        """Steps of an epoch; None if the data do not tell."""
        return count_steps(FitArguments.of(self.args, self.kwargs))

    def check_can_travel(self, **parts: Any) -> None:
        """Refuses `parts` and arguments of `fit` that cannot be pickled for the workers.

        Raises:
            ValueError: Names the part.
        """
        parts |= {f"fit argument {i}": value for i, value in enumerate(self.args)} | self.kwargs
        for name, part in parts.items():
            _check_can_travel(name, part)


def load_data(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of `fit`, with functions replaced by their results."""

    def load(part: Any) -> Any:
        return part() if isinstance(part, FunctionType | partial) else part

    return tuple(map(load, args)), {name: load(part) for name, part in kwargs.items()}


def _check_can_travel(name: str, part: Any) -> None:
    import cloudpickle

    leaves = keras.tree.flatten(part)
    if all(isinstance(leaf, np.ndarray) for leaf in leaves):
        return  # a copy would cost memory
    try:
        cloudpickle.dumps(part)
    except Exception as error:
        raise ValueError(
            f"`{name}` must be picklable for the workers, such as arrays. Received: {part!r:.200} "
            f"({error})"
        ) from error
