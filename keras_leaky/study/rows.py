"""The rows of a study's tables, as they are in memory."""

from dataclasses import dataclass, field
from typing import Any, Literal

Stage = Literal["search", "finalist", "final"]
Status = Literal["COMPLETED", "STOPPED", "DIVERGED", "FAILED"]


@dataclass(frozen=True)
class TrialRow:
    """A trial of a search; with successive halving a point of it.

    Attributes:
        status: COMPLETED; STOPPED, which successive halving did not train in full; DIVERGED, where
            the loss or the objective was not finite; or FAILED.
        alpha: That was tried, or that the arm fixes; None where the rectifier has none.
        hyperparameters: All others by name.
        seed: Of the weights and the order of the data.
        score: Of the objective at the best epoch, mean of the executions. None without one.
        best_epoch: From 1.
        epochs: Epochs that were trained, of all executions.
        reason: Why there is no score, or what else is to be known.
        training_fraction: Of the steps that `fit` was asked for, in (0, 1]; None unless the tuner
            is successive halving.
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
        epoch: From 1.
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
        test_score: Of a final retraining at its best epoch; None for finalists, and without test
            data.
        best_epoch: From 1.
        reason: Why the training ended early; empty if it did not.
        test_examples: The metric of every test example, in order, where it is a mean of such; else
            None. In memory and in the record, not in retrainings.csv.
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
        n_samples: Validation examples that were looked at.
        active_fraction: Of every unit.
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
