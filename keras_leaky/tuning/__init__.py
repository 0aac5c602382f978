"""The search engine on KerasTuner: compile once, train every trial in the same program."""

from keras_leaky.tuning.bayesian_optimization import (
    BayesianOptimization,
    BayesianOptimizationOracle,
)
from keras_leaky.tuning.grid_search import GridSearch
from keras_leaky.tuning.hyperband import Hyperband
from keras_leaky.tuning.random_search import RandomSearch
from keras_leaky.tuning.reusing_tuner import ReusingTuner
from keras_leaky.tuning.scaled_schedule import ScaledSchedule
from keras_leaky.tuning.trainer import Trainer

__all__ = [
    "BayesianOptimization",
    "BayesianOptimizationOracle",
    "GridSearch",
    "Hyperband",
    "RandomSearch",
    "ReusingTuner",
    "ScaledSchedule",
    "Trainer",
]
