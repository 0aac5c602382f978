"""Hidden units that die while nets learn digits: learning rate x alpha x momentum."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from recipes.datasets import Split
from recipes.dying_relu.draws import Weights, draw_rectifier, join, seed_for
from recipes.dying_relu.ensemble import (
    EnsembleLeakyReLU,
    EnsembleLoss,
    build_ensemble,
    cross_entropy,
)

HIDDEN = (100, 100, 100)
BATCH_SIZE = 32
N_SAMPLE = 1000
"""Validation images on which the state of a unit is judged."""

_N_IMAGES_AT_ONCE = 250


@dataclass(frozen=True)
class Cell:
    """One net of the ensemble."""

    learning_rate: float
    alpha: float  # the negative slope; 0 is ReLU
    seed: int


@dataclass(frozen=True)
class History:
    """The record of an ensemble with one momentum, at initialization and after each epoch.

    Attributes:
        active: Whether a unit had a positive pre-activation on the sample, of shape
            (epochs + 1, nets, units). The units are those of all hidden layers, in order.
        accuracy: On all validation images, of shape (epochs + 1, nets).
        finite: Whether all outputs on the sample are finite, of the same shape.
        n_sample: Images of the sample.
    """

    momentum: float
    cells: list[Cell]
    active: np.ndarray
    accuracy: np.ndarray
    finite: np.ndarray
    n_sample: int

    @property
    def layer_of_unit(self) -> np.ndarray:
        """The hidden layer of each unit, from 1."""
        return np.repeat(np.arange(1, len(HIDDEN) + 1), HIDDEN)


def train_ensemble(
    momentum: float,
    learning_rates: tuple[float, ...],
    alphas: tuple[float, ...],
    n_seeds: int,
    n_epochs: int,
    data: Split,
    seed: int,
    on_epoch: Callable[[int], None],
) -> History:
    """Trains a net for each learning rate, alpha and seed by SGD, all as one program.

    All nets see the same images in the same order. Nets of one seed start from the same draws, each
    times the gain of its alpha: He's initialization for ReLU, the one that knows the slope for the
    others. A learning rate is a factor on the net's loss.

    Args:
        data: Its test images are not used.
        seed: The run's.
        on_epoch: Called with the number of each finished epoch.
    """
    cells = [Cell(*c) for c in itertools.product(learning_rates, alphas, range(n_seeds))]
    x, x_validation = (_as_inputs(images) for images in (data.x_train, data.x_validation))
    slopes = np.array([cell.alpha for cell in cells])
    model, levels = build_ensemble(
        _initial_weights(cells, shape_of(data), seed),
        lambda: EnsembleLeakyReLU(slopes),
    )
    rates = np.array([cell.learning_rate for cell in cells])
    # XLA gains nothing here: the products are large enough for themselves.
    model.compile(
        keras.optimizers.SGD(1.0, momentum),
        EnsembleLoss(cross_entropy, rates),
        jit_compile=False,  # pyright: ignore[reportArgumentType]
    )
    watch = _Watch(levels, x_validation, data.y_validation, on_epoch)
    keras.utils.set_random_seed(seed_for(seed))
    watch.look()
    model.fit(
        x,
        np.eye(data.n_classes, dtype="float32")[data.y_train],
        batch_size=BATCH_SIZE,
        epochs=n_epochs,
        verbose=0,  # pyright: ignore[reportArgumentType]
        callbacks=[watch],
    )
    looks = (np.stack(part) for part in zip(*watch.looks, strict=True))
    return History(momentum, cells, *looks, n_sample=min(N_SAMPLE, len(x_validation)))


def shape_of(data: Split) -> list[int]:
    """Units of every layer, the inputs first and the classes last."""
    return [int(np.prod(data.image_shape)), *HIDDEN, data.n_classes]


def _as_inputs(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype("float32") / np.float32(255)


def _initial_weights(cells: list[Cell], sizes: list[int], seed: int) -> Weights:
    drawn = {
        (cell.alpha, cell.seed): draw_rectifier(
            1, sizes, "leaky_relu", cell.alpha, seed_for(seed, cell.seed)
        )
        for cell in cells
    }
    return join([drawn[cell.alpha, cell.seed] for cell in cells])


class _Watch(keras.callbacks.Callback):
    """Looks at every unit and at the validation accuracy after each epoch."""

    def __init__(
        self, levels: keras.Model, x: np.ndarray, y: np.ndarray, on_epoch: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._levels, self._x, self._y, self._on_epoch = levels, x, y, on_epoch
        self.looks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def on_epoch_end(self, epoch, logs=None):
        self.look()
        self._on_epoch(epoch + 1)

    def look(self) -> None:
        """Appends (active, accuracy, finite)."""
        active, finite, right = [], [], []
        for first in range(0, len(self._x), _N_IMAGES_AT_ONCE):
            batch = slice(first, first + _N_IMAGES_AT_ONCE)
            *hidden, logits = self._levels(self._x[batch])
            right.append((_numpy(ops.argmax(logits, -1)) == self._y[batch]).sum(-1))
            if first < N_SAMPLE:
                in_sample = slice(0, N_SAMPLE - first)
                units = [_numpy(ops.any(h[:, in_sample] > 0, axis=1)) for h in hidden]
                active.append(np.concatenate(units, axis=1))
                is_finite = ops.isfinite(logits[:, in_sample])
                finite.append(_numpy(ops.all(is_finite, axis=(1, 2))))
        accuracy = np.sum(right, axis=0) / len(self._x)
        self.looks.append((np.any(active, axis=0), accuracy, np.all(finite, axis=0)))


def _numpy(tensor: object) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor))
