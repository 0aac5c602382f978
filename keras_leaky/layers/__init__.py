"""Activation layers, one a file."""

from keras_leaky.layers.elu import ELU
from keras_leaky.layers.leaky_relu import LeakyReLU
from keras_leaky.layers.prelu import PReLU

__all__ = ["ELU", "LeakyReLU", "PReLU"]
