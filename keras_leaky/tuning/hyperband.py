"""Hyperband in reused programs."""

import keras_tuner

from keras_leaky.tuning.reusing_tuner import ReusingTuner


class Hyperband(keras_tuner.Hyperband, ReusingTuner):
    """`keras_tuner.Hyperband`, its arguments too, with the trials of `ReusingTuner`."""
