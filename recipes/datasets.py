"""The images: their sources, their checks and their splits."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_leaky.study import InputError
from keras_leaky.study.npz import Header, read_arrays
from recipes.download import DownloadError, download_to_cache

VALIDATION_FRACTION = 0.15  # 9,000 of MNIST's and 7,500 of CIFAR-10's training images
SPLIT_SEED = 0  # whatever --seed, so that every run is judged on the same images
# Some 25 GB of CIFAR's images, once `split` has copied them; the largest relatives of MNIST have
# under a million. A header that declares more is a mistake, or meant to fill the memory.
MAX_IMAGES = 4_000_000
_MAX_TITLE = 200  # characters


@dataclass(frozen=True)
class Dataset:
    """A data set of the recipes: images, classes, file, default epochs, and title."""

    name: str
    title: str
    image_shape: tuple[int, ...]
    n_classes: int
    n_epochs: int
    keras_file: str  # Keras's name in its cache; without it Keras downloads
    fingerprint: str  # digest of the content, which identifies the data set


DATASETS = {
    "mnist": Dataset(
        *("mnist", "MNIST", (28, 28), 10, 2, "mnist.npz"),
        "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
    ),
    # Sums of the training pixels by color. From the means that are published everywhere, such as
    # 125.306918046875: of 50,000 images of 1,024 pixels, these are whole numbers.
    "cifar10": Dataset(
        *("cifar10", "CIFAR-10", (32, 32, 3), 10, 3, "cifar-10-batches-py-target"),
        "6415714204 6295060180 5829907619",
    ),
    "cifar100": Dataset(
        *("cifar100", "CIFAR-100", (32, 32, 3), 100, 5, "cifar-100-python-target"),
        "6620373279 6352382090 5756623363",
    ),
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
    title: str  # the name of the data under a figure made from them
    source: str
    n_epochs: int
    warning: str | None = None  # shown prominently: the answer is not about the requested data set


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
    def train(self) -> tuple[np.ndarray, np.ndarray]:
        return self.x_train, self.y_train

    @property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        return self.x_validation, self.y_validation

    @property
    def test(self) -> tuple[np.ndarray, np.ndarray]:
        return self.x_test, self.y_test

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.x_train.shape[1:]

    @property
    def n_classes(self) -> int:
        return int(self.y_train.max()) + 1  # every class is among the training images

    def __str__(self) -> str:
        n_train, n_validation, n_test = map(len, (self.x_train, self.x_validation, self.x_test))
        return f"{n_train:,} training, {n_validation:,} validation, {n_test:,} test images"


def load(name: str, data: str = "auto", data_dir: Path | None = None) -> Arrays:
    """Loads the images that `--data` and `--data-dir` ask for.

    Args:
        name: Name of the data set: mnist, cifar10 or cifar100.

    Raises:
        InputError: The file is missing or wrong, or the data set cannot be loaded without one.
    """
    dataset = DATASETS[name]
    if data == "synthetic":
        return _synthetic(dataset)
    if data == "digits":
        return _digits()
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
        return _digits(warning)


def _from_folder(dataset: Dataset, folder: Path) -> Arrays:
    path = folder / f"{dataset.name}.npz"
    try:
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise InputError(f"`--data-dir` cannot be read: {error}") from error
    if not is_file:
        what = "where it is not a regular file" if is_there else "which has no such file"
        raise InputError(
            f"`--data-dir` must hold {path.name}. Received: --data-dir {folder}, {what}."
        )
    names = ("x_train", "y_train", "x_test", "y_test")
    shape = dataset.image_shape
    arrays = read_arrays(path, names, ("source",), lambda found: _check_headers(path, shape, found))
    given = _read_title(path, arrays.pop("source")) if "source" in arrays else None
    for part in ("train", "test"):
        arrays[f"y_{part}"] = arrays[f"y_{part}"].reshape(-1)  # Keras's CIFAR has them in a column
        _check_values(path, part, arrays[f"x_{part}"], arrays[f"y_{part}"], dataset.n_classes)
    x_train, y_train, x_test, y_test = (arrays[name] for name in names)
    images = x_train, y_train, x_test, y_test
    title, warning = given or dataset.title, None
    if given is None and fingerprint(dataset.name, *images) != dataset.fingerprint:
        title = f"the images in {path.name} (not {dataset.title})"
        warning = (
            f"{path} does not hold {dataset.title}: its pixels differ. These results are for the "
            "images in the file. You can name them with a string array `source`."
        )
    kind, source = dataset.name, f"{title}, from {path}"
    return Arrays(*images, kind, title, source, dataset.n_epochs, warning)


def fingerprint(
    name: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> str:
    """A digest that tells a known data set from others.

    A SHA-256 of all images and labels. For CIFAR, sums of the training pixels, because its arrays
    were not available when this was written: changed labels go unnoticed.
    """
    if name in ("cifar10", "cifar100"):
        return " ".join(str(total) for total in x_train.sum(axis=(0, 1, 2), dtype=np.int64))
    digest = hashlib.sha256()
    for array in (x_train, y_train, x_test, y_test):
        digest.update(np.ascontiguousarray(array, np.uint8).data)
    return digest.hexdigest()


def _from_keras(dataset: Dataset) -> Arrays:
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


def _digits(warning: str | None = None) -> Arrays:
    """scikit-learn's digits: scans of 8 x 8 pixels of 0 to 16, here of 0 to 255."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    x = np.rint(bunch.images * (255 / 16)).astype("uint8")
    x_train, x_test, y_train, y_test = _stratified(x, bunch.target, test_size=0.2)
    source = "scikit-learn's 1,797 digits of 8 x 8 pixels (not MNIST)"
    warning = warning or "These results are for scikit-learn's 1,797 digits, not for MNIST."
    title = "scikit-learn's digits (not MNIST)"
    return Arrays(x_train, y_train, x_test, y_test, "digits", title, source, DIGITS_EPOCHS, warning)


def _synthetic(dataset: Dataset) -> Arrays:
    """One random pattern per class under strong noise: learnable, and without meaning."""
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
    """Holds out stratified validation images from the training images, the same in every run.

    Digits keep 20 % for validation, as they do for the test split.

    Raises:
        InputError: `train_limit` takes or leaves less than one image per class.
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
                f"training images, one per class. Received: --train-limit {train_limit}"
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


def _require(path: Path, holds: Any, name: str, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"{path}: `{name}` must {rule}. Received: {received}")


def _check_headers(path: Path, image_shape: tuple[int, ...], headers: dict[str, Header]) -> None:
    """Refuses arrays of another shape or dtype, before they are unpacked.

    Raises:
        InputError: Names the array, the rule and what was received.
        ValueError: `source` is not a short string.
    """
    expected = ", ".join(map(str, image_shape))
    for part in ("train", "test"):
        x, y = f"x_{part}", f"y_{part}"
        shape, dtype = tuple(headers[x].shape), headers[x].dtype
        _require(path, shape[1:] == image_shape, x, f"have shape (n, {expected})", shape)
        _require(path, dtype == np.uint8, x, "be uint8, raw pixels from 0 to 255", f"dtype {dtype}")
        n = int(shape[0])
        _require(path, n >= 100, x, "hold at least 100 images", n)
        _require(path, n <= MAX_IMAGES, x, f"hold at most {MAX_IMAGES:,} images", f"{n:,}")
        shape, dtype = headers[y].shape, headers[y].dtype
        _require(path, shape in ((n,), (n, 1)), y, f"have shape ({n},), as x", shape)
        _require(path, dtype.kind in "iu", y, "be integers", f"dtype {dtype}")
    if "source" in headers:
        shape, dtype = headers["source"].shape, headers["source"].dtype
        if shape != () or dtype.kind != "U" or dtype.itemsize > 4 * _MAX_TITLE:
            raise ValueError(
                f"`source` must be one string of up to {_MAX_TITLE} characters. Received: shape "
                f"{shape}, dtype {dtype}"
            )


def _check_values(path: Path, part: str, x: np.ndarray, y: np.ndarray, n_classes: int) -> None:
    """Refuses values that are not pixels or labels, and classes with too few images.

    Raises:
        InputError: Names the array, the rule and what was received.
    """
    rule = "hold raw pixels from 0 to 255"
    _require(path, x.max() > 1, f"x_{part}", rule, f"values up to {x.max()}")
    labels, counts = np.unique(y, return_counts=True)
    least = 20 if part == "train" else 1  # so that validation gets its share of each
    rule = f"hold the labels 0 to {n_classes - 1}, with at least {least} images each"
    complete = np.array_equal(labels, np.arange(n_classes)) and counts.min() >= least
    received = dict(zip(labels[:20].tolist(), counts[:20].tolist(), strict=True))
    _require(path, complete, f"y_{part}", rule, received)


def _read_title(path: Path, source: np.ndarray) -> str:
    """The file's title of its data, which is shown in terminals and on pages.

    Raises:
        InputError: It is empty, or has line breaks or control characters.
    """
    title = source.item()
    _require(path, title and title.isprintable(), "source", "be printable", ascii(title))
    return title
