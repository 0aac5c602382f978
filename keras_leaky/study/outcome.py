"""What came out of a study: for scripts, the page and the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_leaky.study.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow, flatten_row

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Metric:
    """What the study optimizes.

    Attributes:
        objective: As `fit` logs it, such as val_accuracy.
        name: The same without val_, such as accuracy.
        direction: "max" or "min".
        is_fraction: Whether values lie in [0, 1], so that differences are told in points.
    """

    objective: str
    name: str
    direction: str
    is_fraction: bool


@dataclass(frozen=True)
class Summary:
    """One number a seed: mean, standard deviation (ddof 1), Student's 95 % interval.

    One seed has no `std`; fewer than 5, or no spread, have no `ci95`.
    """

    mean: float
    std: float | None
    n: int
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """An arm against the baseline, paired by seed.

    Attributes:
        mean: Of arm - baseline, on test data; without these on validation data.
        ci95: Student's paired interval, not corrected. None below 5 seeds or without spread.
        ci95_examples: Bootstrap interval over seeds and test examples. None where examples have no
            values of their own.
        n: Pairs.
        win_fraction: Of pairs in which the arm is better, ties counted half.
        p_value: Of the paired t-test. None where `ci95` is.
        p_holm: Corrected over the arms.
        direction: 1 the arm helps, -1 it hurts, 0 not shown.
    """

    mean: float
    ci95: tuple[float, float] | None
    ci95_examples: tuple[float, float] | None
    n: int
    win_fraction: float
    p_value: float | None
    p_holm: float | None
    direction: int


@dataclass(frozen=True)
class Range:
    """What was searched of one hyperparameter; both ends None where it is no number."""

    low: float | None
    high: float | None
    scale: str  # "log" or "linear"


@dataclass(frozen=True)
class Best:
    """The chosen point of an arm.

    Attributes:
        hyperparameters: With alpha and learning_rate, where there are any.
        score: Of its trial in the search.
    """

    trial_id: str
    hyperparameters: dict[str, Any]
    score: float


@dataclass(frozen=True)
class ArmOutcome:
    """What became of one arm.

    Attributes:
        name, title: As the user gave it, and for people.
        rectifier: Its name in the table of rectifiers; None for a layer of the user's own.
        color: For plots.
        space: What was searched, by hyperparameter.
        best: None if every trial failed, or none has ended yet.
        validation, test: Of the final retrainings.
        dead_fraction, inactive_fraction: Of all units of the final retrainings, on validation data.
        epoch_seconds: Median over the final retrainings.
        failure: Why the arm has no result; empty if it has one.
    """

    name: str
    title: str
    rectifier: str | None
    is_baseline: bool
    color: str
    space: dict[str, Range]
    best: Best | None
    validation: Summary | None
    test: Summary | None
    dead_fraction: float | None
    inactive_fraction: float | None
    epoch_seconds: float | None
    failure: str = ""


class Rows(list):
    """Rows of a table, in order."""

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, a column a field. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.to_dicts())

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts, hyperparameters and metrics as columns of their own."""
        return [flatten_row(row) for row in self]


@dataclass(frozen=True, repr=False)
class Outcome:
    """What came out of a study.

    Attributes:
        directory: The run folder.
        title: What was studied, for people, such as "MNIST".
        metric: What was optimized.
        data_source: Where the data come from, for people.
        warning: What must not be overlooked; empty if there is nothing.
        notes: What else the run has to say, a sentence each.
        verdict: What to do, in a sentence or a few.
        recommended: Name of the arm that the verdict recommends; its model is best.keras. None if
            no arm has a result.
        is_finished: Whether every retraining has ended.
        arms: By name, the baseline first.
        differences: By arm, without the baseline, where both have results.
        trials, epochs, retrainings, dead_units: Rows of the tables.
        has_test: Whether there were test data; without them differences are on validation data.
        n_test_looks: How often results on the test data have been looked at.
        seconds: Of all trainings together.
        settings: How the study was made, as study.json has it, for people.
        environment: Machine and versions, as environment.json has them.
    """

    directory: Path
    title: str
    metric: Metric
    data_source: str
    warning: str
    notes: list[str]
    verdict: str
    recommended: str | None
    is_finished: bool
    arms: dict[str, ArmOutcome]
    differences: dict[str, Difference]
    trials: Sequence[TrialRow]
    epochs: Sequence[EpochRow]
    retrainings: Sequence[RetrainingRow]
    dead_units: Sequence[DeadUnitRow]
    has_test: bool
    n_test_looks: int
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line: the rows would fill pages of a notebook."""
        state = "" if self.is_finished else ", not finished"
        return (
            f"<Outcome {str(self.directory)!r}: arms {', '.join(self.arms)}; {len(self.trials)} "
            f"trials, {len(self.retrainings)} retrainings{state}. {self.verdict}>"
        )

    def of_chosen_points(self) -> "Outcome":
        """The same without final retrainings of points that were chosen before others came in."""
        chosen = {name: arm.best.trial_id for name, arm in self.arms.items() if arm.best}

        def is_current(row: Any) -> bool:
            is_final = getattr(row, "stage", "final") == "final"
            return not is_final or row.trial_id == chosen.get(row.arm)

        return replace(
            self,
            retrainings=Rows(filter(is_current, self.retrainings)),
            epochs=Rows(filter(is_current, self.epochs)),
            dead_units=Rows(filter(is_current, self.dead_units)),
        )

    @property
    def page(self) -> Path:
        """The page, report.html."""
        return self.directory / "report.html"

    @property
    def best_keras(self) -> Path:
        """The model of the arm that is recommended."""
        return self.directory / "best.keras"

    def best_model(self, custom_objects: dict[str, Any] | None = None) -> Any:
        """The model of the arm that is recommended, from best.keras. It is not compiled."""
        from keras_leaky.saving import load_model

        return load_model(self.best_keras, custom_objects=custom_objects)

    def to_optuna(self, storage: Any = None) -> "optuna.Study":
        """All trials as one study of Optuna, such as for optuna-dashboard.

        Args:
            storage: As `optuna.create_study` takes it, such as "sqlite:///study.db". None keeps
                the study in memory.

        Raises:
            InputError: Optuna is not installed, or the storage holds a study of this name.
        """
        from keras_leaky.study.importance import to_optuna

        return to_optuna(self, storage)
