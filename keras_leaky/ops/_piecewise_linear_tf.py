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
    with_gradient,
)


def leaky_relu_constant(x, negative_slope, training):
    """TensorFlow's own kernels, for a slope that is a number and a dtype narrower than float64."""
    if negative_slope == 0:
        return tf.nn.relu(x)  # which turns minus infinity into 0
    if _is_fused_wrongly(x):
        return _without_the_kernel(x, negative_slope, training)
    if negative_slope < 0 or not may_compile(training) or is_small(x):
        # In a graph that may be an export or inference this stays a bare LeakyRelu, which Grappler
        # fuses into the convolution before it.
        return tf.nn.leaky_relu(x, negative_slope)

    def plain(x):
        return tf.nn.leaky_relu(x, negative_slope)

    # The output has the sign of the input, and the next layer keeps it anyway.
    return from_output(
        plain,
        lambda dy, y: tf.raw_ops.LeakyReluGrad(gradients=dy, features=y, alpha=negative_slope),
        plain,
        x,
    )


def _is_fused_wrongly(x):
    """Whether Grappler could make a convolution, its bias, an Add and LeakyRelu one operation.

    TensorFlow 2.21 forgets the slope there, and computes with its default of 0.2. The bias is an
    Add too, but of another shape. In a function within a function the Add may be outside.
    """
    if tf.executing_eagerly():
        return False
    op = x.op
    while op.type in ("Identity", "IdentityN", "StopGradient"):
        x = op.inputs[x.value_index]
        op = x.op
    if op.type == "Placeholder":
        outer = getattr(op.graph, "outer_graph", None)
        return outer is not None and outer.building_function
    if op.type not in ("Add", "AddV2", "AddN"):
        return False
    first, *others = (tensor.shape for tensor in op.inputs)
    return all(first.is_compatible_with(other) for other in others)


def _without_the_kernel(x, negative_slope, training):
    a = tf.constant(negative_slope, x.dtype)
    steps = _leaky_relu, _scale
    if not may_compile(training):
        steps = _leaky_relu_exportable, _scale.python_function
    forward, scale = steps
    return with_gradient(
        lambda x: forward(x, a), lambda dy: scale(dy, x, a), lambda x: _differentiable(x, a), x
    )


def leaky_relu(x, negative_slope, training):
    """Leaky ReLU with a slope in a scalar tensor; keeps `x`."""
    if not may_compile(training):
        return _leaky_relu.python_function(x, negative_slope)

    def backward(dy):
        return _scale(dy, x, negative_slope), _sum_negative(dy, x)

    return with_gradient(_leaky_relu, backward, _differentiable, x, negative_slope)


def prelu(x, alpha, training):
    """PReLU with a tensor of slopes that broadcasts to the shape of `x`; keeps `x`."""
    if is_small(x):
        return _prelu_differentiable(x, alpha)
    # The shapes are arguments, as in its own graph a function does not see them once they vary.
    rank, shape = x.shape.rank, tuple(alpha.shape)
    steps = _prelu, _scale, _sum_alpha
    if not may_compile(training):
        steps = _prelu_exportable, _scale.python_function, _sum_alpha.python_function
    forward, scale, sum_alpha = steps

    def backward(dy):
        return scale(dy, x, alpha), sum_alpha(dy, x, rank, shape)

    return with_gradient(forward, backward, _prelu_differentiable, x, alpha)


def rrelu(x, seed, lower, upper):
    """RReLU with slopes >= 0 without a gradient; keeps the output, and redraws the same slopes."""
    return from_output(
        lambda x: _rrelu(x, x, seed, lower, upper),
        lambda dy, y: _rrelu(dy, y, seed, lower, upper),
        lambda x: _differentiable(x, _draw_like(x, seed, lower, upper)),
        x,
    )


def _differentiable(x, a):
    # 0 * -inf is NaN. Not tf.where, which TensorFlow cannot differentiate forward twice in a graph.
    # tf.minimum passes the gradient of a tie to its first argument, tf.nn.relu none.
    return tf.nn.relu(x) + tf.math.multiply_no_nan(tf.minimum(x, 0), a)


@compiled
def _leaky_relu(x, a):
    # 0 * -inf is NaN. The slope is left alone, so its gradient at 0 stays right.
    finite = tf.where((a == 0) & tf.math.is_inf(x), tf.zeros([], x.dtype), x)
    # tf.minimum passes the gradient of a tie to its first argument.
    return tf.where(x > 0, x, a * tf.minimum(finite, 0))


@compiled
def _scale(x, sign, a):
    """`x`, times `a` where `sign` is not positive: of `dy`, the derivative of PReLU."""
    return tf.where(sign > 0, x, a * x)


@compiled
def _prelu(x, a):
    return tf.where(x > 0, x, a * tf.minimum(x, 0))


def _prelu_differentiable(x, a):
    # tf.minimum passes the gradient of a tie to its first argument, tf.nn.relu none.
    return tf.nn.relu(x) + a * tf.minimum(x, 0)


def _leaky_relu_exportable(x, a):
    # Not -x, which int8 LiteRT computes in float32. tf.maximum passes the gradient of a tie on.
    return tf.nn.relu(x) + (-a) * tf.maximum(x * -1.0, 0)


def _prelu_exportable(x, a):
    # LiteRT fuses this form alone to one PRELU.
    return tf.nn.relu(x) + (-a) * tf.nn.relu(-x)


@compiled
def _rrelu(x, sign, seed, lower, upper):
    """`x`, times a random slope where `sign` is not positive: value and, of `dy`, derivative."""
    # Not like `dy`: a jacobian has many of them, which all get the same slopes.
    return tf.where(sign > 0, x, _draw_like(sign, seed, lower, upper) * x)


def _draw_like(x, seed, lower, upper):
    return tf.cast(tf.stop_gradient(_draw(tf.shape(x), seed, lower, upper)), x.dtype)


@compiled
def _draw(shape, seed, lower, upper):
    # XLA on the CPU takes 200 times as long for its default, Philox. Without XLA there is no
    # threefry, so this is a function of its own: `tf.vectorized_map` takes the others apart.
    draws = tf.random.stateless_uniform(shape, seed, dtype=lower.dtype, alg="threefry")
    return lower + (upper - lower) * draws


@compiled
def _sum_negative(dy, x):
    wide_dy, wide_x = widen(dy, x)
    return tf.cast(sum_all(wide_dy * tf.minimum(wide_x, 0)), x.dtype)


@compiled
def _sum_alpha(dy, x, rank, shape):
    wide_dy, wide_x = widen(dy, x)
    return tf.cast(sum_to(wide_dy * tf.minimum(wide_x, 0), rank, shape), x.dtype)
