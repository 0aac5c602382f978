"""Random search in reused programs."""

import keras_tuner

from keras_leaky.tuning.reusing_tuner import ReusingTuner
from keras_leaky.tuning.seeding import accepts_seed_0


@accepts_seed_0
class RandomSearch(keras_tuner.RandomSearch, ReusingTuner):
    """`keras_tuner.RandomSearch`, its arguments too, with the trials of `ReusingTuner`."""
