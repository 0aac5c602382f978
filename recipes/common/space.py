"""The search space of an arm: alpha and learning rate, or the learning rate alone for ReLU."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_leaky.rectifiers import entry_of
from recipes.common.search_options import SearchOptions


@dataclass(frozen=True)
class Axis:
    """One searched quantity, from `low` to `high`, on a linear or a log scale."""

    low: float
    high: float
    log: bool

    def declare(self, hp: Any, name: str, n_grid: int | None) -> float:
        """Asks KerasTuner for a value: out of `n_grid` points, or anywhere in the range.

        A grid is a Choice because KerasTuner's Float with `step` misses the last point of a log
        range.
        """
        if n_grid is not None:
            return hp.Choice(name, self.grid(n_grid), ordered=True)
        return hp.Float(name, self.low, self.high, sampling="log" if self.log else "linear")

    def grid(self, n: int) -> list[float]:
        """`n` evenly spaced points with both ends; the middle of the range if n is 1."""
        space = np.geomspace if self.log else np.linspace
        if n == 1:
            return [float(space(self.low, self.high, 3)[1])]
        return [float(value) for value in space(self.low, self.high, n)]


@dataclass(frozen=True)
class Arm:
    """One activation in one net, and the space that is searched for it.

    Attributes:
        name: Of its rows in the run folder.
        activation: The rectifier.
        alpha: Searched, or a number that stays, or None where there is none to choose.
        learning_rate: Searched.
        model: The net, as `models.build_model` reads it.
        tuner: Which oracle proposes the trials.
        n_trials: None: the tuner decides (Hyperband).
        n_grid: Points an axis, for a grid.
    """

    name: str
    activation: str
    alpha: Axis | float | None
    learning_rate: Axis
    model: str
    tuner: str
    n_trials: int | None
    n_grid: int | None = None

    def declare(self, hp: Any) -> tuple[float | None, float]:
        """Declares the space on `hp` and returns (alpha, learning rate) of the trial."""
        alpha = self.alpha
        if isinstance(alpha, Axis):
            alpha = alpha.declare(hp, "alpha", self.n_grid)
        return alpha, self.learning_rate.declare(hp, "learning_rate", self.n_grid)

    @property
    def some_alpha(self) -> float | None:
        """An alpha of the space, where any will do."""
        return self.alpha.low if isinstance(self.alpha, Axis) else self.alpha


def arms(options: SearchOptions) -> list[Arm]:
    """The activation's arm, then the ReLU arm under the same number of trials."""
    learning_rate = Axis(*options.learning_rate_range, log=True)
    is_grid = options.tuner == "grid"
    n_trials = options.trials

    def arm(activation: str, alpha: Axis | None, n_grid: int | None) -> Arm:
        net_and_tuner = options.model, options.tuner
        return Arm(activation, activation, alpha, learning_rate, *net_and_tuner, n_trials, n_grid)

    found = []
    if options.activation != "relu":
        assert options.alpha_range is not None
        is_log = entry_of(options.activation).alpha_scale == "log"
        alpha = Axis(*options.alpha_range, log=is_log)
        n_grid = None
        if is_grid:
            assert n_trials is not None
            n_grid = int(n_trials**0.5)
            n_trials = n_grid**2
        found = [arm(options.activation, alpha, n_grid)]
    return [*found, arm("relu", None, n_trials if is_grid else None)]
