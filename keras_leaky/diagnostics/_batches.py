"""The sample on which units are measured, batch after batch."""

from operator import itemgetter
from typing import Any

import keras
import numpy as np


def batches(data, batch_size):
    """Yields the inputs of the model, a batch at a time.

    Args:
        data: As for `dead_units`.
        batch_size: Samples per batch, if `data` are arrays.
    """
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a whole number of at least 1. Received: {batch_size=}"
        )
    is_empty = True
    for batch in _slices(data, batch_size) if _is_arrays(data) else _given_batches(data):
        if n_samples_of(batch):
            is_empty = False
            yield batch
    if is_empty:
        raise ValueError("`data` must hold at least one sample. Received: none")


def n_samples_of(batch) -> int:
    """How many samples a batch has."""
    return len(keras.tree.flatten(batch)[0])


def _is_arrays(data):
    leaves = keras.tree.flatten(data)
    return bool(leaves) and all(hasattr(a, "shape") and hasattr(a, "__getitem__") for a in leaves)


def _slices(arrays, batch_size):
    leaves: Any = keras.tree.flatten(arrays)
    lengths: Any = {len(a) if len(a.shape) else None for a in leaves}
    if len(lengths) > 1 or None in lengths:
        shapes = ", ".join(str(tuple(a.shape)) for a in leaves)
        raise ValueError(
            "`data` must be arrays of the same length, with the samples along the first axis. "
            f"Received: arrays of shape {shapes}"
        )
    for start in range(0, lengths.pop(), batch_size):
        part = slice(start, start + batch_size)
        yield keras.tree.map_structure(itemgetter(part), arrays)


def _given_batches(data):
    """The inputs of every batch of a data set: of `(x, y)` and `(x, y, sample_weight)` the `x`."""
    pairs = (tuple, list) if _is_data_loader(data) else tuple
    if isinstance(data, keras.utils.PyDataset):  # iterates without end
        if data.num_batches is None:
            raise ValueError(f"`data` must be finite. Received: data={data!r}")
        found = (data[i] for i in range(data.num_batches))
    else:
        try:
            found = iter(data)
        except TypeError:
            found = None
    if found is None or isinstance(data, str | bytes | dict):
        raise ValueError(
            "`data` must be an array, a list or dict of arrays, or an iterable of batches. "
            f"Received: data={data!r}"
        )
    for batch in found:
        x = batch[0] if isinstance(batch, pairs) else batch
        yield x if _is_arrays(x) else np.asarray(x)


def _is_data_loader(data):
    """Whether these are PyTorch's batches: pairs are lists there. Keras reads them likewise."""
    kinds = type(data).__mro__
    return any(kind.__module__.startswith("torch.utils.data") for kind in kinds)
