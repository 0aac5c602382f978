"""TensorFlow: kernels of the rectifiers whose negative side saturates exponentially.

ELU, CELU and SELU are one function of three numbers:

    f(x)  = scale * x  where x > 0,    amplitude * expm1(x / width)                  elsewhere
    f'(x) = scale      where x > 0,    amplitude / width * exp(x / width)            elsewhere
                                     = (f(x) + amplitude) / width

The output, which the next layer keeps anyway, gives the derivative with an absolute error of 1 eps
* amplitude / width. If the derivative itself is that small, the error is as large: in float32 from
x / width = -16 on, in bfloat16 from -6. So half precision keeps the input.

Half precision is computed in float32 throughout, and so are its three numbers.
"""

import math

import tensorflow as tf

from keras_leaky.ops._compiled import (
    compiled,
    from_output,
    is_small,
    may_compile,
    sum_all,
    widen,
    with_gradient,
)


def exponential(x, numbers, training, keeps_output):
    """With three numbers."""
    if is_small(x):
        return _differentiable(x, *numbers)
    tensors = [tf.constant(number, widen(x)[0].dtype) for number in numbers]

    def differentiable(x):
        return _differentiable(x, *numbers)

    if not may_compile(training):
        is_elu = list(numbers) == [1.0, 1.0, 1.0]
        return with_gradient(
            _exportable_elu if is_elu else lambda x: _exportable(x, *tensors),
            lambda dy: _backward_from_input.python_function(dy, x, *tensors),
            differentiable,
            x,
        )
    if keeps_output:
        return from_output(
            lambda x: _forward(x, *tensors),
            lambda dy, y: _backward_from_output(dy, y, *tensors),
            differentiable,
            x,
        )
    return with_gradient(
        lambda x: _forward(x, *tensors),
        lambda dy: _backward_from_input(dy, x, *tensors),
        differentiable,
        x,
    )


def exponential_with_parameters(x, parameters, training, keeps_output):
    """With three scalar tensors. Two get a gradient, for which the input may be kept."""
    scale, amplitude, width = parameters
    is_compiled = may_compile(training)
    steps = _forward, _backward_from_input, _parameter_gradients
    if not is_compiled:
        steps = _exportable, *(step.python_function for step in steps[1:])
    forward, backward_from_input, parameter_gradients = steps
    kept = []

    def backward(dy):
        if keeps_output and is_compiled:
            dx = _backward_from_output(dy, kept[0], scale, amplitude, width)
        else:
            dx = backward_from_input(dy, x, scale, amplitude, width)
        return dx, *parameter_gradients(dy, x, amplitude, width)

    kept.append(
        with_gradient(
            lambda x, amplitude, width: forward(x, scale, amplitude, width),
            backward,
            lambda x, amplitude, width: _differentiable(x, scale, amplitude, width),
            *(x, amplitude, width),
        )
    )
    return kept[0]


def _differentiable(x, scale, amplitude, width):
    """In few operations with exact gradients. A factor of the number 1 is left out."""
    (wide,) = widen(x)
    # tf.minimum passes the gradient of a tie to its first argument, tf.nn.relu none.
    positive, negative = tf.nn.relu(wide), tf.minimum(wide, 0)
    negative = tf.math.expm1(negative if _is_one(width) else negative / width)
    positive = positive if _is_one(scale) else scale * positive
    return tf.cast(positive + (negative if _is_one(amplitude) else amplitude * negative), x.dtype)


def _is_one(number):
    return isinstance(number, float) and number == 1


def _exportable(x, scale, amplitude, width):
    """In operations that exporters know: ONNX has no expm1, and a select gives 0 * inf."""
    (wide,) = widen(x)
    # Not minimum(x, 0): int8 LiteRT gives it and what comes before one range, which ends at 0. Nor
    # -x, which it computes in float32. tf.maximum passes the gradient of a tie to its first
    # argument, tf.nn.relu none.
    z = tf.maximum(wide * -1.0, 0) / -width
    y = scale * tf.nn.relu(wide) + amplitude * (tf.tanh(z / 2) * (tf.exp(z) + 1))
    return tf.cast(y, x.dtype)


def _exportable_elu(x):
    """ELU(1) by TensorFlow's kernel, which exporters know."""
    return tf.cast(tf.nn.elu(*widen(x)), x.dtype)


@compiled
def _forward(x, scale, amplitude, width):
    (wide,) = widen(x)
    negative = amplitude * _expm1(tf.minimum(wide, 0) / width)
    return tf.cast(scale * tf.nn.relu(wide) + negative, x.dtype)


@compiled
def _backward_from_output(dy, y, scale, amplitude, width):
    return dy * tf.where(y > 0, scale, (y + amplitude) / width)


@compiled
def _backward_from_input(dy, x, scale, amplitude, width):
    wide_dy, wide_x = widen(dy, x)
    # Squared, as exp(x / width) can underflow where its product with a large number does not.
    root = tf.exp(tf.minimum(wide_x, 0) / (2 * width))
    negative = amplitude / width * root * root
    return tf.cast(wide_dy * tf.where(wide_x > 0, scale, negative), dy.dtype)


@compiled
def _parameter_gradients(dy, x, amplitude, width):
    dy, x = widen(dy, x)
    z = tf.maximum(tf.minimum(x, 0) / width, -1000.0)  # exp(-inf) * inf is NaN
    exp = tf.exp(z)
    d_amplitude = sum_all(dy * _expm1(z))
    d_width = sum_all(dy * z * exp) * (-amplitude / width)
    return d_amplitude, d_width


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
