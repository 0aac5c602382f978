"""A study whose data and models have been checked, and which can begin."""

import dataclasses
from typing import TYPE_CHECKING, Any

import keras_tuner

from keras_leaky.study._checks import FitData, Probe
from keras_leaky.study._folder import StudyContent
from keras_leaky.study._proposals import Grid, count_full, count_trials, describe_rungs
from keras_leaky.study._retraining import N_FINALIST_SEEDS
from keras_leaky.study.arms import Arm
from keras_leaky.study.wording import describe_fraction

if TYPE_CHECKING:
    from keras_leaky.study.study import Study


@dataclasses.dataclass
class Prepared:
    """A study, and the arguments of `run`.

    Attributes:
        fit_kwargs: Arguments of `fit`, without callbacks.
        probes: Facts about the model of each arm.
        content: The content of study.json for a new study.
        points: Points on each range of a grid; None with another tuner.
        n_rungs: Rungs of successive halving; 1 with another tuner.
        notes: Notes about data and model for the user.
    """

    study: "Study"
    data: FitData
    fit_kwargs: dict[str, Any]
    callbacks: list[Any]
    objective: keras_tuner.Objective
    probes: dict[str, Probe]
    content: StudyContent
    points: int | None
    n_rungs: int
    notes: list[str]

    @property
    def epochs(self) -> int:
        return self.fit_kwargs.get("epochs", 1)

    @property
    def n_full(self) -> int:
        """Points of an arm that successive halving trains in full."""
        return count_full(self.study.finalists)

    def n_trials_and_epochs(self, arm: Arm) -> tuple[int, float]:
        """Trainings of an arm's search, and how many full epochs they are."""
        n_points = None
        if self.points is not None:
            grid, space = Grid(self.points), self.probes[str(arm.name)].space
            n_points = next(i for i in range(10**9) if grid(space, i) is None)
        study = self.study
        n, n_epochs = count_trials(
            study.tuner, study.trials, self.epochs, n_points, self.n_rungs, self.n_full
        )
        return n, n_epochs * self.study.executions

    def describe_trials(self, arm: Arm) -> str:
        """The number of trials of an arm; with successive halving, the number in every rung."""
        if self.n_rungs == 1:
            return str(self.n_trials_and_epochs(arm)[0])
        rungs = describe_rungs(self.study.trials, self.n_rungs, self.n_full)
        return ", ".join(f"{size} {describe_fraction(part)}" for size, part in rungs)

    def n_runs_and_epochs(self) -> tuple[int, float]:
        """Trainings of all arms, and how many full epochs they are."""
        n_runs, n_epochs = 0, 0.0
        for arm in self.study.arms:
            n, epochs = self.n_trials_and_epochs(arm)
            n_again = self.n_retrainings(n)
            n_runs += n + n_again
            n_epochs += epochs + n_again * self.epochs
        return n_runs, n_epochs

    def n_retrainings(self, n_trials: int) -> int:
        """Retrainings of an arm: of its finalists, and of its chosen point."""
        n_finalists = min(self.study.finalists, n_trials)
        return self.study.seeds + (n_finalists * N_FINALIST_SEEDS if n_finalists > 1 else 0)
