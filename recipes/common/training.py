"""One training run: what a trial and a retraining have in common."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_leaky.tuning import Trainer, is_out_of_memory
from recipes.common.data import Split
from recipes.common.rows import DIVERGED


@dataclass(frozen=True)
class Epoch:
    """Means over one epoch of training, and over the validation images after it."""

    epoch: int  # from 1
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class Training:
    """What became of a training run.

    `model` is as its best epoch left it: of the epochs with a finite loss, the first with the
    highest validation accuracy. The trainer's next training changes it. `failure` says why training
    stopped early, None if it did not. After memory ran out the model is not to be used.
    """

    model: Any
    epochs: list[Epoch]
    best: Epoch | None
    failure: str | None
    seconds: float
    is_out_of_memory: bool = False


class _Watch(keras.callbacks.Callback):
    """Records the epochs and the best weights; ends a training whose loss is not finite."""

    model: Any

    def __init__(self, on_epoch: Callable[[Epoch], None]) -> None:
        super().__init__()
        self._on_epoch = on_epoch
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: Any = None
        self.failure: str | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        done = Epoch(epoch + 1, *(float(logs[name]) for name in names))
        self.epochs.append(done)
        if not math.isfinite(done.loss):
            self.failure = f"{DIVERGED} {done.loss} in epoch {done.epoch}"
            self.model.stop_training = True
            return
        if self.best is None or done.val_accuracy > self.best.val_accuracy:
            self.best, self.best_weights = done, self.model.get_weights()
        self._on_epoch(done)


def train(
    trainer: Trainer,
    build: Callable[[], keras.Model],
    data: Split,
    *,
    seed: int,
    n_epochs: int,
    batch_size: int,
    on_epoch: Callable[[Epoch], None],
) -> Training:
    """Builds a model from `seed` and trains it; a loss that is not finite or no memory ends it.

    Everything random (weights, data order, augmentation) derives from `seed`, so two trainings that
    differ in alpha and learning rate alone see the same batches in the same order.

    Args:
        trainer: Holds the compiled programs.
        build: Returns a compiled model; called after the seed is set.
        on_epoch: Called after every epoch with a finite loss.
    """
    start = time.perf_counter()
    watch = _Watch(on_epoch)
    try:
        model, _ = trainer.train(
            trainer.build(build, seed),
            data.x_train,
            data.y_train,
            seed=seed,
            validation_data=(data.x_validation, data.y_validation),
            epochs=n_epochs,
            batch_size=batch_size,
            callbacks=[watch],
            verbose=0,
        )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        failure = f"out of memory: {(str(error).splitlines() or ['no details'])[0][:200]}"
        return Training(None, watch.epochs, None, failure, time.perf_counter() - start, True)
    if watch.best_weights is not None:
        model.set_weights(watch.best_weights)
    seconds = time.perf_counter() - start
    return Training(model, watch.epochs, watch.best, watch.failure, seconds)
