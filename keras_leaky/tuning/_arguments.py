"""Checks of the arguments of a tuner."""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

# Types of a tuner's `hypermodel` and `objective`.
HyperModelOrBuild = keras_tuner.HyperModel | Callable[[keras_tuner.HyperParameters], keras.Model]
Objectives = str | keras_tuner.Objective | list[Any]


def check_arguments(
    oracle: Any, hypermodel: Any, has_own_trials: bool, distribution_strategy: Any
) -> None:
    """Refuses arguments that no search is possible with.

    Args:
        oracle, hypermodel, distribution_strategy: Arguments of the tuner.
        has_own_trials: Whether the tuner is of a subclass with its own `run_trial`.
    """
    if not isinstance(oracle, keras_tuner.Oracle):
        raise ValueError(
            "Expected `oracle` argument to be an instance of `Oracle`, such as "
            "keras_tuner.oracles.RandomSearchOracle('val_loss', max_trials=10); "
            "keras_leaky.tuning.RandomSearch and the like make their own. "
            f"Received: oracle={oracle!r}"
        )
    if hypermodel is None and not has_own_trials:
        raise ValueError(
            "`hypermodel` must be a function `build(hp)` or a HyperModel, unless a subclass has "
            f"its own `run_trial`. Received: hypermodel={hypermodel!r}"
        )
    if distribution_strategy is not None:
        raise ValueError(
            "`distribution_strategy` must be left out: a compiled program runs on one device. "
            f"Received: distribution_strategy={distribution_strategy!r}"
        )
