"""The search of one arm: an oracle proposes, lanes train, the run folder records.

KerasTuner's project in `search/` is never read back into an oracle: its Bayesian oracle does not
save its random state, and it resumes any project of the same name. Instead a resumed search asks a
new oracle with the same seed for the same trials and answers from the run folder those that have
finished. What an oracle proposes can depend on the trials that have ended by then, so that is
written down with every proposal, and a resume repeats it.
"""

import math
from typing import Any

import keras_tuner
import numpy as np

from recipes.common.errors import NoTrialCompletedError, RunError
from recipes.common.options import RunOptions
from recipes.common.oracles import OBJECTIVE, make_oracle
from recipes.common.progress import Progress
from recipes.common.run_folder import EpochRow, RunFolder, TrialRow
from recipes.common.seeds import SEARCH_STREAM, derive_seed
from recipes.common.space import Arm
from recipes.common.work import Job

_Status = keras_tuner.engine.trial.TrialStatus
ENDED_BEFORE = "ended_before"  # in oracle.json: by trial, which ended since the one before it


class ArmSearch:
    """The trials of one arm, as jobs for lanes.

    Attributes:
        is_done: Whether all trials have ended.
    """

    def __init__(self, arm: Arm, options: RunOptions, run: RunFolder, progress: Progress) -> None:
        assert options.epochs is not None
        self.arm, self.options, self.run, self.progress = arm, options, run, progress
        self.is_done = False
        self._seeds = tuple(
            derive_seed(options.seed, SEARCH_STREAM, i) for i in range(options.executions)
        )
        self._oracle = make_oracle(arm, options.seed, options.epochs)
        self._kept = {int(row.trial_id): row for row in run.trials if row.arm == arm.name}
        self._rows: dict[int, TrialRow] = {}  # by number
        self._untold: dict[int, None] = {}  # those the oracle does not know, in order of finishing
        self._trials: dict[int, keras_tuner.engine.trial.Trial] = {}
        self._ended: list[int] = []  # those it knows the end of
        state = run.read_oracle(arm.name) or {}
        self._ended_before: dict[str, list[int]] = state.get(ENDED_BEFORE, {})
        self._n_told = 0  # of `_ended`: those that earlier proposals were written down with
        self._is_ahead = False  # whether proposals are not in oracle.json yet

    def next_job(self) -> Job | None:
        """The next trial to train, None if there is none now or at all."""
        while not self.is_done:
            number = len(self._trials)
            recorded = self._ended_before.get(f"{number:04d}")
            ends = [*self._untold] if recorded is None else recorded
            if not all(end in self._rows for end in ends):
                return None  # an earlier session knew how it ended, and its record is lost
            self._end(ends)
            trial = self._oracle.create_trial(f"trial {number}")
            if trial.status == _Status.STOPPED:
                self._end([*self._untold])
                self.is_done = len(self._ended) == len(self._trials)
                if self.is_done:
                    self._write_oracle()
                return None
            if trial.status == _Status.IDLE:
                return None
            self._trials[number] = trial
            self._ended_before[f"{number:04d}"] = self._ended[self._n_told :]
            self._n_told = len(self._ended)
            job = self._job(number, trial)
            if not self._keep(job):
                self._is_ahead = True
                return job
        return None

    def finish(self, job: Job, outcome: dict[str, Any], lost: list[str]) -> None:
        """Records what became of a trial.

        Args:
            outcome: From `work.perform`.
            lost: What became of workers that did not bring it to an end.
        """
        failure = outcome["failure"]
        score, best_epoch = (None, None) if failure else _score(outcome["epochs"])
        row = TrialRow(
            arm=job.arm,
            trial_id=job.trial_id,
            status="FAILED" if failure else "COMPLETED",
            alpha=job.alpha,
            learning_rate=job.learning_rate,
            seed=job.seeds[0],
            score=score,
            best_epoch=best_epoch,
            seconds=outcome["seconds"],
            reason="; ".join([*([failure] if failure else []), *lost]),
        )
        epochs = [
            EpochRow("search", row.arm, row.trial_id, seed, **epoch)
            for seed, epochs in zip(job.seeds, outcome["epochs"], strict=False)
            for epoch in epochs
        ]
        trial = self._trials[int(job.trial_id)]
        self.run.add_trial(row, epochs, _state(trial, row))
        self._rows[int(row.trial_id)] = row
        self._untold[int(row.trial_id)] = None
        self.progress.trial_done(row, job.n_epochs * self.options.executions)

    def save(self) -> None:
        """Writes down what was proposed, and brings the tables in step with what has finished.

        Before a trial is recorded, what it was proposed with has to be.
        """
        if self._is_ahead:
            self._write_oracle()
        self.run.write_tables()

    def _job(self, number: int, trial: keras_tuner.engine.trial.Trial) -> Job:
        alpha, learning_rate = self.arm.declare(trial.hyperparameters)
        # Hyperband sets the epochs of a trial. A promoted one starts again from the beginning.
        n_epochs = trial.hyperparameters.values.get("tuner/epochs", self.options.epochs)
        point = alpha, learning_rate
        return Job("search", self.arm.name, f"{number:04d}", *point, n_epochs, self._seeds)

    def _keep(self, job: Job) -> bool:
        """Answers a trial that an earlier session finished; whether there is such a one."""
        row = self._kept.get(int(job.trial_id))
        if row is None:
            return False
        if (job.alpha, job.learning_rate) != (row.alpha, row.learning_rate):
            raise RunError(
                f"Trial {row.trial_id} of {row.arm} was run at alpha={row.alpha}, "
                f"learning_rate={row.learning_rate}, but the search now proposes alpha={job.alpha}"
                f", learning_rate={job.learning_rate}: other versions of the libraries draw other "
                "trials, and so may a search whose oracle.json was lost. environment.json has the "
                "versions of the run; resume with them, or start a new run."
            )
        self._rows[int(row.trial_id)] = row
        self._untold[int(row.trial_id)] = None
        self.progress.trial_kept(row, job.n_epochs * self.options.executions)
        return True

    def _end(self, numbers: list[int]) -> None:
        """Tells the oracle how trials ended, but for those that it knows."""
        for number in [number for number in numbers if number in self._untold]:
            trial, row = self._trials[number], self._rows[number]
            trial.status = _Status.COMPLETED if row.score is not None else _Status.FAILED
            trial.message = row.reason or None
            score = -math.inf if row.score is None else row.score
            self._oracle.update_trial(trial.trial_id, {OBJECTIVE.name: score})
            self._oracle.end_trial(trial)
            self._ended.append(number)
            del self._untold[number]

    def _write_oracle(self) -> None:
        state = {**self._oracle.get_state(), ENDED_BEFORE: self._ended_before}
        self.run.write_oracle(self.arm.name, state)
        self._is_ahead = False


def _state(trial: keras_tuner.engine.trial.Trial, row: TrialRow) -> dict[str, Any]:
    """A finished trial as KerasTuner would write it."""
    state = trial.get_state()
    observations = [{"value": [row.score], "step": row.best_epoch}]
    metrics = {OBJECTIVE.name: {"direction": OBJECTIVE.direction, "observations": observations}}
    is_scored = row.score is not None
    return {
        **state,
        "metrics": {"metrics": metrics if is_scored else {}},
        "score": row.score,
        "best_step": row.best_epoch or 0,
        "status": row.status,
        "message": row.reason or None,
    }


def _score(curves: list[list[dict[str, Any]]]) -> tuple[float, int]:
    """The best epoch of the mean curve over executions, and its mean validation accuracy."""
    mean = np.mean([[epoch["val_accuracy"] for epoch in curve] for curve in curves], axis=0)
    best = int(np.argmax(mean))
    return float(mean[best]), best + 1


def best_trial(run: RunFolder, arm: str) -> TrialRow:
    """The completed trial with the highest score, the first of equals.

    Raises:
        NoTrialCompletedError: Every trial failed.
    """
    rows = [row for row in run.trials if row.arm == arm]
    completed = [row for row in rows if row.score is not None]
    if not completed:
        raise NoTrialCompletedError(
            f"All {len(rows)} trials of {arm} failed; the first: {rows[0].reason}. Lower the upper "
            f"end of `--learning-rate-range`. {run.trials_file} has the reasons."
        )
    return max(completed, key=lambda row: row.score or 0.0)
