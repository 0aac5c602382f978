"""What the arrays of a file must be to count as images: raw uint8 pixels with a label each."""

from pathlib import Path
from typing import Any

import numpy as np

from recipes.common.errors import InputError
from recipes.common.npz import Header

# Some 25 GB of CIFAR's images, once `split` has copied them; the largest relatives of MNIST have
# under a million. A header that declares more is a mistake, or meant to fill the memory.
MAX_IMAGES = 4_000_000
_MAX_TITLE = 200  # characters


def _require(path: Path, holds: Any, name: str, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"{path}: `{name}` must {rule}. Received: {received}")


def check_headers(path: Path, image_shape: tuple[int, ...], headers: dict[str, Header]) -> None:
    """Refuses, before it is unpacked, what is of another shape or dtype.

    Raises:
        InputError: Names the array, the rule and what was received.
        ValueError: The same of `source`, which is no image.
    """
    expected = ", ".join(map(str, image_shape))
    for name, header in headers.items():
        if header.is_fortran and len(header.shape) > 1:
            received = "Fortran order: save np.ascontiguousarray of it"
            _require(path, False, name, "be in C order", received)
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
        _require(path, dtype.isnative, y, "be in this machine's byte order", f"dtype {dtype.str}")
    if "source" in headers:
        shape, dtype = headers["source"].shape, headers["source"].dtype
        if shape != () or dtype.kind != "U" or dtype.itemsize > 4 * _MAX_TITLE:
            raise ValueError(
                f"`source` must be one string of up to {_MAX_TITLE} characters. Received: shape "
                f"{shape}, dtype {dtype}"
            )


def check_values(path: Path, part: str, x: np.ndarray, y: np.ndarray, n_classes: int) -> None:
    """Refuses values that are no pixels and no labels, and too few images of a class.

    Raises:
        InputError: Names the array, the rule and what was received.
    """
    rule = "hold raw pixels from 0 to 255"
    _require(path, x.max() > 1, f"x_{part}", rule, f"values up to {x.max()}")
    labels, counts = np.unique(y, return_counts=True)
    least = 20 if part == "train" else 1  # so that validation gets its share of each
    rule = f"hold the labels 0 to {n_classes - 1}, at least {least} images each"
    complete = np.array_equal(labels, np.arange(n_classes)) and counts.min() >= least
    received = dict(zip(labels[:20].tolist(), counts[:20].tolist(), strict=True))
    _require(path, complete, f"y_{part}", rule, received)


def check_title(path: Path, source: np.ndarray) -> str:
    """What the file calls its data, which goes to terminals and pages.

    Raises:
        InputError: It has line breaks or control characters in it, or nothing.
    """
    title = source.item()
    _require(path, title and title.isprintable(), "source", "be printable", ascii(title))
    return title
