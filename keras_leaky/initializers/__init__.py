"""Initializers that know the activation and its slope."""

from keras_leaky.initializers.gain import gain
from keras_leaky.initializers.rectifier import RectifierNormal, RectifierUniform

__all__ = ["RectifierNormal", "RectifierUniform", "gain"]
