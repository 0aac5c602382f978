"""What every training of a trial is watched by."""

import math
from typing import Any

import keras
import keras_tuner

from keras_leaky.tuning.checkpoint import Checkpoint


def tuner_hooks(tuner, trial):
    """A callback that calls the hooks of a `keras_tuner.Tuner`."""
    has_batch_hooks = any(
        getattr(type(tuner), hook) is not getattr(keras_tuner.Tuner, hook)
        for hook in ("on_batch_begin", "on_batch_end")
    )
    return (_BatchHooks if has_batch_hooks else _EpochHooks)(tuner, trial)


class _EpochHooks(keras.callbacks.Callback):
    def __init__(self, tuner, trial):
        super().__init__()
        self.tuner, self.trial = tuner, trial

    def on_epoch_begin(self, epoch, logs=None):
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)


class _BatchHooks(_EpochHooks):
    def on_batch_begin(self, batch, logs=None):
        self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

    def on_batch_end(self, batch, logs=None):
        self.tuner.on_batch_end(self.trial, self.model, batch, logs)


class FiniteLoss(keras.callbacks.Callback):
    """Stops a training whose loss is not finite; `failure` then says so."""

    model: Any
    failure = None

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            self.failure = f"The training loss became {loss} in epoch {epoch + 1}"
            self.model.stop_training = True


class BestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the best epoch of all executions of a trial in memory.

    KerasTuner writes a file at every epoch that improves; this writes one, at the end.

    Args:
        objective: `keras_tuner.Objective`. An epoch without it counts as the best, and one in
            which it is NaN as the worst; `failure` says so if there was no other.
    """

    model: Any

    def __init__(self, objective):
        super().__init__()
        self.objective = objective
        self._value, self._weights = None, None

    def on_epoch_end(self, epoch, logs=None):
        value = self.objective.get_value(logs) if self.objective.has_value(logs) else None
        is_first = self._value is None or math.isnan(self._value)
        if value is None or is_first or self.objective.better_than(value, self._value):
            self._value = value
            self._weights = [weight.copy() for weight in self.model.get_weights()]

    @property
    def failure(self):
        if self._value is None or not math.isnan(self._value):
            return None
        return f"The objective became {self._value} in every epoch: {self.objective.name}"

    def checkpoint(self, model):
        """The `Checkpoint` of the best epoch, or of `model` as it is if there was none.

        Afterwards the model has those weights.
        """
        if self._weights is not None:
            model.set_weights(self._weights)
        return Checkpoint.of(model)
