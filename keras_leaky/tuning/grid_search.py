"""Grid search in reused programs."""

import keras_tuner

from keras_leaky.tuning.reusing_tuner import ReusingTuner


class GridSearch(keras_tuner.GridSearch, ReusingTuner):
    """`keras_tuner.GridSearch`, its arguments too, with the trials of `ReusingTuner`."""
