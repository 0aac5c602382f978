"""Rectifiers whose negative side saturates exponentially."""

import math
from typing import Any

import keras
from keras import ops

from keras_leaky.ops._tensors import (
    as_constant,
    is_ragged,
    is_tensorflow,
    parameter_of,
    portable,
    to_float_tensor,
    wide_dtype,
)

# Klambauer et al. 2017, equation 14: the fixed point at mean 0 and variance 1.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@keras.saving.register_keras_serializable(package="keras_leaky")
def elu(x: Any, alpha: Any = 1.0, training: bool | None = None) -> Any:
    """Exponential linear unit.

    ```
    f(x)  = x   where x > 0,    alpha * (exp(x) - 1)   where x <= 0
    f'(x) = 1   where x > 0,    alpha * exp(x)         where x <= 0
    ```

    At 0 the value is 0 and the derivative `alpha`. NaN gives NaN, plus infinity gives plus
    infinity, minus infinity gives `-alpha`. `exp(x) - 1` is computed by expm1, which keeps small
    negative numbers that the subtraction rounds to 0. One exception: for an `alpha` of 1, a
    TensorFlow graph that does not train, and its exports, use TensorFlow's own kernel, with an
    absolute error of at most eps.

    On every backend, the derivative is exact if it is a normal number of the dtype, with one
    exception. On TensorFlow in float32 and float64, a large tensor or a graph that trains keeps
    only the output, and computes the derivative as `f(x) + alpha`: the absolute error is at most 2
    eps * alpha. Half precision keeps the input, and is computed in float32.

    `-alpha` is the saturation value. Nothing is checked here; `keras_leaky.layers.ELU` checks.

    Args:
        x: Tensor. Integers are cast to `keras.config.floatx()`.
        alpha: Number or scalar tensor in [0, inf), used in the dtype of `x`, or in float32 for half
            precision. Defaults to 1.0. A tensor may change without a new compilation, and gets a
            gradient.
        training: True for the fast form in a graph of TensorFlow, which does not suit export.
            Defaults to None. Eagerly and on other backends it changes nothing.

    Returns:
        Tensor of the shape and float dtype of `x`.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.ops import elu
    >>> np.asarray(elu(np.array([-np.inf, 0.0, 3.0]), 0.5))
    array([-0.5,  0. ,  3. ])
    >>> print(float(elu(-1e-8, 1.0)))  # 0 without expm1
    -9.99999993922529e-09

    References:
        Clevert, Unterthiner and Hochreiter, 2016, "Fast and Accurate Deep Network Learning by
        Exponential Linear Units (ELUs)", section 3.
    """
    return _exponential(x, 1.0, alpha, 1.0, training, keeps_output=True)


@keras.saving.register_keras_serializable(package="keras_leaky")
def celu(x: Any, alpha: Any = 1.0, training: bool | None = None) -> Any:
    """Continuously differentiable exponential linear unit.

    ```
    f(x)  = x   where x > 0,    alpha * (exp(x / alpha) - 1)   where x <= 0
    f'(x) = 1   where x > 0,    exp(x / alpha)                 where x <= 0
    ```

    At 0 the value is 0 and the derivative 1, for any `alpha`. NaN gives NaN, plus infinity gives
    plus infinity, minus infinity gives `-alpha`. `exp - 1` is computed by expm1, as in `elu`. The
    derivative is exact in every dtype, because it is computed from the input, which is kept.

    `-alpha` is the saturation value. Nothing is checked here; `keras_leaky.layers.CELU` checks.

    Args:
        x: Tensor. Integers are cast to `keras.config.floatx()`.
        alpha: Number or scalar tensor in (0, inf), used as in `elu`. Defaults to 1.0. A tensor may
            change without a new compilation, and gets a gradient.
        training: As in `elu`.

    Returns:
        Tensor of the shape and float dtype of `x`.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.ops import celu
    >>> np.asarray(celu(np.array([-np.inf, 0.0, 3.0]), 0.5))
    array([-0.5,  0. ,  3. ])

    References:
        Barron, 2017, "Continuously Differentiable Exponential Linear Units", equation 2.
    """
    return _exponential(x, 1.0, alpha, alpha, training)


@keras.saving.register_keras_serializable(package="keras_leaky")
def selu(x: Any, training: bool | None = None) -> Any:
    """Scaled exponential linear unit.

    ```
    f(x)  = scale * x   where x > 0,    scale * alpha * (exp(x) - 1)   where x <= 0
    f'(x) = scale       where x > 0,    scale * alpha * exp(x)         where x <= 0
    ```

    with scale 1.0507009873554805 and alpha 1.6732632423543772, for which unit normal
    pre-activations give outputs of mean 0 and variance 1. At 0 the value is 0 and the derivative
    `scale * alpha`. NaN gives NaN, plus infinity gives plus infinity, minus infinity gives `-scale
    * alpha`. `exp - 1` is computed by expm1, and the derivative is as exact as in `elu`.

    Args:
        x: Tensor. Integers are cast to `keras.config.floatx()`.
        training: As in `elu`.

    Returns:
        Tensor of the shape and float dtype of `x`.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.ops import selu
    >>> np.asarray(selu(np.array([-np.inf, 0.0, 1.0]))).round(4)
    array([-1.7581,  0.    ,  1.0507])

    References:
        Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-Normalizing Neural Networks",
        equations 2 and 14.
    """
    return _exponential(x, SELU_SCALE, SELU_SCALE * SELU_ALPHA, 1.0, training, True)


def _exponential(x, scale, amplitude, width, training, keeps_output=False):
    """`scale * x` where x > 0, `amplitude * expm1(x / width)` elsewhere.

    `keeps_output` only has an effect on TensorFlow, above half precision.
    """
    if is_ragged(x):
        values = _exponential(x.flat_values, scale, amplitude, width, training, keeps_output)
        return x.with_flat_values(values)
    x = to_float_tensor(x)
    numbers = (scale, amplitude, width)
    constants = [as_constant(number) for number in numbers]
    is_constant = not any(map(math.isnan, constants))
    if is_tensorflow(x):
        from keras_leaky.ops import _exponential_tf

        keeps_output = keeps_output and x.dtype.size > 2
        if is_constant:
            return _exponential_tf.exponential(x, constants, training, keeps_output)
        tensors = [parameter_of(number, wide_dtype(x)) for number in numbers]
        return _exponential_tf.exponential_with_parameters(x, tensors, training, keeps_output)
    return _exponential_portable(x, *(parameter_of(number, wide_dtype(x)) for number in numbers))


@portable
def _exponential_portable(x, scale, amplitude, width):
    wide = ops.cast(x, wide_dtype(x))
    # expm1 of a large x overflows, and 0 * inf in its gradient is NaN even where it is not chosen.
    z = ops.where(x > 0, 0.0, wide) / width
    # The frameworks take the derivative of expm1 from its rounded output, as expm1(z) + 1, which
    # is 0 long before exp(z) is. The terms added are 0, and their derivative is the exact one.
    exp: Any = ops.exp(z)
    expm1 = ops.stop_gradient(ops.expm1(z)) + (exp - ops.stop_gradient(exp))
    return ops.cast(ops.where(x > 0, scale * wide, amplitude * expm1), x.dtype)
