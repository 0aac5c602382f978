"""Reading the trials in the folder of a project, without a tuner."""

import dataclasses
import logging
import os
from typing import Any

from keras_leaky.tuning._project.additions import TrialLog
from keras_leaky.tuning._project.reading import Record, is_finished, read_records

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """A trial that has ended.

    Attributes:
        trial_id: KerasTuner's id of the trial.
        hyperparameters: Name -> value.
        score: KerasTuner's score; None if the trial failed.
        has_diverged: Whether it failed because a loss or an objective was not finite.
        message: Why the trial failed, or which workers were lost during it. Empty otherwise.
        seeds: One per training. Empty for a trial that KerasTuner's own classes recorded.
        histories: One per training: metric -> its value in each epoch.
        seconds: Seconds of all its trainings.
    """

    trial_id: str
    hyperparameters: dict[str, Any]
    score: float | None
    has_diverged: bool
    message: str
    seeds: list[int]
    histories: list[dict[str, list[float]]]
    seconds: float


def read_trials(folder: str | os.PathLike[str]) -> list[TrialRecord]:
    """Reads the ended trials of a project, in the order in which they were proposed.

    KerasTuner keeps only the best value of each metric. The tuners of this module keep every epoch,
    for your own plots and tables. The folder is not changed, and a search may be running in it.
    Damaged files are left out, and the log says so.

    Args:
        folder: `tuner.project_dir`.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from keras_leaky.tuning import RandomSearch, read_trials
    >>> def build(hp):
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1)), "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> with tempfile.TemporaryDirectory() as path:
    ...     tuner = RandomSearch(build, "val_loss", max_trials=2, seed=1, directory=path)
    ...     tuner.search(x, x[:, 0], validation_split=0.25, epochs=3, verbose=0)
    ...     trials = read_trials(tuner.project_dir)
    >>> [len(trial.histories[0]["val_loss"]) for trial in trials]
    [3, 3]
    """

    def tell(path: str, consequence: str) -> None:
        _logger.warning("%s is damaged, and its trial is left out", path)

    records = read_records(str(folder), tell).values()
    ended = [record for record in records if is_finished(record.trial)]
    return [
        _read(record) for record in sorted(ended, key=lambda record: _number(record.trial.trial_id))
    ]


def _read(record: Record) -> TrialRecord:
    trial, log = record.trial, record.ours.log or TrialLog()
    return TrialRecord(
        trial.trial_id,
        dict(trial.hyperparameters.values),
        trial.score if trial.status == "COMPLETED" else None,
        log.has_diverged,
        trial.message or "",
        log.seeds,
        log.histories,
        log.seconds,
    )


def _number(trial_id: str) -> tuple[int, str]:
    """KerasTuner's ids are numbers, whose zeros in front depend on `max_trials`."""
    return (int(trial_id) if trial_id.isdigit() else -1), trial_id
