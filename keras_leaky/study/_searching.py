"""The search of an arm, as jobs for the lanes that all arms share."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras_tuner

from keras_leaky.study._progress import Progress
from keras_leaky.study.arms import Arm
from keras_leaky.study.rows import TrialRow
from keras_leaky.study.wording import describe_fraction
from keras_leaky.tuning import TrialRecord
from keras_leaky.tuning._lanes.scheduler import Job
from keras_leaky.tuning._lanes.search import TrialSource
from keras_leaky.tuning._lanes.worker_outcome import Finished
from keras_leaky.tuning.successive_halving import FRACTION, PARENT, RUNG


@dataclass
class Clock:
    """When searches have to end, so that the retrainings end in time.

    Attributes:
        max_seconds: Time limit of the whole run; None for no limit.
        n_retrainings: Number of retrainings that follow.
        searches: All searches of the run. Without `max_seconds` they run one after the other, so
            that an arm's programs are still there; with it, trial by trial side by side, so that
            all arms get the same number.
    """

    max_seconds: float | None
    n_retrainings: int
    n_lanes: int = 1
    searches: list["ArmSearch"] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)
    _allowed: int = -1  # the last trial that may begin
    is_over: bool = False

    def allows(self, number: int) -> bool:
        """Whether the arms may begin their trial of this number, from 0."""
        if self.max_seconds is None or number <= self._allowed:
            return True
        if self.is_over or any(s.n_begun < number for s in self.searches if not s.is_exhausted):
            return False
        known = [pair for search in self.searches for pair in search.seconds]
        longest = max((fraction for fraction, _ in known), default=1.0)
        seconds = [s for fraction, s in known if fraction == longest]
        elapsed = time.monotonic() - self.start
        cost = sum(seconds) / len(seconds) if seconds else 0.0
        n_left = (self.n_retrainings + len(self.searches)) / max(1, self.n_lanes)
        if number > 0 and elapsed + cost * n_left > self.max_seconds:
            self.is_over = True
            return False
        self._allowed = number
        return True


class ArmSearch:
    """The trials of one arm.

    Args:
        arm: Arm of the study.
        tuner: `ReusingTuner` of the arm.
        source: Trials of the tuner.
        progress: The progress display.
        clock: Clock of the run.
        n_epochs: Epochs of a trial that is trained in full.
    """

    def __init__(
        self,
        arm: Arm,
        tuner: Any,
        source: TrialSource,
        progress: Progress,
        clock: Clock,
        n_epochs: int,
    ) -> None:
        self.arm, self.tuner, self.clock = arm, tuner, clock
        self._n_epochs = n_epochs
        self.work = source.work
        self._source, self._progress = source, progress
        self._n_running = 0
        self.n_begun = len(tuner.oracle.trials)
        # Fraction of the steps, and seconds that all of them would take.
        self.seconds: list[tuple[float, float]] = []
        clock.searches.append(self)

    @property
    def is_exhausted(self) -> bool:
        """Whether no trial can begin any more."""
        return self._source.is_stopped or self.clock.is_over

    @property
    def is_done(self) -> bool:
        return (self._source.is_done or self.clock.is_over) and not self._n_running

    def next_job(self) -> Job | None:
        if not self.clock.allows(self.n_begun):
            return None
        job = self._source.next_job()
        if job is not None:
            self.n_begun += 1
            self._n_running += 1
            self._progress.begin()
        return job

    def perform(self, job: Job) -> None:
        values = self.tuner.oracle.trials[job.name].hyperparameters.values
        self._progress.show_trial(self.arm, values)
        self._source.perform(job)

    def record(self, job: Job, finished: Finished) -> None:
        self._source.record(job, finished)
        self._n_running -= 1
        log = self._source.log_of(str(job.name))
        trial, seconds = self.tuner.oracle.trials[job.name], log.seconds
        fraction = trial.hyperparameters.values.get(FRACTION, 1)
        self.seconds.append((fraction, seconds / fraction))
        self._progress.trial_done(self.arm, trial, self.count_epochs_of(trial), seconds)

    def count_epochs_of(self, trial: Any) -> float:
        """How many full epochs a trial trained."""
        n_epochs = sum(map(count_epochs, self._source.log_of(trial.trial_id).histories))
        fraction = trial.hyperparameters.values.get(FRACTION)
        return n_epochs if fraction is None else fraction * self._n_epochs

    def best_trials(self, n: int) -> list[Any]:
        """The best completed trials, best first, each point once.

        With successive halving they come from the last rung that was reached.
        """
        objective = self.tuner.oracle.objective
        completed = [t for t in self.tuner.oracle.trials.values() if t.status == "COMPLETED"]
        last = max((t.hyperparameters.values.get(RUNG, 0) for t in completed), default=0)
        completed = [t for t in completed if t.hyperparameters.values.get(RUNG, 0) == last]
        completed.sort(key=lambda t: t.score, reverse=objective.direction == "max")  # stable
        points: dict[str, Any] = {}
        for trial in completed:
            point = point_of(trial.hyperparameters.values)
            points.setdefault(repr(sorted(point.items())), trial)
        return list(points.values())[:n]


def point_of(values: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters without the entries that Hyperband and successive halving add."""
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


def count_epochs(history: dict[str, list[float]]) -> int:
    return max(map(len, history.values()), default=0)


def make_trial_rows(
    arm: str,
    fixed_alpha: float | None,
    records: Sequence[TrialRecord],
    objective: keras_tuner.Objective,
) -> list[TrialRow]:
    """The rows of an arm's ended trials; with successive halving, one row per point.

    That row describes the longest training of the point, with the epochs and seconds of all.

    Args:
        fixed_alpha: Alpha of an arm that does not search it.
    """
    following = {record.hyperparameters.get(PARENT): record for record in records}
    rows = []
    for first in records:
        if PARENT in first.hyperparameters:
            continue
        chain = [first]
        while chain[-1].trial_id in following:
            chain.append(following[chain[-1].trial_id])
        row = _make_row(arm, fixed_alpha, chain[-1], objective)
        n_epochs = sum(count_epochs(history) for one in chain for history in one.histories)
        seconds = round(sum(one.seconds for one in chain), 3)
        row = dataclasses.replace(row, epochs=n_epochs, seconds=seconds)
        if row.status == "COMPLETED" and (row.training_fraction or 1) < 1:
            reason = _describe_rank(chain[-1], records, objective)
            row = dataclasses.replace(row, status="STOPPED", reason=reason)
        rows.append(row)
    return rows


def _describe_rank(
    record: TrialRecord, records: Sequence[TrialRecord], objective: keras_tuner.Objective
) -> str:
    """Why successive halving did not train a point longer, or has not yet."""
    rung = record.hyperparameters[RUNG]
    rivals = [one for one in records if one.hyperparameters[RUNG] == rung]
    scores = [one.score for one in rivals if one.score is not None]
    rank = 1 + sum(objective.better_than(score, record.score) for score in scores)
    part = describe_fraction(record.hyperparameters[FRACTION])
    return f"number {rank} of {len(rivals)} {part}"


def _make_row(
    arm: str, fixed_alpha: float | None, record: TrialRecord, objective: keras_tuner.Objective
) -> TrialRow:
    values = point_of(record.hyperparameters)
    alpha, rate = values.pop("alpha", fixed_alpha), values.pop("learning_rate", None)
    is_failed = record.score is None
    diverged = "DIVERGED" if record.has_diverged else "FAILED"
    best = best_epoch(record.histories, objective)
    return TrialRow(
        arm=arm,
        trial_id=record.trial_id,
        status=diverged if is_failed else "COMPLETED",
        alpha=alpha,
        learning_rate=rate,
        hyperparameters=values,
        seed=record.seeds[0] if record.seeds else 0,
        score=record.score,
        best_epoch=None if is_failed or best is None else best[0],
        epochs=sum(map(count_epochs, record.histories)),
        seconds=record.seconds,
        training_fraction=record.hyperparameters.get(FRACTION),
        reason=record.message.strip().splitlines()[-1] if record.message.strip() else "",
    )


def best_epoch(
    histories: Sequence[dict[str, list[float]]], objective: keras_tuner.Objective
) -> tuple[int, float] | None:
    """The best epoch of some trainings, from 1, and its value; None without a finite value.

    Epochs without a finite loss do not count.
    """
    best: tuple[int, float] | None = None
    for history in histories:
        losses = history.get("loss", [])
        for epoch, value in enumerate(history.get(objective.name, [])):
            loss = losses[epoch] if epoch < len(losses) else 0.0
            if not (abs(loss) < float("inf") and value == value):
                continue
            if best is None or objective.better_than(value, best[1]):
                best = epoch + 1, value
    return best
