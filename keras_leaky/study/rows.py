"""The rows of a study's tables, as they are in memory."""

from dataclasses import dataclass, field
from typing import Any, Literal

Stage = Literal["search", "finalist", "final"]
Status = Literal["COMPLETED", "STOPPED", "DIVERGED", "FAILED"]


@dataclass(frozen=True)
class TrialRow:
    """A trial of a search; with successive halving a point of it.

    Attributes:
        status: COMPLETED; STOPPED if successive halving did not train it in full; DIVERGED if the
            loss or the objective was not finite; or FAILED.
        alpha: Alpha that was tried, or the fixed alpha of the arm; None if the rectifier has none.
        hyperparameters: All other hyperparameters, by name.
        seed: Seed of the weights and the order of the data.
        score: Objective at the best epoch, mean over the executions; None if there is none.
        best_epoch: Counted from 1.
        epochs: Trained epochs of all executions.
        reason: Why there is no score, or another remark.
        training_fraction: Fraction in (0, 1] of the steps that `fit` was asked for; None unless the
            tuner is successive halving.
    """

    arm: str
    trial_id: str
    status: Status
    alpha: float | None
    learning_rate: float | None
    hyperparameters: dict[str, Any]
    seed: int
    score: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    reason: str
    training_fraction: float | None = None


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one training.

    Attributes:
        epoch: Counted from 1.
        metrics: Value of each metric by the name that `fit` logs.
    """

    stage: Stage
    arm: str
    trial_id: str
    seed: int
    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class RetrainingRow:
    """A chosen point trained again: a finalist, or the final choice.

    Attributes:
        val_score: Objective at the best epoch; None if the training diverged at once.
        test_score: Test score of a final retraining at its best epoch; None for finalists, and
            without test data.
        best_epoch: Counted from 1.
        reason: Why the training ended early; empty if it did not.
        test_examples: The metric of every test example, in order; None if the metric is not their
            mean. Kept in memory and in the record, not in retrainings.csv.
    """

    arm: str
    trial_id: str
    stage: Stage
    seed: int
    val_score: float | None
    test_score: float | None
    best_epoch: int | None
    seconds: float
    reason: str
    test_examples: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class DeadUnitRow:
    """One rectifier layer of one final retraining.

    Attributes:
        kind: Name of the activation.
        n_samples: Number of validation examples that were used.
        active_fraction: Active fraction of every unit.
    """

    arm: str
    trial_id: str
    seed: int
    layer: str
    kind: str
    n_samples: int
    n_units: int
    n_dead: int
    n_inactive: int
    active_fraction: list[float]


def flatten_row(row: Any) -> dict[str, Any]:
    """A row as it stands in its table: nested dicts become columns, large arrays are left out."""
    flat: dict[str, Any] = {}
    for name, value in vars(row).items():
        if name in ("hyperparameters", "metrics"):
            flat |= value
        elif name != "test_examples" and not (name == "training_fraction" and value is None):
            flat[name] = value
    return flat
