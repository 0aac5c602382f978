"""Tables of pandas, which `fit` takes as arrays."""

from typing import Any

import keras
import numpy as np


def is_table(data: Any) -> bool:
    """Whether `data` is a DataFrame or a Series of pandas, which need not be installed."""
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "iloc")


def is_numeric_table(data: Any) -> bool:
    """Whether `data` is a table whose columns make one array of numbers."""
    if not is_table(data):
        return False
    dtypes = list(data.dtypes) if data.ndim == 2 else [data.dtype]
    # pandas makes an array of objects of bools beside numbers, and of its extension types.
    kinds = {dtype.kind if isinstance(dtype, np.dtype) else "O" for dtype in dtypes}
    return kinds == {"b"} or (bool(kinds) and kinds <= set("fiu"))


def as_arrays(data: Any) -> Any:
    """`data` with arrays in the place of tables, of two axes also for a Series, as in `fit`."""

    def convert(part: Any) -> Any:
        if not is_table(part):
            return part
        array = part.to_numpy()
        return array[:, None] if array.ndim == 1 else array

    return keras.tree.map_structure(convert, data)
