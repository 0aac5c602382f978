"""The default net of `keras-leaky study`: small, and fitted to the data's shape."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_leaky.study.data_files import DataFile
from keras_leaky.study.errors import InputError

_HIDDEN_UNITS = 100
_FILTERS = (16, 32)
_MAX_MEASURED = 10_000  # examples to measure the scale of the inputs on


@dataclass(frozen=True)
class SmallNet:
    """`build(hp, rectifier)` for inputs of one shape.

    Vectors go through two hidden layers, images and sequences through two convolutions and one.
    Inputs are scaled to mean 0 and variance 1. Outputs for real targets have the targets' scale.

    Attributes:
        kind: Interpretation of the inputs: vectors, images, ...
        shape: Shape of one example.
        mean, std: Mean and std of the inputs, per feature or channel.
        n_outputs: Number of classes, or of target numbers per example.
        target_mean, target_std: Mean and std of real targets; None for classes.
    """

    kind: str
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    n_outputs: int
    target_mean: tuple[float, ...] | None = None
    target_std: tuple[float, ...] | None = None

    @property
    def objective(self) -> str:
        return "val_accuracy" if self.target_mean is None else "val_mae"

    @property
    def _convolves(self) -> bool:
        return self.kind in ("images", "sequences")

    def __str__(self) -> str:
        layers = "2 convolutions, 1 hidden layer" if self._convolves else "2 hidden layers"
        wanted = "classes" if self.target_mean is None else "numbers per example"
        if self.n_outputs == 1:
            wanted = "number per example"
        shape = " x ".join(map(str, self.shape)) or "1"
        return f"a small net of {layers} for {self.kind} of {shape}, to {self.n_outputs} {wanted}"

    def __call__(self, hp: Any, rectifier: Any) -> keras.Model:
        inputs = keras.Input(self.shape, name="inputs")
        x = self._scaled(inputs)
        if self._convolves:
            for filters in _FILTERS:
                x = self._convolved(x, filters, rectifier)
        x = keras.layers.Flatten()(x)
        for _ in range(1 if self._convolves else 2):
            x = _dense(_HIDDEN_UNITS, rectifier)(x)
            x = rectifier()(x)
        x = keras.layers.Dense(self.n_outputs, kernel_initializer="lecun_normal", name="outputs")(x)
        if self.target_mean is not None:
            x = _rescaling(np.array(self.target_std), np.array(self.target_mean))(x)
        model = keras.Model(inputs, x)
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        if self.target_mean is None:
            loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            metrics = ["accuracy"]
        else:
            loss, metrics = "mse", ["mae"]
        model.compile(keras.optimizers.Adam(rate), loss, metrics=metrics)
        return model

    def _scaled(self, x: Any) -> Any:
        if self.kind == "images" and len(self.shape) == 2:
            x = keras.layers.Reshape((*self.shape, 1))(x)
        elif not self.shape:
            x = keras.layers.Reshape((1,))(x)
        mean, std = np.array(self.mean), np.array(self.std)
        return _rescaling(1 / std, -mean / std)(x)

    def _convolved(self, x: Any, filters: int, rectifier: Any) -> Any:
        """A convolution, pooling on each axis that is long enough, and the rectifier."""
        kind = keras.layers.Conv2D if self.kind == "images" else keras.layers.Conv1D
        initializer = rectifier.initializer()
        x = kind(filters, 3, padding="same", kernel_initializer=initializer)(x)
        size: Any = tuple(2 if length >= 4 else 1 for length in x.shape[1:-1])
        if max(size) == 2:
            pool = keras.layers.MaxPooling2D if len(size) == 2 else keras.layers.MaxPooling1D
            x = pool(size)(x)
        return rectifier()(x)


def _rescaling(scale: np.ndarray, offset: np.ndarray) -> keras.layers.Layer:
    """x * scale + offset, of each feature or channel."""
    numbers: Any = scale.tolist(), offset.tolist()
    return keras.layers.Rescaling(*numbers)


def _dense(n: int, rectifier: Any) -> keras.layers.Layer:
    return keras.layers.Dense(n, kernel_initializer=rectifier.initializer())


def make_small_net(data: DataFile) -> tuple[SmallNet, list[str]]:
    """The net for data with classes from 0 or real targets, and notes for the user.

    Raises:
        InputError: The targets need the user's own net.
    """
    targets, x = data.targets, data.train.x
    if targets.kind == "other":
        y = data.train.y
        raise InputError(
            "`y_train` must hold one label per example, one-hot rows, or real numbers, unless "
            f"FILE.py holds a net for it. Received: an array of shape {y.shape} and dtype {y.dtype}"
        )
    shape = x.shape[1:]
    kind = _kind_of(x)
    notes = []
    if kind == "images" and len(shape) == 3 and shape[0] <= 4 < shape[2]:
        notes.append(
            f"`x_train` is taken for images of {shape[0]} x {shape[1]} pixels with {shape[2]} "
            "channels. If channels come first, save np.moveaxis(x, 1, -1)."
        )
    mean, std = _scale_of(x, per_channel=kind in ("images", "sequences"), is_grey=len(shape) == 2)
    if targets.kind == "numbers":
        y = data.train.y.reshape(len(data.train), -1)
        target_mean, target_std = _mean_and_std(y)
        net = SmallNet(kind, shape, mean, std, targets.n, target_mean, target_std)
    else:
        net = SmallNet(kind, shape, mean, std, targets.n)
    return net, notes


def _kind_of(x: np.ndarray) -> str:
    rank = x.ndim - 1
    if rank == 3 or (rank == 2 and x.dtype == np.uint8):
        return "images"
    return "sequences" if rank == 2 else "vectors" if rank < 2 else "arrays"


def _scale_of(
    x: np.ndarray, per_channel: bool, is_grey: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    sample = x[:: max(1, len(x) // _MAX_MEASURED)]
    if per_channel and is_grey and x.dtype == np.uint8:
        return _mean_and_std(sample.reshape(-1, 1))
    if per_channel:
        return _mean_and_std(sample.reshape(-1, x.shape[-1]))
    if x.ndim > 2:  # arrays of any other rank: one scale for all
        return _mean_and_std(sample.reshape(-1, 1))
    return _mean_and_std(sample.reshape(len(sample), -1))


def _mean_and_std(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of each column; the std of a constant column is taken as 1."""
    values = values.astype("float64")
    mean, std = values.mean(axis=0), values.std(axis=0)
    std[std <= 1e-12 * np.abs(mean)] = 1.0
    std[std == 0] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())
