"""One training run: what a trial and a retraining have in common.

This is the seam where an engine that reuses compiled programs goes in: whoever replaces
`train` keeps its arguments and what it returns.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

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
    # Keras's own shuffling, once a seed is set, gives every epoch the same order.
    shuffler = np.random.default_rng(seed)
    epochs: list[Epoch] = []
    best, best_weights, failure = None, None, None
    for i in range(n_epochs):
        order = shuffler.permutation(len(data.x_train))
        history = model.fit(
            data.x_train[order],
            data.y_train[order],
            validation_data=(data.x_validation, data.y_validation),
            initial_epoch=i,
            epochs=i + 1,
            batch_size=batch_size,
            shuffle=False,
            verbose=0,  # pyright: ignore[reportArgumentType]
        ).history
        names = ("loss", "accuracy", "val_loss", "val_accuracy")
        epoch = Epoch(i + 1, *(float(history[name][-1]) for name in names))
        epochs.append(epoch)
        if not math.isfinite(epoch.loss):
            failure = f"training loss became {epoch.loss} in epoch {epoch.epoch}"
            break
        if best is None or epoch.val_accuracy > best.val_accuracy:
            best, best_weights = epoch, model.get_weights()
        on_epoch(epoch)
    if best_weights is not None:
        model.set_weights(best_weights)
    return Training(model, epochs, best, failure, time.perf_counter() - start)
