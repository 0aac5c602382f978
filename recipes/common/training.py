"""One training run: what a trial and a retraining have in common.

This is the seam where an engine that reuses compiled programs goes in: whoever replaces
`train` keeps its arguments and what it returns.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras

from recipes.common.data import Split


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
    highest validation accuracy. `failure` says why training stopped early, None if it did not.
    """

    model: keras.Model
    epochs: list[Epoch]
    best: Epoch | None
    failure: str | None
    seconds: float


def train(
    build: Callable[[], keras.Model],
    data: Split,
    *,
    seed: int,
    n_epochs: int,
    batch_size: int,
    on_epoch: Callable[[Epoch], None],
) -> Training:
    """Builds a model from `seed` and trains it; a non-finite training loss ends it.

    Everything random (weights, data order) derives from `seed`, so two trainings that differ in
    alpha and learning rate alone see the same batches in the same order.

    Args:
        build: Returns a compiled model; called after the seed is set.
        on_epoch: Called after every epoch with a finite loss.
    """
    start = time.perf_counter()
    # Without it every build leaves memory behind. It also wipes Keras's seed: keep this order.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = build()
    watch = _Watch(on_epoch)
    model.fit(
        data.x_train,
        data.y_train,
        validation_data=(data.x_validation, data.y_validation),
        epochs=n_epochs,
        batch_size=batch_size,
        callbacks=[watch],
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    if watch.best_weights is not None:
        model.set_weights(watch.best_weights)
    seconds = time.perf_counter() - start
    return Training(model, watch.epochs, watch.best, watch.failure, seconds)


class _Watch(keras.callbacks.Callback):
    """Records epochs, keeps the best weights, stops when the loss is not finite."""

    def __init__(self, on_epoch: Callable[[Epoch], None]) -> None:
        super().__init__()
        self.on_epoch = on_epoch
        self.epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: list | None = None
        self.failure: str | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        assert logs is not None
        assert self.model is not None
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        record = Epoch(epoch + 1, *(float(logs[name]) for name in names))
        self.epochs.append(record)
        if not math.isfinite(record.loss):
            self.failure = f"training loss became {record.loss} in epoch {record.epoch}"
            self.model.stop_training = True
            return
        if self.best is None or record.val_accuracy > self.best.val_accuracy:
            self.best = record
            self.best_weights = self.model.get_weights()
        self.on_epoch(record)
