"""Initializers that fit the activation and its slope."""

from keras_leaky.initializers.gain import gain
from keras_leaky.initializers.lsuv import lsuv
from keras_leaky.initializers.randomized_asymmetric import (
    RandomizedAsymmetric,
    randomized_asymmetric,
)
from keras_leaky.initializers.rectifier import RectifierNormal, RectifierUniform

__all__ = [
    "RandomizedAsymmetric",
    "RectifierNormal",
    "RectifierUniform",
    "gain",
    "lsuv",
    "randomized_asymmetric",
]
