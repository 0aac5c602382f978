"""DATA.npz files for tests."""

import numpy as np


def write_data(folder, name="data.npz", **changes):
    """Writes a small DATA.npz of ten classes of images, but for `changes`; None leaves one out."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 400), ("test", 100)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (n, 28, 28), dtype="uint8")
        arrays[f"y_{part}"] = np.arange(n) % 10
    arrays |= changes
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def write_table(folder, targets, n_features=6, **changes):
    """Writes a DATA.npz of vectors, which has training data alone, but for `changes`."""
    x = np.random.default_rng(1).normal(size=(len(targets), n_features)).astype("float32")
    empty = {"x_test": None, "y_test": None}
    return write_data(folder, **{"x_train": x, "y_train": targets, **empty, **changes})
