"""What every function of this folder does to its arguments."""

from typing import Any

import keras
from keras import ops


def to_float_tensor(x) -> Any:
    """`x` as a tensor of its own float dtype; integers and booleans get `keras.config.floatx()`."""
    tensor: Any = ops.convert_to_tensor(x)
    if keras.backend.is_float_dtype(tensor.dtype):
        return tensor
    return ops.cast(tensor, keras.config.floatx())


def parameter_like(parameter, x) -> Any:
    """`parameter` in the dtype of `x`, so that no NumPy scalar or float32 variable promotes `x`.

    Not `ops.cast`: it takes a Python float through float32 on the way to float64.
    """
    return ops.convert_to_tensor(parameter, dtype=keras.backend.standardize_dtype(x.dtype))
