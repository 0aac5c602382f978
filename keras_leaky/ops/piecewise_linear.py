"""Rectifiers with two straight pieces."""

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


@keras.saving.register_keras_serializable(package="keras_leaky")
def leaky_relu(x: Any, negative_slope: Any = 0.01, training: bool | None = None) -> Any:
    """Leaky rectified linear unit.

    ```
    f(x)  = x   where x > 0,    negative_slope * x   where x <= 0
    f'(x) = 1   where x > 0,    negative_slope       where x <= 0
    ```

    At 0 the value is 0 and the derivative `negative_slope`. NaN gives NaN, plus infinity gives plus
    infinity, minus infinity gives `negative_slope * -inf`, which is 0 for a slope of 0, as for
    ReLU.

    `negative_slope` is the derivative on the negative side: 0 is ReLU, 1 the identity, -1 the
    absolute value. Nothing is checked here; `keras_leaky.layers.LeakyReLU` checks.

    Args:
        x: Tensor. Integers are cast to `keras.config.floatx()`.
        negative_slope: Number or scalar tensor in (-inf, inf), used in the dtype of `x`. Defaults
            to 0.01. A tensor may change without a new compilation, and gets a gradient.
        training: True for the fast form in a graph of TensorFlow, which does not suit export.
            Defaults to None. Eagerly and on other backends it changes nothing.

    Returns:
        Tensor of the shape and float dtype of `x`.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.ops import leaky_relu
    >>> np.asarray(leaky_relu(np.array([-2.0, 0.0, 3.0]), 0.1))
    array([-0.2,  0. ,  3. ])

    References:
        Maas, Hannun and Ng, 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
        Models", section 2 (LReL).
    """
    if is_ragged(x):
        return x.with_flat_values(leaky_relu(x.flat_values, negative_slope, training))
    x = to_float_tensor(x)
    constant = as_constant(negative_slope)
    # The kernels of TensorFlow hold their slope in float32.
    if is_tensorflow(x) and math.isfinite(constant) and x.dtype != "float64":
        from keras_leaky.ops import _piecewise_linear_tf

        return _piecewise_linear_tf.leaky_relu_constant(x, constant, training)
    negative_slope = parameter_of(negative_slope, x.dtype)
    if is_tensorflow(x):
        from keras_leaky.ops import _piecewise_linear_tf

        return _piecewise_linear_tf.leaky_relu(x, negative_slope, training)
    return _leaky_relu(x, negative_slope)


def prelu(x: Any, alpha: Any, training: bool | None = None) -> Any:
    """Parametric rectified linear unit.

    ```
    f(x)  = x   where x > 0,    alpha * x   where x <= 0        df/dalpha = min(x, 0)
    f'(x) = 1   where x > 0,    alpha       where x <= 0
    ```

    At 0 the value is 0 and the derivative `alpha`. NaN gives NaN, plus infinity gives plus
    infinity, minus infinity gives `alpha * -inf`, which is NaN for an `alpha` of 0: unlike a slope
    set by hand, a learned slope does not stay at exactly 0, and no fused PReLU kernel guards
    against it.

    `alpha` is the derivative on the negative side, one for each group of elements that share it.

    Args:
        x: Tensor. Integers are cast to `keras.config.floatx()`.
        alpha: Tensor or number in (-inf, inf) that broadcasts to the shape of `x`, used in its
            dtype.
        training: As in `leaky_relu`.

    Returns:
        Tensor of the shape and float dtype of `x`.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.ops import prelu
    >>> np.asarray(prelu(np.array([[-2.0, -2.0], [3.0, 3.0]]), np.array([0.5, -1.0])))
    array([[-1.,  2.],
           [ 3.,  3.]])

    References:
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers", equation 1.
    """
    if is_ragged(x):
        return x.with_flat_values(prelu(x.flat_values, _alpha_of_values(alpha, x), training))
    x = to_float_tensor(x)
    alpha = parameter_of(alpha, x.dtype)
    if is_tensorflow(x):
        from keras_leaky.ops import _piecewise_linear_tf

        return _piecewise_linear_tf.prelu(x, alpha, training)
    return _scale_negative(x, alpha)


def _alpha_of_values(alpha, x):
    """`alpha` for the `flat_values` of a RaggedTensor, which have no axes but the inner ones."""
    tensor: Any = ops.convert_to_tensor(alpha)
    shape = (1,) * (len(x.shape) - len(tensor.shape)) + tuple(tensor.shape)
    n_outer = x.ragged_rank + 1
    if any(size != 1 for size in shape[:n_outer]):
        raise ValueError(
            "`alpha` must be shared along the ragged axes of its input, which are all axes up to "
            f"{x.ragged_rank}. Received: alpha of shape {tuple(tensor.shape)}. Name those axes in "
            "`shared_axes`"
        )
    return ops.reshape(tensor, shape[n_outer:])


def rrelu(x: Any, seed_generator: keras.random.SeedGenerator, lower: Any, upper: Any) -> Any:
    """`a * x` where x <= 0, with one `a ~ U(lower, upper)` per element, at least 0.

    It is the training mode of `keras_leaky.layers.RReLU`; see there. `a` gets no gradient.
    """
    if is_ragged(x):
        return x.with_flat_values(rrelu(x.flat_values, seed_generator, lower, upper))
    # Half precision draws in float32: bfloat16 has only 128 numbers between 0.5 and 1.
    lower, upper = (parameter_of(bound, wide_dtype(x)) for bound in (lower, upper))
    if is_tensorflow(x):
        from keras_leaky.ops import _piecewise_linear_tf

        seed = ops.cast(seed_generator.next(), "int32")
        return _piecewise_linear_tf.rrelu(x, seed, lower, upper)
    draws = keras.random.uniform(ops.shape(x), dtype=wide_dtype(x), seed=seed_generator)
    slopes = ops.cast(ops.stop_gradient(lower + (upper - lower) * draws), x.dtype)
    return _scale_negative(x, slopes)


@portable
def _leaky_relu(x, negative_slope):
    # 0 * -inf is NaN. The slope is left alone, so its gradient at 0 stays right.
    finite = ops.where(ops.logical_and(negative_slope == 0, ops.isinf(x)), 0.0, x)
    return ops.where(x > 0, x, negative_slope * _negative_part(finite))


@portable
def _scale_negative(x, slopes):
    return ops.where(x > 0, x, slopes * _negative_part(x))


def _negative_part(x):
    # Without it the gradient of the slope meets inf * 0 where x is plus infinity.
    return ops.where(x > 0, 0.0, x)
