"""Checks whether a resumed search has the data that its project began with."""

import hashlib
import inspect
import logging
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_logger = logging.getLogger(__name__)
_MAX_BYTES = 16 * 2**20  # of an array are read: 10 ms
_NAMES_OF_FIT = tuple(inspect.signature(keras.Model.fit).parameters)[1:]


def digest_of(args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, str]:
    """A digest of each array among the arguments of `fit`, by the name of its argument.

    For a large array, some evenly spaced rows are read. Functions, data sets and generators have no
    digest: they are left out.
    """
    digests = {}
    named = dict(zip(_NAMES_OF_FIT, args, strict=False)) | kwargs
    for name, value in named.items():
        try:
            parts = [_describe(part) for part in keras.tree.flatten(value) if part is not None]
        except Exception:  # an array of a library that we do not know
            continue
        if parts and all(parts):
            digests[name] = " ".join(map(str, parts))
    return digests


class DataSeen:
    """The data of the searches in a project.

    Attributes:
        digests: One for each different set of data, in order.
    """

    def __init__(self) -> None:
        self.digests: list[dict[str, str]] = []

    def add(self, digest: dict[str, str], folder: str, has_results: bool) -> None:
        """Records the data of the next search, and warns if scores cannot be compared.

        Args:
            digest: From `digest_of`.
            folder: Folder of the project.
            has_results: Whether the project has results to compare the next ones with.
        """
        if not has_results:
            self.digests = []
        changed = {
            name
            for known in self.digests
            for name in known
            if name in digest and known[name] != digest[name]
        }
        if changed:
            _logger.warning(
                "The project in %s has trials that were trained on other data, so their scores "
                "cannot be compared: give another `project_name`, or `overwrite=True`. Changed: "
                "%s",
                folder,
                ", ".join(f"`{name}`" for name in sorted(changed)),
            )
        if digest not in self.digests:
            self.digests.append(digest)


def _describe(data: Any) -> str | None:
    if not (hasattr(data, "__array__") and getattr(data, "shape", ())):
        return None
    n_rows = len(data)
    if not isinstance(data, np.ndarray) and not keras.ops.is_tensor(data):
        data = np.asarray(data)  # such as a table of pandas
    n_bytes = int(np.prod(data.shape)) * 8
    rows = data[:: max(1, -(-n_bytes // _MAX_BYTES))]
    rows = np.ascontiguousarray(keras.ops.convert_to_numpy(rows))
    content = "" if rows.dtype.hasobject else hashlib.sha256(rows.tobytes()).hexdigest()[:16]
    return f"{rows.dtype}{[n_rows, *rows.shape[1:]]}{content}"
