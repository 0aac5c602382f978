"""The rows of a run's tables."""

from dataclasses import dataclass

DIVERGED = "training loss became"  # what the reason of a training that diverged begins with


@dataclass(frozen=True)
class TrialRow:
    """One row of trials.csv. Scores are validation accuracies, epochs count from 1."""

    arm: str
    trial_id: str
    status: str  # COMPLETED or FAILED
    alpha: float | None
    learning_rate: float
    seed: int
    score: float | None
    best_epoch: int | None
    seconds: float
    reason: str


@dataclass(frozen=True)
class EpochRow:
    """One row of epochs.csv. `phase` is search, or retrain: of the point that the trial found."""

    phase: str
    arm: str
    trial_id: str
    seed: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class RetrainingRow:
    """One row of retrainings.csv: the point that a trial found, trained again from one seed."""

    arm: str
    trial_id: str
    seed: int
    val_accuracy: float | None
    test_accuracy: float
    best_epoch: int | None
    seconds: float
    reason: str

    @property
    def has_diverged(self) -> bool:
        """The reason may also name workers that were killed, and nothing else."""
        return self.reason.startswith(DIVERGED)


@dataclass(frozen=True)
class DeadUnitRow:
    """One row of dead_units.csv: a rectifier of a retrained net, at its best epoch.

    From `layer` on as in `to_dict()` of what `dead_units` returns. A unit is a feature of a dense
    layer or a channel of a convolution.
    """

    arm: str
    trial_id: str
    seed: int
    n_samples: int
    layer: str
    kind: str
    n_units: int
    n_dead: int
    dead_fraction: float
    n_inactive: int
    inactive_fraction: float
    n_always_on: int
    always_on_fraction: float
    n_dormant: int
    dormant_fraction: float
    active_fraction: list[float]  # one a unit
