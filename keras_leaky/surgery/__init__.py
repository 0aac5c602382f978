"""Changing an existing model."""

from keras_leaky.surgery.replace_activations import replace_activations
from keras_leaky.surgery.to_keras import to_keras

__all__ = ["replace_activations", "to_keras"]
