"""The maths: pure functions on tensors with exact gradients."""

from keras_leaky.ops.exponential import celu, elu, selu
from keras_leaky.ops.piecewise_linear import leaky_relu, prelu

__all__ = ["celu", "elu", "leaky_relu", "prelu", "selu"]
