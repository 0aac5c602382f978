"""Rectifiers whose negative side saturates exponentially."""

from keras import ops

from keras_leaky.ops._tensors import parameter_like, to_float_tensor


def elu(x, alpha):
    """Exponential linear unit.

    ```
    f(x)  = x   where x > 0,    alpha * (exp(x) - 1)   where x <= 0
    f'(x) = 1   where x > 0,    alpha * exp(x)         where x <= 0
    ```

    At 0 the value is 0 and the derivative `alpha`. NaN gives NaN, plus infinity itself, minus
    infinity `-alpha`. `exp(x) - 1` goes through expm1, which keeps the small negative numbers that
    the subtraction rounds to 0.

    `-alpha` is the saturation value. Nothing is checked here; `keras_leaky.layers.ELU` checks.

    Args:
        x: Tensor. Integers are cast to `keras.config.floatx()`.
        alpha: Number or scalar tensor in [0, inf), taken in the dtype of `x`.

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
    x = to_float_tensor(x)
    # expm1 of a large x overflows, and 0 * inf in its gradient is NaN even where it is not chosen.
    negative = ops.where(x > 0, 0.0, x)
    return ops.where(x > 0, x, parameter_like(alpha, x) * ops.expm1(negative))
