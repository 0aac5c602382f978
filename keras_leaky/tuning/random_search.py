"""Random search in reused programs."""

import keras_tuner

from keras_leaky.tuning._engine.seeding import accepts_seed_0
from keras_leaky.tuning.reusing_tuner import ReusingTuner


@accepts_seed_0
class RandomSearch(keras_tuner.RandomSearch, ReusingTuner):
    """`keras_tuner.RandomSearch` with the same arguments, on `ReusingTuner`'s programs."""
