"""TensorFlow: kernels of the rectifiers whose negative side saturates exponentially.

ELU, CELU and SELU are one function of three numbers:

    f(x)  = scale * x  where x > 0,    amplitude * expm1(x / width)                  elsewhere
    f'(x) = scale      where x > 0,    amplitude / width * exp(x / width)            elsewhere
                                     = (f(x) + amplitude) / width
"""

import math

import tensorflow as tf

from keras_leaky.ops._compiled import compiled, from_output, sum_all, widen


def exponential(x, scale, amplitude, width):
    """With constants; keeps the output."""
    return from_output(
        lambda x: _forward(x, scale, amplitude, width),
        lambda dy, y: _backward(dy, y, scale, amplitude, width),
        x,
    )


def exponential_with_parameters(x, scale, amplitude, width):
    """With scalar tensors that get a gradient, for which the input is kept if it is asked for."""
    kept = []

    @tf.custom_gradient
    def function(x, amplitude, width):
        def gradient(dy):
            dx = _backward(dy, kept[0], scale, amplitude, width)
            return dx, *_parameter_gradients(dy, x, amplitude, width)

        constants = map(tf.stop_gradient, (x, scale, amplitude, width))
        return _forward(*constants), gradient

    kept.append(function(x, amplitude, width))
    return kept[0]


def exponential_small(x, scale, amplitude, width):
    """With numbers, in few operations: a factor of 1 is left out."""
    # tf.minimum passes the gradient of a tie to its first argument, tf.nn.relu none.
    positive, negative = tf.nn.relu(x), tf.minimum(x, 0)
    negative = tf.math.expm1(negative if width == 1 else negative / width)
    positive = positive if scale == 1 else scale * positive
    return positive + (negative if amplitude == 1 else amplitude * negative)


def exponential_plain(x, scale, amplitude, width):
    """In operations that exporters know: ONNX has no expm1, and of a select it makes 0 * inf."""
    # tf.minimum passes the gradient of a tie to its first argument, tf.nn.relu none.
    z = tf.minimum(x, 0) / width
    return scale * tf.nn.relu(x) + amplitude * (tf.tanh(z / 2) * (tf.exp(z) + 1))


def elu_kernel(x):
    """ELU(1) by TensorFlow's kernel, which exporters know, with the derivatives of this package."""
    return from_output(
        tf.nn.elu, lambda dy, y: dy * tf.where(y > 0, tf.ones([], y.dtype), y + 1), x
    )


@compiled
def _forward(x, scale, amplitude, width):
    wide, scale, amplitude, width = widen(x, scale, amplitude, width)
    negative = amplitude * _expm1(tf.minimum(wide, 0) / width)
    return tf.cast(scale * tf.nn.relu(wide) + negative, x.dtype)


@compiled
def _backward(dy, y, scale, amplitude, width):
    wide_dy, y, scale, amplitude, width = widen(dy, y, scale, amplitude, width)
    return tf.cast(wide_dy * tf.where(y > 0, scale, (y + amplitude) / width), dy.dtype)


@compiled
def _parameter_gradients(dy, x, amplitude, width):
    dtype = amplitude.dtype
    dy, x, amplitude, width = widen(dy, x, amplitude, width)
    z = tf.maximum(tf.minimum(x, 0) / width, -1000.0)  # exp(-inf) * inf is NaN
    exp = tf.exp(z)
    d_amplitude = sum_all(dy * _expm1(z))
    d_width = sum_all(dy * z * exp) * (-amplitude / width)
    return tf.cast(d_amplitude, dtype), tf.cast(d_width, dtype)


def _expm1(x):
    """exp(x) - 1 of x <= 0 with a relative error below 1 eps in float32.

    XLA takes 2.7 eps and twice the time, as it computes tanh(x / 2) * (exp(x) + 1). Here
    x = n ln(2) + r with an integer n and |r| <= ln(2) / 2, the Taylor series of expm1(r) up to
    r^7 (the first term left out is below 2^-25 r), and exp(x) - 1 = 2^n expm1(r) + (2^n - 1).
    """
    return _expm1_float32(x) if x.dtype == tf.float32 else tf.math.expm1(x)


# ln(2) in two floats: n times the first, of 9 bits, is exact for every n that occurs.
_LN2_HIGH = 355 / 512
_LN2_LOW = math.log(2) - _LN2_HIGH


def _expm1_float32(x):
    x = tf.maximum(x, -100.0)  # minus infinity; exp(-100) is far below an eps of 1
    n = tf.round(x * (1 / math.log(2)))
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = 1 / math.factorial(7)
    for k in range(6, 1, -1):
        series = series * r + 1 / math.factorial(k)
    # 2^n, from its bits; below the smallest normal number it is 0 beside 1.
    power = tf.bitcast(tf.bitwise.left_shift(tf.cast(n, tf.int32) + 127, 23), tf.float32)
    power = tf.where(n < -126, 0.0, power)
    return power * (r + r * r * series) + (power - 1)
