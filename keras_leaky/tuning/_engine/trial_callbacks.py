"""Callbacks that watch every training of a trial."""

import math
from typing import Any

import keras
import keras_tuner

from keras_leaky.tuning._keras_tuner import Trial, configure_tensorboard, copy_callbacks
from keras_leaky.tuning._project.checkpoint import Checkpoint


def callbacks_of(tuner: Any, given: Any, trial: Trial, execution: int) -> list[Any]:
    """The callbacks of one training: copies of the search's callbacks, and the tuner's hooks."""
    callbacks = copy_callbacks(tuner, given)
    has_board = any(isinstance(one, keras.callbacks.TensorBoard) for one in callbacks)
    if has_board or overrides(tuner, "_configure_tensorboard_dir"):
        # KerasTuner calls it for every trial, and it imports tensorboard.
        configure_tensorboard(tuner, callbacks, trial, execution)
    has_batch_hooks = overrides(tuner, "on_batch_begin", "on_batch_end")
    hooks = BatchTunerCallback if has_batch_hooks else TunerCallback
    return [*callbacks, hooks(tuner, trial)]


def overrides(tuner: Any, *names: str) -> bool:
    """Whether a subclass of a tuner, or other code, has replaced a method of KerasTuner.

    Methods that `keras_tuner` and this package define do not count.
    """
    methods = [getattr(tuner, name) for name in names]
    return any(
        getattr(method, "__module__", "").split(".")[0] not in ("keras_tuner", "keras_leaky")
        for method in methods
    )


# KerasTuner's names, by which a `HyperModel.fit` may tell them from the user's callbacks.
class TunerCallback(keras.callbacks.Callback):
    """Calls the hooks of a tuner for epochs."""

    def __init__(self, tuner: Any, trial: Trial) -> None:
        super().__init__()
        self.tuner, self.trial = tuner, trial

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)


class BatchTunerCallback(TunerCallback):
    """Calls the hooks for batches as well, for which `fit` has to train batch by batch."""

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.tuner.on_batch_end(self.trial, self.model, batch, logs)


LOSSES = {"loss": "training", "val_loss": "validation"}


class FiniteLoss(keras.callbacks.Callback):
    """Stops a training whose loss is not finite; `failure` then says so.

    The last step of an epoch can break the weights: only the validation loss shows it.
    """

    model: Any
    failure: str | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for name, kind in LOSSES.items():
            loss = (logs or {}).get(name, 0.0)
            if not math.isfinite(loss):
                self.failure = f"The {kind} loss became {loss} in epoch {epoch + 1}"
                self.model.stop_training = True
                return


class SaveBestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the best epoch of all executions of a trial in memory.

    KerasTuner writes a file at every epoch that improves; this class writes one at the end.

    Args:
        objective: `keras_tuner.Objective`. An epoch without the objective counts as the best, and
            an epoch in which it is NaN, or a loss is not finite, as the worst. `failure` says so if
            there were only such epochs.
    """

    model: Any

    def __init__(self, objective: keras_tuner.Objective) -> None:
        super().__init__()
        self.objective = objective
        self._value: float | None = None
        self._best_model: Any = None
        self._weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self.objective.get_value(logs) if self.objective.has_value(logs) else None
        losses = [(logs or {}).get(name, 0.0) for name in LOSSES]
        if value is not None and not all(map(math.isfinite, losses)):
            value = math.nan
        is_first = self._value is None or math.isnan(self._value)
        if value is None or is_first or self.objective.better_than(value, self._value):
            self._value, self._best_model = value, self.model
            self._weights = [weight.copy() for weight in self.model.get_weights()]

    @property
    def failure(self) -> str | None:
        if self._value is None or not math.isnan(self._value):
            return None
        return f"The objective became {self._value} in every epoch: {self.objective.name}"

    def restore(self) -> Any:
        """The model at its best epoch; None if no epoch has a value."""
        if self._value is None or math.isnan(self._value) or self._best_model is None:
            return None
        self._best_model.set_weights(self._weights)
        return self._best_model

    def checkpoint(self) -> Checkpoint | None:
        """The `Checkpoint` of the best epoch; None if no epoch was seen.

        No epoch is seen if `HyperModel.fit` does not pass its callbacks on. It is then unknown
        which weights its result belongs to, and the model may be untrained.
        """
        if self._best_model is None:
            return None
        self._best_model.set_weights(self._weights)
        return Checkpoint.of(self._best_model)
