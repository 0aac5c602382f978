"""Ending a search whose trials crash one after another."""

import functools

import keras_tuner

_Status = keras_tuner.engine.trial.TrialStatus


class Crashes:
    """Counts the trials that crashed in a row, in the place of an oracle.

    KerasTuner counts trials that diverged as well, and ends the search without a reason.

    Args:
        n_allowed: After how many a search ends.

    Attributes:
        reason: Why it has to end, None before.
    """

    def __init__(self, n_allowed):
        self._n_allowed, self._n = n_allowed, 0
        self.reason = None

    def count(self, trial):
        """Takes note of a trial that has ended, as the oracle has it.

        The message of one that diverged is a sentence, that of one that crashed a traceback.
        """
        message = trial.message or ""
        if trial.status != _Status.FAILED or (message and "Traceback (most" not in message):
            self._n = 0
            return
        self._n += 1
        if self._n == self._n_allowed:
            self.reason = (
                f"{self._n} trials in a row failed; the last one, {trial.trial_id}:\n{message}"
            )

    def stop_workers(self, oracle):
        """In the chief of KerasTuner's own workers: counts for all, and has them stop.

        A worker that ended its search with an error would leave the chief waiting for it.
        """
        end_trial = oracle.end_trial

        @functools.wraps(end_trial)
        def end_and_count(trial):
            end_trial(trial)
            self.count(oracle.get_trial(trial.trial_id))
            if self.reason:
                oracle.max_trials = len(oracle.trials)  # there are no more

        oracle.end_trial = end_and_count

    def raise_if_too_many(self):
        """Raises RuntimeError with the reason, if there is one."""
        reason, self.reason = self.reason, None
        if reason:
            self._n = 0
            raise RuntimeError(reason)
