"""Leaky ReLU, PReLU and ELU for Keras 3, and initializers that know the slope.

Importing this package registers every class with Keras, so that `keras.models.load_model`
finds them without `custom_objects`.
"""

from keras_leaky import initializers, layers, ops

__version__ = "0.1.0"

__all__ = ["__version__", "initializers", "layers", "ops"]
