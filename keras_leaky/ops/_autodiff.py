"""The derivative of a function of one tensor, by the backend's own differentiation."""

# pyright: reportMissingImports=false

from typing import Any

import keras
from keras import ops


def derivative(function, x, in_graph=False) -> Any:
    """`function`'s vector-Jacobian product at `x`: of an elementwise one its derivative, weighted.

    The weights lie in [1, 2), so they make no derivative 0. They differ from element to element,
    because the outputs of a function that mixes elements may have a sum that is constant.

    Args:
        function: From a tensor to one of the same shape.
        x: Tensor of floats.
        in_graph: Whether TensorFlow traces the function as in training, and does not run it
            eagerly. Other backends have one form.
    """
    weights = keras.random.uniform(x.shape, 1.0, 2.0, dtype="float32", seed=0)

    def weights_like(y):
        return ops.cast(weights, keras.backend.standardize_dtype(y.dtype))

    by_backend: Any = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}
    differentiate = by_backend[keras.backend.backend()]
    # In it layers keep no loss and no new state, which here might be symbolic.
    with keras.StatelessScope(collect_losses=True):
        return differentiate(function, x, weights_like, in_graph)


def _of_tensorflow(function, x, weights_like, in_graph):
    import tensorflow as tf

    def differentiate(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        dx = tape.gradient(y, x, weights_like(y))
        return tf.zeros_like(x) if dx is None else dx

    if not in_graph:
        return differentiate(x)
    # A call of a `tf.function` would warn of one made every time.
    return tf.function(differentiate, autograph=False).get_concrete_function(x)(x)


def _of_jax(function, x, weights_like, in_graph):
    import jax

    y, vjp = jax.vjp(function, x)
    return vjp(weights_like(y))[0]


def _of_torch(function, x, weights_like, in_graph):
    import torch

    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = function(x)
        if not y.requires_grad:
            return torch.zeros_like(x)
        (dx,) = torch.autograd.grad(y, x, weights_like(y), allow_unused=True)
    return torch.zeros_like(x) if dx is None else dx
