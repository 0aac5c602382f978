"""Initializers that know the activation and its slope, or that there is one."""

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
