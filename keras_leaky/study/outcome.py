"""The results of a study: for scripts, the page and the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_leaky.study.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow, flatten_row

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Metric:
    """The metric that a study optimizes.

    Attributes:
        objective: As `fit` logs it, such as val_accuracy.
        name: The same without val_, such as accuracy.
        direction: "max" or "min".
        is_fraction: Whether values lie in [0, 1], so that differences are given in points.
    """

    objective: str
    name: str
    direction: str
    is_fraction: bool


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and Student's 95 % interval of one number per seed.

    `std` is None for one seed; `ci95` is None below 5 seeds or without spread.
    """

    mean: float
    std: float | None
    n: int
    ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """An arm against the baseline, paired by seed.

    Attributes:
        mean: Mean of arm - baseline on test data, or on validation data if there are no test data.
        ci95: Student's paired interval, not corrected for the number of arms. None below 5 seeds or
            without spread.
        ci95_examples: Bootstrap interval over seeds and test examples. None if the metric has no
            value per example.
        n: Number of pairs.
        win_fraction: Fraction of pairs in which the arm is better; a tie counts half.
        p_value: P-value of the paired t-test. None if `ci95` is None.
        p_holm: P-value corrected over the arms by Holm's method.
        direction: 1 if the arm helps, -1 if it hurts, 0 if no difference is shown.
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
    """The searched range of a hyperparameter; both ends are None if it is not a number."""

    low: float | None
    high: float | None
    scale: str  # "log" or "linear"


@dataclass(frozen=True)
class Best:
    """The chosen point of an arm.

    Attributes:
        hyperparameters: Values by name, including alpha and learning_rate if the arm has them.
        score: Score of its trial in the search.
    """

    trial_id: str
    hyperparameters: dict[str, Any]
    score: float


@dataclass(frozen=True)
class ArmOutcome:
    """The results of one arm.

    Attributes:
        name, title: Name as the user gave it, and the title that people read.
        rectifier: Name in the table of rectifiers; None for your own layer.
        color: Color in the plots.
        space: Searched ranges, by hyperparameter.
        best: The chosen point; None if every trial failed, or none has ended yet.
        validation, test: Summaries of the final retrainings.
        dead_fraction, inactive_fraction: Fractions of all units in the final retrainings, on
            validation data.
        epoch_seconds: Seconds of an epoch, median over the final retrainings.
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
        """A `pandas.DataFrame` with one column per field. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.to_dicts())

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts; each hyperparameter and metric has its own key."""
        return [flatten_row(row) for row in self]


@dataclass(frozen=True, repr=False)
class Outcome:
    """The results of a study.

    Attributes:
        directory: The run folder.
        title: Title of the study, such as "MNIST".
        metric: The metric that was optimized.
        data_source: Where the data come from, in words.
        warning: The most important warning; empty if there is none.
        notes: Further notes of the run, one sentence each.
        verdict: The recommendation, in one or a few sentences.
        recommended: Name of the recommended arm, whose model is best.keras. None if no arm has a
            result.
        is_finished: Whether every retraining has ended.
        arms: Results by name of the arm, the baseline first.
        differences: By arm, if the arm and the baseline have results; without the baseline itself.
        trials, epochs, retrainings, dead_units: Rows of the tables.
        has_test: Whether there were test data; without them differences are on validation data.
        n_test_looks: How often results on the test data have been looked at.
        seconds: Total seconds of all trainings.
        settings: Settings of the study, from study.json.
        environment: Machine and versions, from environment.json.
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
        """The outcome without final retrainings of points that are no longer the chosen ones."""
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
        """Path of the page, report.html."""
        return self.directory / "report.html"

    @property
    def best_keras(self) -> Path:
        """Path of the recommended arm's model, best.keras."""
        return self.directory / "best.keras"

    def best_model(self, custom_objects: dict[str, Any] | None = None) -> Any:
        """Loads the recommended arm's model from best.keras. It is not compiled."""
        from keras_leaky.saving import load_model

        return load_model(self.best_keras, custom_objects=custom_objects)

    def to_optuna(self, storage: Any = None) -> "optuna.Study":
        """All trials as one Optuna study, for example for optuna-dashboard.

        Args:
            storage: Storage for `optuna.create_study`, such as "sqlite:///study.db". None keeps the
                study in memory.

        Raises:
            InputError: Optuna is not installed, or the storage holds a study of this name.
        """
        from keras_leaky.study.importance import to_optuna

        return to_optuna(self, storage)
