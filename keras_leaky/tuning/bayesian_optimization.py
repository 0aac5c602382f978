"""Bayesian optimization in reused programs."""

import keras_tuner

from keras_leaky.tuning.reusing_tuner import ReusingTuner


class BayesianOptimization(keras_tuner.BayesianOptimization, ReusingTuner):
    """`keras_tuner.BayesianOptimization`, its arguments too, with the trials of `ReusingTuner`."""
