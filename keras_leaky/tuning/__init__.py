"""The search engine on KerasTuner: compile once, train every trial in the same program."""

from keras_leaky.tuning._engine.out_of_memory import is_out_of_memory
from keras_leaky.tuning._lanes.local_workers import local_workers
from keras_leaky.tuning._lanes.training import Trained
from keras_leaky.tuning._lanes.worker_outcome import SchedulerLostError, WorkerLostError
from keras_leaky.tuning._lanes.worker_pool import WorkerPool
from keras_leaky.tuning.bayesian_optimization import (
    BayesianOptimization,
    BayesianOptimizationOracle,
)
from keras_leaky.tuning.grid_search import GridSearch, GridSearchOracle
from keras_leaky.tuning.hyperband import Hyperband
from keras_leaky.tuning.random_search import RandomSearch
from keras_leaky.tuning.read_trials import TrialRecord, read_trials
from keras_leaky.tuning.reusing_tuner import ReusingTuner
from keras_leaky.tuning.scaled_schedule import ScaledSchedule
from keras_leaky.tuning.successive_halving import SuccessiveHalving, SuccessiveHalvingOracle
from keras_leaky.tuning.train_all import train_all
from keras_leaky.tuning.trainer import Trainer

__all__ = [
    "BayesianOptimization",
    "BayesianOptimizationOracle",
    "GridSearch",
    "GridSearchOracle",
    "Hyperband",
    "RandomSearch",
    "ReusingTuner",
    "ScaledSchedule",
    "SchedulerLostError",
    "SuccessiveHalving",
    "SuccessiveHalvingOracle",
    "Trained",
    "Trainer",
    "TrialRecord",
    "WorkerLostError",
    "WorkerPool",
    "is_out_of_memory",
    "local_workers",
    "read_trials",
    "train_all",
]
