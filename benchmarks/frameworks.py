"""How each framework runs a function forward, or forward and backward, in each of its modes."""

# pyright: reportMissingImports=false
# PyTorch and JAX are measured where they are installed.

import numpy as np


class TensorFlow:
    modes = ("eager", "tf.function", "XLA")

    def __init__(self):
        import tensorflow as tf

        self.tf = tf

    def tensor(self, array, dtype):
        return self.tf.cast(array, dtype)

    def run(self, function, weights, mode, backward):
        """A function of (x, dy) that calls `function(x)` and, if asked, differentiates it."""
        tf = self.tf

        def call(x, dy):
            if not backward:
                return function(x)
            variables = [getattr(weight, "value", weight) for weight in weights]
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return y, tape.gradient(y, [x, *variables], output_gradients=dy)

        if mode == "eager":
            return call
        return tf.function(call, jit_compile=mode == "XLA", autograph=False)

    def wait(self, result):
        """TensorFlow has finished when it returns, on a CPU."""


class Jax:
    modes = ("eager", "jit")

    def __init__(self):
        import jax

        self.jax = jax

    def tensor(self, array, dtype):
        return self.jax.numpy.asarray(array, dtype)

    def run(self, function, weights, mode, backward):
        # What a layer of Keras holds goes in as an argument, or it would be a constant.
        values = [getattr(weight, "value", weight) for weight in weights]

        def call(x, dy, values):
            if not backward:
                return function(x, *values)
            y, gradient = self.jax.vjp(function, x, *values)
            return y, gradient(dy)

        call = self.jax.jit(call) if mode == "jit" else call
        return lambda x, dy: call(x, dy, values)

    def wait(self, result):
        self.jax.block_until_ready(result)


def torch_device():
    """Where PyTorch computes: on the GPU, if it sees one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Torch:
    modes = ("eager",)

    def __init__(self):
        import torch

        self.torch = torch
        self.device = torch_device()

    def tensor(self, array, dtype):
        tensor = self.torch.from_numpy(np.array(array)).to(self.device, getattr(self.torch, dtype))
        # Channels are the second axis there; in memory they stay the last.
        return tensor.movedim(-1, 1)

    def run(self, function, weights, mode, backward):
        del mode

        def call(x, dy):
            if not backward:
                with self.torch.no_grad():
                    return function(x, *weights)
            x = x.detach().requires_grad_()
            y = function(x, *weights)
            return y, self.torch.autograd.grad(y, [x, *weights], dy)

        return call

    def wait(self, result):
        """PyTorch has finished when it returns, on a CPU."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()
