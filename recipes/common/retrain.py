"""The chosen point of an arm, trained again from several seeds and tested once."""

import dataclasses
from collections.abc import Callable
from typing import Any

from recipes.common.errors import NoTrialCompletedError, RunError
from recipes.common.options import RunOptions
from recipes.common.progress import Progress
from recipes.common.run_folder import DeadUnitRow, EpochRow, RetrainingRow, RunFolder, TrialRow
from recipes.common.search import ArmSearch, best_trial
from recipes.common.seeds import RETRAIN_STREAM, derive_seed
from recipes.common.space import Arm
from recipes.common.work import Job


class ArmRetraining:
    """Retrainings of the best trial of an arm with `--seeds` seeds, as jobs for lanes.

    Each is tested at its best epoch, and its units are counted there, on validation images. The
    seeds depend on the run's seed alone, so the i-th of every arm form a pair, and none of them is
    a seed of the search. A retraining that diverges counts with the accuracy of what it leaves: its
    best epoch, or a net that has learned nothing.

    Args:
        search: Of the arm. There are no jobs before it is done.
        saves_model: Save the first of the models that have a best epoch as best.keras.
        on_failure: Called if no trial was completed: the arm then has no retrainings. None: the
            error is raised.

    Attributes:
        is_done: Whether all retrainings have ended.
        chosen: The trial whose point is retrained, once that is known.
    """

    def __init__(
        self,
        search: ArmSearch,
        options: RunOptions,
        run: RunFolder,
        progress: Progress,
        saves_model: bool,
        on_failure: Callable[[NoTrialCompletedError, Arm], None] | None = None,
    ) -> None:
        self.search, self.options, self.run, self.progress = search, options, run, progress
        self.saves_model, self.on_failure = saves_model, on_failure
        self.is_done = False
        self.chosen: TrialRow | None = None
        self._waiting: list[Job] = []
        self._n_running = 0
        self._saved: int | None = None  # index of the retraining that best.keras is of

    def next_job(self) -> Job | None:
        """The next retraining, None if there is none now or at all."""
        if self.chosen is None and self.search.is_done and not self.is_done:
            self._begin()
        if not self._waiting:
            return None
        self._n_running += 1
        job = self._waiting.pop(0)
        wants_model = self.saves_model and (self._saved is None or job.index < self._saved)
        return dataclasses.replace(job, wants_model=wants_model)

    def finish(self, job: Job, outcome: dict[str, Any], lost: list[str]) -> None:
        """Records a retraining.

        Args:
            outcome: From `work.perform`.
            lost: What became of workers that did not bring it to an end.

        Raises:
            RunError: Memory ran out: there is nothing to test.
        """
        failure, best = outcome["failure"], outcome.get("best")
        if outcome["is_out_of_memory"]:
            raise RunError(f"A {job} ran {failure}. Lower `--batch-size`, or `--workers`.")
        (epochs,) = outcome["epochs"]
        identity = job.arm, job.trial_id, job.seeds[0]
        row = RetrainingRow(
            *identity,
            val_accuracy=best["val_accuracy"] if best else None,
            test_accuracy=outcome["test_accuracy"],
            best_epoch=best["epoch"] if best else None,
            seconds=outcome["seconds"],
            reason="; ".join([*([failure] if failure else []), *lost]),
        )
        model = outcome["model"]
        if model is not None and self._saved is not None and self._saved < job.index:
            model = None  # several ran at a time
        elif model is not None:
            self._saved = job.index
        n_images = outcome["n_dead_unit_images"]
        self.run.add_retraining(
            row,
            [EpochRow("retrain", *identity, **epoch) for epoch in epochs],
            [DeadUnitRow(*identity, n_images, **layer) for layer in outcome["dead_units"]],
            model=model,
            index=job.index,
        )
        self.progress.retraining_done(row, job.n_epochs)
        self._n_running -= 1
        self._end_if_done()

    def save(self) -> None:
        """Brings the tables in step with what has finished."""
        self.run.write_tables()

    def _begin(self) -> None:
        """Chooses the point, keeps what an earlier session has retrained, and lists the rest."""
        options = self.options
        assert options.epochs is not None
        try:
            self.chosen = chosen = best_trial(self.run, self.search.arm.name)
        except NoTrialCompletedError as error:
            if self.on_failure is None:
                raise
            self.is_done = True
            self.on_failure(error, self.search.arm)
            return
        kept = self.run.kept_retrainings(chosen, with_model=self.saves_model)
        for i in range(options.seeds):
            seed = derive_seed(options.seed, RETRAIN_STREAM, i)
            if seed in kept:
                self.progress.retraining_done(kept[seed], options.epochs, kept=True)
                if kept[seed] == self.run.model_row:
                    self._saved = i
                continue
            point = chosen.alpha, chosen.learning_rate, options.epochs, (seed,)
            self._waiting.append(Job("retrain", chosen.arm, chosen.trial_id, *point, i))
        self._end_if_done()

    def _end_if_done(self) -> None:
        self.is_done = not self._waiting and self._n_running == 0
        if self.is_done and self.saves_model and self._saved is None:
            self.run.remove_model()  # of an earlier choice of point
