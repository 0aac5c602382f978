"""TensorFlow: compiling an activation, and only the activation.

Keras runs TensorFlow on the CPU as a graph of single kernels, because a convolutional net under XLA
is slower there. Every kernel reads and writes main memory, and that is all the time an activation
takes. So each direction of an activation is one small XLA-compiled function, which reads and writes
once, inside a custom gradient that says what is kept from one to the other.
"""

from functools import partial

import tensorflow as tf

# A new shape costs one compilation (about 30 ms); a changing one is traced as unknown and still
# compiled shape by shape. Inside a program that XLA compiles as a whole, it is simply a part of it.
compiled = partial(tf.function, jit_compile=True, autograph=False, reduce_retracing=True)


def with_gradient(forward, backward, differentiable, *tensors):
    """`forward(*tensors)`, whose gradients are `backward(dy)`, one for each tensor.

    `differentiable(*tensors)` is the same function in operations that TensorFlow differentiates by
    itself, as exactly and to any order. It is used in forward mode, which TensorFlow would silently
    derive in a graph from `backward` of an output without a derivative. Forward mode is detected
    because it asks for the gradient before there is an output.
    """
    is_made = is_forward_mode = False

    @tf.custom_gradient
    def function(*tensors):
        def gradient(dy):
            nonlocal is_forward_mode
            if not is_made:
                is_forward_mode = True
                return [None] * len(tensors)
            return backward(dy)

        # An eager tape would record, and keep, what happens inside as well. In a graph that costs
        # nothing, and `tf.vectorized_map` forgets custom gradients: it needs those of the inside.
        inside = map(tf.stop_gradient, tensors) if tf.executing_eagerly() else tensors
        return forward(*inside), gradient

    y = function(*tensors)
    is_made = True
    return differentiable(*tensors) if is_forward_mode else y


def from_output(forward, backward, differentiable, x):
    """Like `with_gradient`, by `backward(dy, y)`: the output is kept instead of the input.

    `backward` gets the very tensor that is returned, so that derivatives of any order pass through
    this gradient again.
    """
    kept = []
    kept.append(with_gradient(forward, lambda dy: backward(dy, kept[0]), differentiable, x))
    return kept[0]


def is_small(x):
    """Whether calling a compiled function on this eager tensor takes longer than it saves.

    Half precision is never small: it is exact only if it is computed in float32.
    """
    return tf.executing_eagerly() and x.shape.num_elements() < 2**16 and x.dtype.size > 2


def may_compile(training):
    """Whether this call may contain a compiled function.

    A graph may only if it certainly trains. Another one could be exported, and a graph cannot tell:
    LiteRT would lose its fused operations, and ONNX would be invalid.
    """
    return tf.executing_eagerly() or training is True


def widen(*tensors):
    """Half precision as float32: inside a compiled function this costs nothing."""
    return [tf.cast(t, tf.float32) if t.dtype.size == 2 else t for t in tensors]


def sum_all(x):
    """Sum of `x`, a scalar."""
    n_columns = tf.concat([[1], tf.shape(x)], 0)[-1]  # of a scalar too, and of an unknown rank
    return tf.reduce_sum(_sum_rows(tf.reshape(x, [-1, n_columns]), n_halvings=7))


def sum_to(x, rank, shape):
    """Sum of `x`, of that rank, over the axes along which `shape` was broadcast to it."""
    sizes = [1] * (rank - len(shape)) + list(shape)
    summed = [axis for axis, size in enumerate(sizes) if size == 1]
    n_summed = len(summed)
    if n_summed == rank:
        total = sum_all(x)
    elif summed == list(range(n_summed)):  # the leading axes alone
        dynamic = tf.shape(x)
        shape_2d = [tf.reduce_prod(dynamic[:n_summed]), tf.reduce_prod(dynamic[n_summed:])]
        # A batch has hundreds of rows; a batch of images, hundreds of thousands.
        total = _sum_rows(tf.reshape(x, shape_2d), n_halvings=3 if n_summed == 1 else 7)
    else:
        total = tf.reduce_sum(x, summed)
    return tf.reshape(total, shape)


def _sum_rows(x, n_halvings):
    """Sum over the rows of a matrix.

    XLA on the CPU takes up to 5 copies for it. Adding the lower half of the rows to the upper half
    first runs at the speed of memory: XLA does three halvings, or four, in one pass.
    """
    n_last = tf.shape(x)[0] // 2**n_halvings
    rest = tf.reduce_sum(x[n_last * 2**n_halvings :], 0)
    for i in reversed(range(n_halvings)):
        half = n_last * 2**i
        x = x[:half] + x[half : 2 * half]
    return tf.reduce_sum(x, 0) + rest
