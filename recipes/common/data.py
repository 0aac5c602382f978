"""The images: where they come from, what is checked, and how they are split."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.common.download import DownloadError, download_to_cache
from recipes.common.errors import InputError
from recipes.common.image_checks import check_headers, check_title, check_values
from recipes.common.npz import read_arrays
from recipes.common.quiet_start import start_quietly

VALIDATION_FRACTION = 0.15  # 9,000 of MNIST's and 7,500 of CIFAR-10's training images
SPLIT_SEED = 0  # whatever --seed, so that every run is judged on the same images


@dataclass(frozen=True)
class Dataset:
    """What a recipe can load: images, classes, file, default epochs, and its name for a person."""

    name: str
    title: str
    image_shape: tuple[int, ...]
    n_classes: int
    n_epochs: int
    keras_file: str  # what Keras leaves in its cache; its absence means a download


DATASETS = {
    "mnist": Dataset("mnist", "MNIST", (28, 28), 10, 2, "mnist.npz"),
    "cifar10": Dataset("cifar10", "CIFAR-10", (32, 32, 3), 10, 3, "cifar-10-batches-py-target"),
    "cifar100": Dataset("cifar100", "CIFAR-100", (32, 32, 3), 100, 5, "cifar-100-python-target"),
}
DIGITS_EPOCHS = 8
SYNTHETIC_EPOCHS = 2


@dataclass(frozen=True)
class Arrays:
    """Images as they come: uint8 of shape (n, *image_shape), labels from 0 of shape (n,)."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    kind: str  # the --data that gives exactly these
    title: str  # what a figure made from them has to be called
    source: str
    n_epochs: int
    warning: str | None = None  # said loudly: the answer is not about the data set asked for

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(str((array.shape, array.dtype)).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """Training, validation and held-out test images."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.x_train.shape[1:]

    @property
    def n_classes(self) -> int:
        return int(self.y_train.max()) + 1  # every class is among the training images


def load(dataset: Dataset, data: str, data_dir: Path | None) -> Arrays:
    """Loads the images that `--data` and `--data-dir` ask for.

    Raises:
        InputError: The file is absent or wrong, or the data set cannot be had without one.
    """
    if data == "synthetic":
        return _synthetic(dataset)
    if data == "digits":
        return _digits(dataset)
    if data_dir is not None:
        return _from_folder(dataset, data_dir)
    try:
        return _from_keras(dataset)
    except DownloadError as error:
        if dataset.name != "mnist" or data != "auto":
            other = ", or `--data digits`" if dataset.name == "mnist" else ""
            raise InputError(
                f"{dataset.title} is not in Keras's cache and could not be downloaded ({error}). "
                f"Give `--data-dir DIR` with DIR/{dataset.name}.npz, or try the machinery with "
                f"`--data synthetic`{other}."
            ) from error
        warning = (
            f"MNIST could not be downloaded ({error}). These results are for the 1,797 digits "
            "that scikit-learn carries, not for MNIST."
        )
        return _digits(dataset, warning)


def _from_folder(dataset: Dataset, folder: Path) -> Arrays:
    path = folder / f"{dataset.name}.npz"
    try:
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise InputError(f"`--data-dir` cannot be read: {error}") from error
    if not is_file:
        what = "where that is no regular file" if is_there else "which has no such file"
        raise InputError(
            f"`--data-dir` must hold {path.name}. Received: --data-dir {folder}, {what}."
        )
    names = ("x_train", "y_train", "x_test", "y_test")
    shape = dataset.image_shape
    arrays = read_arrays(path, names, ("source",), lambda found: check_headers(path, shape, found))
    title = check_title(path, arrays.pop("source")) if "source" in arrays else dataset.title
    for part in ("train", "test"):
        arrays[f"y_{part}"] = arrays[f"y_{part}"].reshape(-1)  # Keras's CIFAR has them in a column
        check_values(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"], dataset.n_classes)
    source = f"{title}, from {path}"
    x_train, y_train, x_test, y_test = (arrays[name] for name in names)
    kind, n_epochs = dataset.name, dataset.n_epochs
    return Arrays(x_train, y_train, x_test, y_test, kind, title, source, n_epochs)


def _from_keras(dataset: Dataset) -> Arrays:
    start_quietly()
    import keras

    home = Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))
    if not (home / "datasets" / dataset.keras_file).exists():
        download_to_cache(dataset.name)
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(10)  # a damaged file in the cache makes Keras download it again
    try:
        loader = getattr(keras.datasets, dataset.name)
        (x_train, y_train), (x_test, y_test) = loader.load_data()
    except Exception as error:  # Keras raises bare Exception when a download fails
        raise DownloadError(str(error)) from error
    finally:
        socket.setdefaulttimeout(previous)
    source = f"{dataset.title}, from keras.datasets"
    arrays = (x_train, y_train.reshape(-1), x_test, y_test.reshape(-1))
    return Arrays(*arrays, dataset.name, dataset.title, source, dataset.n_epochs)


def _digits(dataset: Dataset, warning: str | None = None) -> Arrays:
    """scikit-learn's digits: 8 x 8 scans of 0..16, here resized to 28 x 28 and 0..255."""
    start_quietly()
    import keras
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    small = np.asarray(bunch.images, "float32")[..., None] * (255 / 16)
    resized = keras.ops.image.resize(small, dataset.image_shape, interpolation="bilinear")
    large: Any = keras.ops.convert_to_numpy(resized)
    x = np.rint(large[..., 0]).astype("uint8")
    x_train, x_test, y_train, y_test = _stratified(x, bunch.target, test_size=0.2)
    source = "scikit-learn's 1,797 digits, resized to 28 x 28 (not MNIST)"
    warning = warning or "These results are for scikit-learn's 1,797 digits, not for MNIST."
    title = "scikit-learn's digits (not MNIST)"
    return Arrays(x_train, y_train, x_test, y_test, "digits", title, source, DIGITS_EPOCHS, warning)


def _synthetic(dataset: Dataset) -> Arrays:
    """A random pattern a class under strong noise: learnable, and about nothing."""
    rng = np.random.default_rng(SPLIT_SEED)
    patterns = rng.integers(64, 192, (dataset.n_classes, *dataset.image_shape))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = np.arange(n) % dataset.n_classes
        x = patterns[y] + rng.normal(0, 160, (n, *dataset.image_shape))
        return np.clip(x, 0, 255).astype("uint8"), y

    return Arrays(
        *draw(2000),
        *draw(500),
        kind="synthetic",
        title="synthetic images",
        source="synthetic images",
        n_epochs=SYNTHETIC_EPOCHS,
        warning="These results are for synthetic images: they say nothing about real data.",
    )


def split(arrays: Arrays, train_limit: int | None) -> Split:
    """Holds validation images out of the training images, stratified, always the same ones.

    Digits keep 20 % for validation, as they do for the test split.

    Raises:
        InputError: `train_limit` takes or leaves less than one image a class.
    """
    # 0.25 of the 80 % that the digits' test split leaves is 20 % of all of them.
    fraction = 0.25 if arrays.kind == "digits" else VALIDATION_FRACTION
    x_train, x_validation, y_train, y_validation = _stratified(
        arrays.x_train, arrays.y_train, test_size=round(fraction * len(arrays.x_train))
    )
    n_train, n_classes = len(x_train), len(np.unique(y_train))
    if train_limit is not None and train_limit < n_train:
        if not n_classes <= train_limit <= n_train - n_classes:
            raise InputError(
                f"`--train-limit` must take and leave at least {n_classes} of the {n_train} "
                f"training images, one a class. Received: --train-limit {train_limit}"
            )
        x_train, _, y_train, _ = _stratified(x_train, y_train, train_size=train_limit)
        if len(np.unique(y_train)) < n_classes:
            raise InputError(
                "`--train-limit` must leave an image of every class, and some are rare in these "
                f"data. Received: --train-limit {train_limit}"
            )
    return Split(x_train, y_train, x_validation, y_validation, arrays.x_test, arrays.y_test)


def _stratified(x: np.ndarray, y: np.ndarray, **size: Any) -> tuple[np.ndarray, ...]:
    """Splits images and labels in two, every class in proportion, always the same way."""
    from sklearn.model_selection import train_test_split

    parts = train_test_split(x, y, stratify=y, random_state=SPLIT_SEED, **size)
    return tuple(np.asarray(part) for part in parts)
