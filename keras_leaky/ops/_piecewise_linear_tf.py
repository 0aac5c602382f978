"""TensorFlow: kernels of the rectifiers with two straight pieces."""

import tensorflow as tf

from keras_leaky.ops._compiled import (
    compiled,
    from_output,
    is_small,
    may_compile,
    sum_all,
    sum_to,
    widen,
)


def leaky_relu_constant(x, negative_slope, training):
    """TensorFlow's own kernels, for a slope that is a number and a dtype narrower than float64."""
    if negative_slope == 0:
        return tf.nn.relu(x)  # which makes 0 of minus infinity
    if negative_slope < 0 or not may_compile(training) or is_small(x):
        # In a graph that may be an export or inference this stays a bare LeakyRelu, which Grappler
        # fuses into the convolution before it.
        return tf.nn.leaky_relu(x, negative_slope)

    # The output has the sign of the input, and the next layer keeps it anyway.
    return from_output(
        lambda x: tf.nn.leaky_relu(x, negative_slope),
        lambda dy, y: tf.raw_ops.LeakyReluGrad(gradients=dy, features=y, alpha=negative_slope),
        x,
    )


def leaky_relu(x, negative_slope):
    """With a slope in a scalar tensor; keeps `x`."""

    @tf.custom_gradient
    def from_input(x, a):
        y = _leaky_relu(tf.stop_gradient(x), tf.stop_gradient(a))
        return y, lambda dy: (_scale(dy, x, a), _sum_negative(dy, x))

    return from_input(x, negative_slope)


def prelu(x, alpha, training):
    """With a tensor of slopes that broadcasts to the shape of `x`; keeps `x`."""
    if is_small(x):
        # tf.minimum passes the gradient of a tie to its first argument, tf.nn.relu none.
        return tf.nn.relu(x) + alpha * tf.minimum(x, 0)
    # The shapes are arguments, as in its own graph a function does not see them once they vary.
    rank, shape = x.shape.rank, tuple(alpha.shape)

    @tf.custom_gradient
    def compiled_form(x, a):
        still_x = tf.stop_gradient(x)
        y = _scale(still_x, still_x, tf.stop_gradient(a))
        return y, lambda dy: (_scale(dy, x, a), _alpha_gradient(dy, x, rank, shape))

    @tf.custom_gradient
    def plain_form(x, a):
        def gradient(dy):
            dx = _scale.python_function(dy, x, a)
            return dx, _alpha_gradient.python_function(dy, x, rank, shape)

        # LiteRT fuses this form alone to one PRELU.
        return tf.nn.relu(x) + (-a) * tf.nn.relu(-x), gradient

    return (compiled_form if may_compile(training) else plain_form)(x, alpha)


def rrelu(x, seed, lower, upper):
    """With slopes >= 0 that get no gradient; keeps the output, and draws the same slopes again."""
    return from_output(
        lambda x: _rrelu(x, x, seed, lower, upper),
        lambda dy, y: _rrelu(dy, y, seed, lower, upper),
        x,
    )


@compiled
def _leaky_relu(x, a):
    # 0 * -inf is NaN.
    return tf.where(x > 0, x, tf.where(a == 0, tf.minimum(tf.maximum(x, 0), 0), a * x))


@compiled
def _scale(x, sign, a):
    """`x`, times `a` where `sign` is not positive: the value of PReLU and, of `dy`, derivative."""
    return tf.where(sign > 0, x, a * x)


@compiled
def _rrelu(x, sign, seed, lower, upper):
    """`x`, times a random slope where `sign` is not positive: value and, of `dy`, derivative."""
    # XLA on the CPU takes 200 times as long for its default, Philox.
    draws = tf.random.stateless_uniform(tf.shape(x), seed, dtype=tf.float32, alg="threefry")
    slopes = tf.cast(lower + (upper - lower) * draws, x.dtype)
    return tf.where(sign > 0, x, slopes * x)


@compiled
def _sum_negative(dy, x):
    wide_dy, wide_x = widen(dy, x)
    return tf.cast(sum_all(wide_dy * tf.minimum(wide_x, 0)), x.dtype)


@compiled
def _alpha_gradient(dy, x, rank, shape):
    wide_dy, wide_x = widen(dy, x)
    return tf.cast(sum_to(wide_dy * tf.minimum(wide_x, 0), rank, shape), x.dtype)
