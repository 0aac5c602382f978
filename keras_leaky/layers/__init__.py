"""Activation layers, one per file."""

from keras_leaky.layers.celu import CELU
from keras_leaky.layers.elu import ELU
from keras_leaky.layers.leaky_relu import LeakyReLU
from keras_leaky.layers.prelu import PReLU
from keras_leaky.layers.rrelu import RReLU
from keras_leaky.layers.selu import SELU

__all__ = ["CELU", "ELU", "SELU", "LeakyReLU", "PReLU", "RReLU"]
