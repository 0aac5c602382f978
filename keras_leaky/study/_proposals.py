"""Proposals for the trials of an arm: KerasTuner's oracles, with points that all arms share."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from scipy.stats import qmc

from keras_leaky.study._estimates import SECONDS_A_PROGRAM, SECONDS_A_TRAINING
from keras_leaky.study.errors import InputError
from keras_leaky.tuning import (
    BayesianOptimizationOracle,
    Hyperband,
    ReusingTuner,
    SuccessiveHalvingOracle,
)
from keras_leaky.tuning.successive_halving import rung_sizes

TUNERS = ("halving", "random", "bayesian", "hyperband", "grid")
DEFAULT_TRIALS = 20
N_INITIAL = 6  # points of a Bayesian search that are the same in all arms
_FACTOR = 3  # of Hyperband and of successive halving
_MOST_RUNGS = 3  # trainings of a 27th of the steps preferred rates that are too high in full
MIN_FULL = 5  # points that successive halving trains in full: the page tells which are good
# Below this many steps a training says little of a longer one.
MIN_STEPS = 20


class Spread:
    """Evenly spread points, with the same values in every arm for shared hyperparameters.

    Each hyperparameter takes its values from one dimension of a scrambled Halton sequence: any
    number of points covers the range without large gaps, unlike a few independent draws. So all
    arms try the same learning rates, whatever else they search.

    References:
        Bousquet, Gelly, Kurach, Teytaud and Vincent, 2017, "Critical Hyper-Parameters: No Random,
        No Cry".
    """

    def __init__(self, names: Sequence[str], seed: int) -> None:
        first = ("learning_rate", "alpha")
        self._dimensions = [*first, *sorted(set(names) - set(first))]
        self._sampler = qmc.Halton(len(self._dimensions), scramble=True, rng=seed)
        self._points = np.empty((0, len(self._dimensions)))
        self._seed = seed

    def __call__(self, space: Sequence[Any], index: int) -> dict[str, Any]:
        hp = keras_tuner.HyperParameters()
        for one in space:
            hp.merge([one])
            if hp.is_active(one):
                hp.values[one.name] = one.prob_to_value(self._fraction(one.name, index))
        return hp.values

    def _fraction(self, name: str, index: int) -> float:
        """The place of the value in its range, in [0, 1)."""
        if name not in self._dimensions:  # `build` asks for it only under a condition
            return float(np.random.default_rng([self._seed, index, *name.encode()]).random())
        if index >= len(self._points):
            self._points = np.vstack([self._points, self._sampler.random(64 + index)])
        return float(self._points[index, self._dimensions.index(name)])


class Grid:
    """The points of a grid: `n` on each range, both ends among them, and all choices."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, space: Sequence[Any], index: int) -> dict[str, Any] | None:
        axes = [_values_of(one, self.n) for one in space]
        shape = [len(values) for values in axes]
        if index >= math.prod(shape):
            return None
        places = np.unravel_index(index, shape)
        return {
            one.name: values[place] for one, values, place in zip(space, axes, places, strict=True)
        }


def grid_size(spaces: Mapping[str, Sequence[Any]], trials: int) -> int:
    """Points on each range, for grids of at most `trials` points; the same in all arms.

    Raises:
        InputError: If not even two fit, or a hyperparameter depends on another.
    """
    for arm, space in spaces.items():
        conditional = [one.name for one in space if one.conditions]
        if conditional:
            raise InputError(
                "`tuner` must not be 'grid' where a hyperparameter depends on another. Received: "
                f"{', '.join(conditional)} in arm {arm!r}"
            )

    def largest(n: int) -> int:
        return max(math.prod(len(_values_of(one, n)) for one in s) for s in spaces.values())

    if largest(2) > trials:
        raise InputError(
            f"`trials` must be at least {largest(2)} for a grid with two points on each range. "
            f"Received: trials={trials}"
        )
    n = 2
    while n < trials and largest(n + 1) <= trials and largest(n + 1) > largest(n):
        n += 1
    return n


def _values_of(one: Any, n: int) -> list[Any]:
    if isinstance(one, keras_tuner.engine.hyperparameters.Float) and one.step is None:
        return [one.prob_to_value(fraction) for fraction in np.linspace(0, 1, n)]
    values = list(one.values)
    if isinstance(one, keras_tuner.engine.hyperparameters.Choice) or len(values) <= n:
        return values
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, n)]


def make_tuner(
    kind: str | Callable[..., keras_tuner.Oracle],
    hypermodel: keras_tuner.HyperModel,
    folder: Path,
    *,
    objective: keras_tuner.Objective,
    trials: int,
    executions: int,
    epochs: int,
    seed: int,
    n_rungs: int,
    n_full: int,
) -> ReusingTuner:
    """The tuner of an arm.

    Args:
        kind: One of `TUNERS`, or a function that returns an oracle.
        folder: Folder of the arm's project.
        trials, executions, epochs, seed: Settings of the study; `epochs` is for Hyperband.
        n_rungs, n_full: Settings of successive halving.
    """
    shared: dict[str, Any] = {"objective": objective, "seed": seed}
    place: dict[str, Any] = {
        "directory": str(folder.parent),
        "project_name": folder.name,
        "executions_per_trial": executions,
    }
    if kind == "hyperband":
        tuner: Any = Hyperband(
            hypermodel, max_epochs=epochs, factor=_FACTOR, hyperband_iterations=1, **shared, **place
        )
    else:
        if kind == "bayesian":
            oracle: Any = BayesianOptimizationOracle(
                max_trials=trials, num_initial_points=min(N_INITIAL, trials), **shared
            )
        elif kind == "halving" and n_rungs > 1:
            oracle = SuccessiveHalvingOracle(
                max_trials=trials, factor=_FACTOR, n_rungs=n_rungs, n_full=n_full, **shared
            )
        elif isinstance(kind, str):
            oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=trials, **shared)
        else:
            oracle = kind(max_trials=trials, **shared)
            if not isinstance(oracle, keras_tuner.Oracle):
                raise InputError(
                    f"`tuner` must return a keras_tuner.Oracle. Received: {oracle!r} from {kind!r}"
                )
        tuner = ReusingTuner(oracle, hypermodel, **place)
    tuner.oracle.verbose = 0
    return tuner


def count_full(finalists: int) -> int:
    """Points of an arm that successive halving trains in full."""
    return max(finalists, MIN_FULL)


def count_rungs(
    trials: int, epochs: int, n_steps: int | None, n_full: int, epoch_seconds: float | None
) -> int:
    """How many rungs successive halving has.

    At most 3. The shortest training has at least `MIN_STEPS` steps, or one epoch if the number of
    steps is unknown. If the rungs would save less than a quarter of the time, there is only one,
    which trains all points in full: short trainings must be built and saved too, and every rung
    compiles one program.

    Args:
        epoch_seconds: Estimated seconds of an epoch; None counts the training steps alone.
    """
    costs = {}
    for n_rungs in range(1, _MOST_RUNGS + 1):
        factor = _FACTOR ** (n_rungs - 1)
        is_long = (epochs if n_steps is None else n_steps * epochs / MIN_STEPS) >= factor
        if n_rungs == 1 or is_long:
            rungs = describe_rungs(trials, n_rungs, n_full)
            costs[n_rungs] = sum(n * part for n, part in rungs)
            if epoch_seconds is not None:
                costs[n_rungs] *= epochs * epoch_seconds
                costs[n_rungs] += sum(n for n, _ in rungs) * SECONDS_A_TRAINING
                costs[n_rungs] += n_rungs * SECONDS_A_PROGRAM
    cheapest = min(costs, key=lambda n_rungs: costs[n_rungs])
    return cheapest if costs[cheapest] <= 0.75 * costs[1] else 1


def describe_rungs(trials: int, n_rungs: int, n_full: int) -> list[tuple[int, float]]:
    """Points and fraction of the steps of each rung."""
    sizes = rung_sizes(trials, _FACTOR, n_rungs, n_full)
    return [(size, _FACTOR ** (rung + 1 - n_rungs)) for rung, size in enumerate(sizes)]


def count_trials(
    kind: Any,
    trials: int,
    epochs: int,
    points: int | None,
    n_rungs: int = 1,
    n_full: int = 1,
) -> tuple[int, float]:
    """How many trainings a search will have, and how many full epochs they are.

    Args:
        points: Points of the grid; None for another tuner.
        n_rungs, n_full: Settings of successive halving.
    """
    if kind == "halving":
        rungs = describe_rungs(trials, n_rungs, n_full)
        return sum(size for size, _ in rungs), epochs * sum(s * part for s, part in rungs)
    if kind != "hyperband":
        n_trials = trials if points is None else points
        return n_trials, n_trials * epochs
    # KerasTuner's Hyperband: bracket b starts many trials with few epochs, and each of its b
    # promotions keeps a third of them and trains these up to three times as many.
    n_brackets = 1
    while epochs / _FACTOR**n_brackets >= 1:
        n_brackets += 1
    n_trials = n_trained = 0
    for bracket in range(n_brackets):
        last = math.ceil(1 + math.log(epochs, _FACTOR)) / (bracket + 1)
        before = 0
        for left in range(bracket, -1, -1):
            size, until = math.ceil(last * _FACTOR**left), math.ceil(epochs / _FACTOR**left)
            n_trials += size
            n_trained += size * (until - before)
            before = until
    return n_trials, n_trained


def check_tuner(kind: Any, trials: int | None) -> int:
    """The number of trials of an arm.

    Raises:
        InputError: If `kind` is no tuner, or `trials` does not suit it.
    """
    if not (kind in TUNERS if isinstance(kind, str) else callable(kind)):
        raise InputError(
            f"`tuner` must be one of {', '.join(TUNERS)}, or a function that returns a KerasTuner "
            f"oracle. Received: tuner={kind!r}"
        )
    if kind == "hyperband":
        if trials is not None:
            raise InputError(
                "`trials` must be left out with hyperband, which derives their number from "
                f"`epochs`. Received: trials={trials}"
            )
        return sys.maxsize
    return DEFAULT_TRIALS if trials is None else trials
