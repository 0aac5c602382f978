"""Compiled programs, and loading the numbers of a new model into one."""

import importlib
from collections import OrderedDict
from functools import cached_property
from typing import Any

import keras

from keras_leaky.layers.slope import FixedRectifier
from keras_leaky.tuning.layers_of import layers_of
from keras_leaky.tuning.scaled_schedule import hold_learning_rate, take_learning_rate
from keras_leaky.tuning.structure import structure_of

_EPOCHS_MODULES = {
    "tensorflow": "keras_leaky.tuning._epochs_tensorflow",
    "jax": "keras_leaky.tuning._epochs_jax",
}


def epochs_module():
    """How an epoch is compiled on this backend, None where it is not."""
    name = _EPOCHS_MODULES.get(keras.backend.backend())
    return importlib.import_module(name) if name else None


class Program:
    """A model whose training is compiled once, for the numbers of many."""

    def __init__(self, model):
        self.model = model
        self.is_prepared = False  # by `compiled_fit`

    @cached_property
    def epochs(self):
        """`Epochs` of this backend, which has some."""
        module: Any = epochs_module()
        return module.Epochs(self.model)

    def load(self, model):
        """Sets every variable as in `model`, which has the same structure."""
        targets = self.model.variables + self.model.optimizer.variables
        sources = model.variables + model.optimizer.variables
        for target, source in zip(targets, sources, strict=True):
            target.assign(source)
        # What a callback saves has the numbers of this trial in its config.
        for target, source in zip(layers_of(self.model), layers_of(model), strict=True):
            if isinstance(target, FixedRectifier):
                target.take_numbers(source)
        take_learning_rate(self.model.optimizer, model.optimizer)


class ProgramCache:
    """The programs used last, by structure.

    Args:
        max_programs: How many are kept. Each holds a model, its optimizer and compiled code.
    """

    def __init__(self, max_programs):
        self.max_programs = max_programs
        self._programs = OrderedDict()

    def load(self, model):
        """A program with the structure and the numbers of `model`, which it may take over."""
        if not (model.built and model.compiled):
            return Program(model)
        hold_learning_rate(model.optimizer)
        model.optimizer.build(model.trainable_variables)
        structure = structure_of(model)
        if structure is None:
            return Program(model)
        program = self._programs.pop(structure, None)
        if program is None:
            program = Program(model)
        else:
            program.load(model)
        self._programs[structure] = program
        if len(self._programs) > self.max_programs:
            self._programs.popitem(last=False)
        return program

    def forget_if_changed(self, program):
        """Drops a program whose model somebody compiled or changed anew."""
        for structure, kept in self._programs.items():
            if kept is program:
                if structure_of(program.model) != structure:
                    del self._programs[structure]
                return
