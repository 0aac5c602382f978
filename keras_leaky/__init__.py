"""Leaky ReLU, PReLU and ELU for Keras 3, and initializers that know the slope.

Importing this package registers every class with Keras, so that `keras.models.load_model`
finds them without `custom_objects`.
"""

from keras_leaky import diagnostics, initializers, layers, ops
from keras_leaky.saving import load_model
from keras_leaky.surgery import replace_activations, to_keras

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "diagnostics",
    "initializers",
    "layers",
    "load_model",
    "ops",
    "replace_activations",
    "to_keras",
]
