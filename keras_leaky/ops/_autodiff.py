"""The derivative of a function of one tensor, by the backend's own differentiation."""

# pyright: reportMissingImports=false

import functools
from typing import Any

import keras
from keras import ops


def derivative(function, x) -> Any:
    """`function`'s vector-Jacobian product at `x`: a weighted derivative if it is elementwise.

    The weights lie in [1, 2), so they make no derivative 0. They differ from element to element,
    because the outputs of a function that mixes elements may have a sum that is constant.

    Args:
        function: Function from a tensor to a tensor of the same shape.
        x: Tensor of floats.
    """
    weights = keras.random.uniform(x.shape, 1.0, 2.0, dtype="float32", seed=0)

    def weights_like(y):
        return ops.cast(weights, keras.backend.standardize_dtype(y.dtype))

    by_backend: Any = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}
    # In the scope layers keep no loss and no new state, which here might be symbolic.
    with keras.StatelessScope(collect_losses=True):
        return by_backend[keras.backend.backend()](function, x, weights_like)


def derivative_in_graph(function, arguments, x) -> Any:
    """The derivative of an elementwise function of `keras_leaky.ops` in a graph of TensorFlow.

    It differs from eager TensorFlow's derivative if the two have different forms.

    Args:
        function: Function of a tensor and `arguments`, which are hashable.
        x: Tensor of floats.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    dx = _traced(function, arguments, dtype)(ops.reshape(x, (-1,)))
    return ops.reshape(dx, x.shape)


@functools.lru_cache(maxsize=64)  # TensorFlow does not free all of a traced function
def _traced(function, arguments, dtype):
    import tensorflow as tf

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], dtype)])
    def differentiate(x):
        return _of_tensorflow(lambda x: function(x, *arguments), x, tf.ones_like)

    return differentiate


def _of_tensorflow(function, x, weights_like):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    dx = tape.gradient(y, x, weights_like(y))
    return tf.zeros_like(x) if dx is None else dx


def _of_jax(function, x, weights_like):
    import jax

    y, vjp = jax.vjp(function, x)
    return vjp(weights_like(y))[0]


def _of_torch(function, x, weights_like):
    import torch

    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = function(x)
        if not y.requires_grad:
            return torch.zeros_like(x)
        (dx,) = torch.autograd.grad(y, x, weights_like(y), allow_unused=True)
    return torch.zeros_like(x) if dx is None else dx
