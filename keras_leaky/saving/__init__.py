"""Loading model files, those of Keras 2 included."""

from keras_leaky.saving.loading import load_model

__all__ = ["load_model"]
