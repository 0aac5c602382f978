"""Conversions of arguments that every function of this folder uses."""

# pyright: reportMissingImports=false

import functools
import math
import numbers
from typing import Any

import keras
import numpy as np
from keras import ops


def to_float_tensor(x) -> Any:
    """`x` as a tensor of its own float dtype; integers and booleans get `keras.config.floatx()`."""
    tensor: Any = _read(ops.convert_to_tensor(x))
    if keras.backend.is_float_dtype(tensor.dtype):
        return tensor
    return ops.cast(tensor, keras.config.floatx())


def is_ragged(x):
    """Whether `x` is a RaggedTensor of TensorFlow: functions use its `flat_values`."""
    return hasattr(x, "with_flat_values")


def cast(x, dtype) -> Any:
    """Like `ops.cast`, also for a RaggedTensor."""
    if is_ragged(x):
        return x.with_flat_values(ops.cast(x.flat_values, dtype))
    if hasattr(x, "dense_shape"):
        raise ValueError(
            "`inputs` of a rectifier must be a dense or a ragged tensor. "
            f"Received: inputs={type(x).__name__}. Make it dense: `tf.sparse.to_dense(inputs)`"
        )
    return ops.cast(x, dtype)


def parameter_of(parameter, dtype) -> Any:
    """`parameter` in a dtype, so that no NumPy scalar or float32 variable promotes the tensor.

    Not `ops.cast`: it takes a Python float through float32 on the way to float64.
    """
    dtype = keras.backend.standardize_dtype(dtype)
    return _read(ops.convert_to_tensor(parameter, dtype=dtype))


def wide_dtype(x):
    """The dtype of `x`, or float32 if `x` has half precision."""
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def _read(tensor):
    """The value of a variable: on TensorFlow, Keras treats a variable as a tensor.

    `tf.function` treats it as a NumPy array, and its gradient would be lost.
    """
    if is_tensorflow(tensor):
        import tensorflow as tf

        return tf.convert_to_tensor(tensor)
    return tensor


def as_constant(parameter):
    """`parameter` as a Python float if it is one number; NaN for a tensor or a variable."""
    if isinstance(parameter, np.ndarray) and parameter.ndim == 0:
        parameter = parameter.item()
    return float(parameter) if isinstance(parameter, numbers.Real) else math.nan


def is_tensorflow(x):
    """Whether `x` is a tensor of TensorFlow, eager or in a graph, rather than symbolic to Keras."""
    return keras.backend.backend() == "tensorflow" and not isinstance(x, keras.KerasTensor)


def portable(function):
    """`function` of tensors, written in `keras.ops`.

    On JAX it is compiled, for calls outside of a compiled program: every operation there is a pass
    through memory of its own.
    """
    compiled: Any = None

    @functools.wraps(function)
    def run(*tensors):
        nonlocal compiled
        is_symbolic = any(isinstance(tensor, keras.KerasTensor) for tensor in tensors)
        if keras.backend.backend() != "jax" or is_symbolic:
            return function(*tensors)
        if compiled is None:
            import jax

            compiled = jax.jit(function)
        return compiled(*tensors)

    return run
