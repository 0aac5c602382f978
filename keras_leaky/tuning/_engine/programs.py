"""Compiled programs, and loading the numbers of a new model into one."""

import importlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any

import keras

from keras_leaky.layers._nested import layers_of
from keras_leaky.layers.slope import FixedRectifier
from keras_leaky.tuning._engine.reachable import UnknownError, is_of_library
from keras_leaky.tuning._engine.structure import (
    Structure,
    Watched,
    metrics_of,
    slope_names,
    state_of,
    structure_of,
)
from keras_leaky.tuning.scaled_schedule import hold_learning_rate, take_learning_rate

_EPOCHS_MODULES = {
    "tensorflow": "keras_leaky.tuning._engine.epochs_tensorflow",
    "jax": "keras_leaky.tuning._engine.epochs_jax",
}


def epochs_module() -> Any:
    """The module that compiles an epoch on this backend; None if there is none."""
    name = _EPOCHS_MODULES.get(keras.backend.backend())
    return importlib.import_module(name) if name else None


class Program:
    """A model whose training is compiled once, for the numbers of many.

    Attributes:
        model: The model that is trained in it.
        is_reusable: Whether another model may be trained in it. Its structure must be known, no
            training may have left the model changed, and its code must read and write only the
            variables that `load` sets.
        is_given_away: Whether a user has the model.
        has_users_code: Whether a user's code may run in it.
    """

    def __init__(self, model: Any, structure: Structure | None = None) -> None:
        self.model = model
        self.has_users_code = structure is None or structure.has_users_code
        self.is_reusable, self.is_given_away = structure is not None, False
        self._compile_config: Any = None  # state that the code was compiled for
        self._labels: str | None = None
        # At the begin of a training, where something may change it.
        self._state: Structure | UnknownError | None = None
        self._metric_values: list[Any] | None = None
        if epochs_module():
            model.train_step = Watched(model.train_step, self._watch)
            model.test_step = Watched(model.test_step, self._watch)

    @property
    def is_compiled(self) -> bool:
        """Whether there is code for epochs of training."""
        return "train_epoch" in vars(self)

    @cached_property
    def train_epoch(self) -> Callable[[Any, Any, int], None]:
        """Function `(data, order, batch_size)`: an epoch of training as one compiled call."""
        return epochs_module().compile_training(self.model, self.model.train_step)

    @cached_property
    def test_epoch(self) -> Callable[[Any, int], None]:
        """Function `(data, batch_size)`: an epoch of validation as one compiled call."""
        return epochs_module().compile_test(self.model, self.model.test_step)

    def load(self, model: Any) -> None:
        """Sets every variable as in `model`, which has the same structure."""
        set_numbers(self.model, numbers_of(model))
        # What a callback saves has the numbers of this trial in its config.
        for target, source in zip(
            layers_of(self.model),
            layers_of(model),
            strict=True,
        ):
            if isinstance(target, FixedRectifier):
                target.take_numbers(source, slope_names(type(target)))
        take_learning_rate(self.model.optimizer, model.optimizer)

    def load_metrics(self) -> None:
        """Sets the existing variables of metrics to their first values."""
        if self._metric_values is None:
            self._metric_values = list(map(_copy, self.model.metrics_variables))
        self.restore_metrics()

    def restore_metrics(self) -> None:
        """Like `load_metrics`, if that was called before."""
        if self._metric_values is not None:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, self._metric_values, strict=True):
                variable.assign(value)

    def begin(self, may_change: bool) -> None:
        """Before a training.

        Args:
            may_change: Whether callbacks or a loop of the user may change the model.
        """
        watches = self.is_reusable and (may_change or self.is_given_away)
        self._state = self._tell_state() if watches else None

    def is_changed(self) -> bool:
        """Whether the model is not what it was at `begin`, apart from its numbers."""
        return self._state is not None and self._tell_state() != self._state

    def forget_stale_code(self, *names: str) -> None:
        """Before the first step of a kind: drops compiled code if its inputs have changed.

        Args:
            *names: Names of the compiled functions, attributes of this program or its model.
        """
        if self.is_changed():
            self.is_reusable = False
            for name in names:
                self.__dict__.pop(name, None)
                if hasattr(self.model, name):
                    setattr(self.model, name, None)

    def check_labels(self, labels: str) -> None:
        """Refuses labels of another kind than the labels for which the metrics were made.

        Raises:
            ValueError: If they differ in shape or dtype.
        """
        if self._labels not in (None, labels):
            raise ValueError(
                "The labels must have one shape and dtype in all trials whose models are the "
                "same, because the metrics of a model are made for them. Let `build` use another "
                f"loss or metric in models for other labels. Received: {labels}, and before: "
                f"{self._labels}"
            )
        self._labels = labels

    def forget_recompiled(self) -> None:
        """Drops the code if `compile` was called, as `fit` does."""
        if self._compile_config is not self.model._compile_config:
            self._compile_config = self.model._compile_config
            self.__dict__.pop("train_epoch", None)
            self.__dict__.pop("test_epoch", None)

    def end(self) -> None:
        """After a training."""
        if not self.is_reusable:
            return
        saw_metrics_begin = self._metric_values is not None or all(
            is_of_library(type(metric).__module__) for metric in metrics_of(self.model)
        )
        if self.is_changed() or not saw_metrics_begin:
            self.is_reusable = False

    def _tell_state(self) -> Structure | UnknownError:
        try:
            return state_of(self.model)
        except UnknownError as error:
            return error  # equal to nothing

    def _watch(self, step: Callable[..., Any], *args: Any) -> Any:
        """Calls a step, which happens during compilation, and notes which state it uses."""
        result, is_known = epochs_module().run_watched(step, args, self._known_variables)
        self.is_reusable &= is_known
        return result

    def _known_variables(self) -> list[Any]:
        return [*_variables_of(self.model), *self.model.metrics_variables]


def build_optimizer(model: Any) -> None:
    """Makes all variables of the optimizer of a built and compiled model."""
    hold_learning_rate(model.optimizer)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def share_weights(some: Any, other: Any) -> bool:
    """Whether two models have a variable in common that training changes."""
    own = {id(variable) for variable in some.trainable_variables}
    return any(id(variable) in own for variable in other.trainable_variables)


def numbers_of(model: Any) -> list[Any]:
    """Copies of all numbers of a model and its optimizer, for `set_numbers`."""
    return list(map(_copy, _variables_of(model)))


def set_numbers(model: Any, numbers: Sequence[Any]) -> None:
    """Sets all variables of a model and its optimizer."""
    for variable, number in zip(_variables_of(model), numbers, strict=True):
        variable.assign(number)


def _variables_of(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _copy(variable: Any) -> Any:
    return keras.ops.copy(variable.value)


class ProgramCache:
    """The programs used last, by structure.

    Args:
        max_programs: How many programs are kept. Each holds a model, its optimizer and compiled
            code.
    """

    def __init__(self, max_programs: int) -> None:
        self.max_programs = max_programs
        self._programs: OrderedDict[Hashable, Program] = OrderedDict()

    def find(self, model: Any, labels: str | None = None) -> Program:
        """A program with the structure of `model`, which a new program takes over.

        Args:
            labels: Hashable description of the training data, which decide which function a metric
                "accuracy" stands for.
        """
        if not (model.built and model.compiled and epochs_module()) or model.run_eagerly:
            return Program(model)  # nothing is compiled, or cannot be told
        build_optimizer(model)
        structure = structure_of(model)
        if structure is None:
            return Program(model)
        key = structure, labels
        program = self._programs.pop(key, None)
        if program is None or (program.is_given_away and program.is_changed()):
            program = Program(model, structure)
            # On JAX `build` may have given it arrays of another model, which training would free.
            set_numbers(model, numbers_of(model))
        self._programs[key] = program
        if len(self._programs) > self.max_programs:
            self._programs.popitem(last=False)
        return program

    def drop_if_spent(self, program: Program) -> None:
        """Drops a program that no other model may be trained in."""
        if program.is_reusable:
            return
        for key, kept in self._programs.items():
            if kept is program:
                del self._programs[key]
                return
