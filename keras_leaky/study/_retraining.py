"""Finalists and final retrainings of an arm, as jobs for the lanes that all arms share."""

import dataclasses
import logging
from collections.abc import Sequence

import keras_tuner
import numpy as np

from keras_leaky.diagnostics.report import DeadUnitReport
from keras_leaky.study._examination import Examined, Point
from keras_leaky.study._folder import RetrainingRecord, StudyFolder
from keras_leaky.study._progress import Progress
from keras_leaky.study._searching import ArmSearch, best_epoch, count_epochs, point_of
from keras_leaky.study.errors import StudyFailedError
from keras_leaky.study.rows import DeadUnitRow, RetrainingRow
from keras_leaky.tuning import Trained, WorkerLostError
from keras_leaky.tuning._lanes.scheduler import Job
from keras_leaky.tuning._lanes.training import TrainingWork
from keras_leaky.tuning._lanes.worker_outcome import Finished

_logger = logging.getLogger(__name__)
N_FINALIST_SEEDS = 2


class ArmRetraining:
    """Trains the best points of an arm's search again, chooses one, and trains that once more.

    Args:
        search: Search of the arm. Retrainings begin when it is done.
        work: The work that all retrainings of the arm share.
        folder: Folder of the records.
        objective: Objective of the study.
        finalists: How many points the choice is between; 1 takes the best of the search.
        finalist_seeds, seeds: One training per seed, of every finalist and of the chosen point.
        progress: The progress display.
    """

    def __init__(
        self,
        search: ArmSearch,
        work: TrainingWork,
        folder: StudyFolder,
        objective: keras_tuner.Objective,
        finalists: int,
        finalist_seeds: Sequence[int],
        seeds: Sequence[int],
        progress: Progress,
    ) -> None:
        self.work, self.arm = work, search.arm
        self._search, self._folder, self._objective = search, folder, objective
        self._n_finalists = finalists
        self._seeds = {"finalist": finalist_seeds, "final": seeds}
        self._progress = progress
        name = str(self.arm.name)
        records = folder.read_retrainings(name, repair=True)
        self._records = {record.key: record for record in records}
        self._todo: list[Job] | None = None  # of the current stage
        self._n_running = 0
        self._points: list[Point] = []
        self._stage = ""

    @property
    def is_done(self) -> bool:
        self._advance()
        return self._stage == "done"

    @property
    def chosen(self) -> str | None:
        """The trial whose point was chosen; None before, and if there is none."""
        is_final = self._stage == "done" and self._points and self._points[0].stage == "final"
        return self._points[0].trial_id if is_final else None

    @property
    def failure(self) -> str:
        """Why there is no chosen trial."""
        trials = self._search.tuner.oracle.trials.values()
        reasons = [t.message.strip().splitlines()[-1] for t in trials if t.message]
        return f"none of {len(trials)} trials has a score" + (f": {reasons[0]}" if reasons else "")

    def next_job(self) -> Job | None:
        self._advance()
        if not self._todo:
            return None
        self._n_running += 1
        self._progress.begin()
        return self._todo.pop(0)

    def perform(self, job: Job) -> Trained:
        self._progress.show_retraining(self.arm, self._stage, job.arguments[1])
        return self.work(*job.arguments)

    def record(self, job: Job, finished: Finished) -> None:
        self._n_running -= 1
        point, seed = job.arguments
        if isinstance(finished.error, WorkerLostError):
            raise StudyFailedError(
                f"A retraining of arm {self.arm.name!r} failed: {finished.error}. Finished "
                "trainings are kept: run the study again to resume it."
            )
        if finished.error is not None:
            raise finished.error
        record = self._make_record(point, seed, finished.value)
        self._records[record.key] = record
        self._folder.write_retraining(record)
        n_epochs = count_epochs(record.history)
        self._progress.retraining_done(self.arm, record.row, n_epochs)

    def _advance(self) -> None:
        """Begins the next stage when all trainings of this one have ended."""
        if self._n_running or self._todo or self._stage == "done" or not self._search.is_done:
            return
        if self._stage == "":
            trials = self._search.best_trials(self._n_finalists)
            self._points = [
                Point("finalist", trial.trial_id, point_of(trial.hyperparameters.values))
                for trial in trials
            ]
            if not trials:
                self._stage = "done"
                self._progress.arm_failed(self.arm)
                return
            if len(trials) > 1:
                self._begin("finalist")
            else:
                self._points = [Point("final", self._points[0].trial_id, self._points[0].values)]
                self._begin("final")
        elif self._stage == "finalist":
            chosen = self._choose()
            self._points = [Point("final", chosen.trial_id, chosen.values)]
            self._begin("final")
        else:
            self._stage = "done"
        if not self._todo:
            self._advance()

    def _begin(self, stage: str) -> None:
        self._stage = stage
        self._todo = []
        for seed in self._seeds[stage]:  # the first seed of all points, then the next
            for point in self._points:
                point = Point(stage, point.trial_id, point.values)
                record = self._records.get((stage, point.trial_id, seed))
                if record is None or (record.model_sha256 and not self._folder.has_model(record)):
                    self._todo.append(Job(f"{self.arm.name} {stage} {seed}", (point, seed)))
                else:
                    n_epochs = count_epochs(record.history)
                    self._progress.retraining_kept(self.arm, record.row, n_epochs)

    def _choose(self) -> Point:
        """The finalist with the best mean on validation data; the search's score does not count."""
        sign = 1 if self._objective.direction == "max" else -1
        means = []
        for point in self._points:
            rows = [
                self._records["finalist", point.trial_id, seed].row
                for seed in self._seeds["finalist"]
            ]
            scores = [row.val_score for row in rows]
            is_whole = all(score is not None for score in scores)
            means.append(sign * float(np.mean(scores)) if is_whole else -np.inf)  # type: ignore[arg-type]
        return self._points[int(np.argmax(means))]

    def _make_record(self, point: Point, seed: int, trained: Trained) -> RetrainingRecord:
        examined: Examined | None = trained.examined
        best = best_epoch([trained.history], self._objective)
        row = RetrainingRow(
            arm=str(self.arm.name),
            trial_id=point.trial_id,
            stage=point.stage,  # type: ignore[arg-type]
            seed=seed,
            val_score=best[1] if best else None,
            test_score=examined.test_score if examined else None,
            best_epoch=best[0] if best else None,
            seconds=trained.seconds,
            reason=trained.failure or "",
            test_examples=examined.test_examples if examined else None,
        )
        report = examined.dead_units if examined else None
        units = [] if report is None else _make_unit_rows(row, report)
        model_sha256 = None
        if examined:
            if examined.problem:
                _logger.warning(
                    "A model of arm %r cannot be saved, so there will be no best.keras: %s",
                    row.arm,
                    examined.problem,
                )
            if examined.model and self._is_best_so_far(row):
                model_sha256 = self._folder.write_model(row.arm, examined.model)
                self._forget_other_models()
        return RetrainingRecord(row, trained.history, units, model_sha256)

    def _forget_other_models(self) -> None:
        """Clears the model checksum in all other records: the model file was overwritten."""
        for key, record in self._records.items():
            if record.model_sha256:
                self._records[key] = dataclasses.replace(record, model_sha256=None)
                self._folder.write_retraining(self._records[key])

    def _is_best_so_far(self, row: RetrainingRow) -> bool:
        """Whether a final retraining of the chosen point is the best yet; the first wins ties."""
        if row.val_score is None:
            return False
        order = list(self._seeds["final"])
        others = [
            record.row
            for record in self._records.values()
            if record.row.stage == "final"
            and record.row.trial_id == row.trial_id
            and record.row.seed in order
            and record.row.seed != row.seed
            and record.row.val_score is not None
        ]
        for other in others:
            if self._objective.better_than(other.val_score, row.val_score):
                return False
            is_tie = other.val_score == row.val_score
            if is_tie and order.index(other.seed) < order.index(row.seed):
                return False
        return True


def _make_unit_rows(row: RetrainingRow, report: DeadUnitReport) -> list[DeadUnitRow]:
    return [
        DeadUnitRow(
            arm=row.arm,
            trial_id=row.trial_id,
            seed=row.seed,
            layer=units.layer,
            kind=units.kind,
            n_samples=report.n_samples,
            n_units=units.n_units,
            n_dead=units.count("dead"),
            n_inactive=units.count("inactive"),
            active_fraction=units.active_fraction.ravel().tolist(),
        )
        for units in report
    ]
