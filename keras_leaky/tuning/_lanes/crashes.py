"""Ending a search whose trials crash one after another."""

import functools
import logging

import keras_tuner

from keras_leaky.tuning._keras_tuner import Trial, TrialStatus

_logger = logging.getLogger(__name__)


class Crashes:
    """Counts the trials that crashed in a row, instead of the oracle.

    KerasTuner counts trials that diverged as well, and ends the search without a reason.

    Args:
        n_allowed: Number of crashes in a row that ends a search.

    Attributes:
        reason: Why the search must end; None before.
    """

    def __init__(self, n_allowed: int) -> None:
        self._n_allowed, self._n = n_allowed, 0
        self.reason: str | None = None

    def count(self, trial: Trial) -> None:
        """Takes note of a trial that has ended, as the oracle has it.

        The message of a diverged trial is a sentence, and of a crashed trial a traceback.
        """
        message = trial.message or ""
        is_crash = not message or "Traceback (most" in message
        self._add(trial, is_crash and trial.status == TrialStatus.FAILED, message)

    def stop_workers(self, oracle: keras_tuner.Oracle) -> None:
        """In the chief of KerasTuner's own workers: counts for all workers, and stops them.

        A worker that ended its search with an error would leave the chief waiting for it. What a
        worker sends has no message, but a trial that diverged comes as FAILED, subject to no retry.
        """
        end_trial = oracle.end_trial

        @functools.wraps(end_trial)
        def end_and_count(trial: Trial) -> None:
            has_crashed = trial.status == TrialStatus.INVALID
            end_trial(trial)
            trial = oracle.get_trial(trial.trial_id)
            where = "the log of its worker says why"
            self._add(trial, has_crashed and trial.status == TrialStatus.FAILED, where)
            if self.reason:
                oracle.max_trials = len(oracle.trials)  # there are no more

        oracle.end_trial = end_and_count

    def tell(self, trial: Trial) -> None:
        """In a worker: logs why a trial has failed, because the chief does not learn it."""
        if trial.status != TrialStatus.COMPLETED:
            _logger.warning("Trial %s failed: %s", trial.trial_id, trial.message)

    def _add(self, trial: Trial, is_crash: bool, message: str) -> None:
        self._n = self._n + 1 if is_crash else 0
        if is_crash and self._n == self._n_allowed:
            self.reason = (
                f"{self._n} trials in a row failed. Fix the error of the last one, trial "
                f"{trial.trial_id}:\n{message}"
            )

    def raise_if_too_many(self) -> None:
        """Raises RuntimeError with the reason, if there is one."""
        reason, self.reason = self.reason, None
        if reason:
            self._n = 0
            raise RuntimeError(reason)
