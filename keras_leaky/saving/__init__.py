"""Loading model files, including files of Keras 2."""

from keras_leaky.saving.loading import load_model

__all__ = ["load_model"]
