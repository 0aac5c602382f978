"""Many small nets of one shape as one Keras model, each trained as if it were alone.

The nets lie along a first axis and never meet: every product is taken net by net, the loss is the
sum of their losses, and SGD and Adam treat each weight by itself. So the gradient of a net is that
of its own loss, and a net that goes to infinity leaves the others as they are.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from recipes.dying_relu.draws import Weights


class EnsembleDense(keras.layers.Layer):
    """One dense layer of every net: (1 or n_nets, batch, n_in) to (n_nets, batch, units).

    Args:
        kernel: Initial weights, of shape (n_nets, n_in, units).
        bias: Initial biases, of shape (n_nets, units).
    """

    def __init__(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self._initial = kernel, bias[:, None, :]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        kernel, bias = self._initial
        self.kernel = self.add_weight(
            kernel.shape, lambda shape, dtype: ops.convert_to_tensor(kernel, dtype), name="kernel"
        )
        self.bias = self.add_weight(
            bias.shape, lambda shape, dtype: ops.convert_to_tensor(bias, dtype), name="bias"
        )

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel) + self.bias

    def compute_output_shape(self, input_shape):
        return (self._initial[0].shape[0], input_shape[1], self._initial[0].shape[2])


class EnsembleLeakyReLU(keras.layers.Layer):
    """Leaky ReLU with a negative slope for each net; a slope of 0 is ReLU.

    Args:
        slopes: Of shape (n_nets,).
    """

    def __init__(self, slopes: np.ndarray) -> None:
        super().__init__()
        self._slopes = np.asarray(slopes, "float32")[:, None, None]

    def call(self, inputs):
        slopes = ops.convert_to_tensor(self._slopes, inputs.dtype)
        return ops.where(inputs > 0, inputs, slopes * inputs)


class EnsembleLoss(keras.losses.Loss):
    """Sum over the nets of the mean over the batch of a loss.

    Args:
        loss: Function of the targets (batch, n_out) and of the outputs (batch, n_nets, n_out) that
            returns (batch, n_nets).
        factors: A factor for each net's loss, of shape (n_nets,); by default 1. With SGD it is a
            factor on the net's learning rate, momentum included, which is linear in the gradient.
    """

    def __init__(self, loss: Callable, factors: np.ndarray | None = None) -> None:
        super().__init__()  # its reduction takes the mean over the batch
        self._loss = loss
        self._factors = None if factors is None else np.asarray(factors, "float32")

    def call(self, y_true, y_pred):
        losses = self._loss(y_true, y_pred)
        if self._factors is not None:
            losses = losses * ops.convert_to_tensor(self._factors, losses.dtype)
        return ops.sum(losses, axis=-1)


def squared_error(y_true, y_pred):
    """Squared error of every net, for `EnsembleLoss`."""
    return ops.mean(ops.square(y_pred - y_true[:, None, :]), axis=-1)


def cross_entropy(y_true, y_pred):
    """Cross entropy of every net, from one-hot labels and logits, for `EnsembleLoss`."""
    right = ops.sum(y_true[:, None, :] * y_pred, axis=-1)
    return ops.subtract(ops.logsumexp(y_pred, axis=-1), right)


def build_ensemble(
    weights: Weights, activation: Callable[[], keras.layers.Layer]
) -> tuple[keras.Model, keras.Model]:
    """Builds the nets with their initial weights.

    Args:
        weights: As from `draw_rectifier`.
        activation: Returns the layer that follows a hidden layer.

    Returns:
        The model, from inputs (batch, n_in) to outputs (batch, n_nets, n_out), and one that shares
        its weights and gives the pre-activations of each hidden layer and then the outputs, all of
        shape (n_nets, batch, units).
    """
    inputs = keras.Input((weights[0][0].shape[1],))
    signal: Any = ops.expand_dims(inputs, 0)
    levels = []
    for kernel, bias in weights:
        if levels:
            signal = activation()(signal)
        signal = EnsembleDense(kernel, bias)(signal)
        levels.append(signal)
    return keras.Model(inputs, ops.transpose(signal, (1, 0, 2))), keras.Model(inputs, levels)
