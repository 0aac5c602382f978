"""The display of a running study: a live bar on a terminal, one line per training elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner
from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from keras_leaky.study.arms import Arm
from keras_leaky.study.rows import RetrainingRow
from keras_leaky.study.wording import describe_fraction
from keras_leaky.tuning.successive_halving import FRACTION

MAX_LANES_SHOWN = 8


class SteadyConsole(Console):
    """A console that falls silent when its reader goes away (`| head`): the study goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console(verbose: int) -> Console:
    """The console of a study; a silent one for `verbose=0`."""
    return SteadyConsole(highlight=False, soft_wrap=True, quiet=not verbose)


def print_note(console: Console, text: str) -> None:
    """Prints a warning for the user."""
    console.print(f"Note: {text}", style="bold yellow", markup=False)


class Progress:
    """Counts trainings; estimates the time left from the epochs trained so far.

    Use as a context manager around the work.

    Args:
        console: Console to write to.
        objective: Objective of the study.
        n_runs: Trials and retrainings that are to come.
        n_epochs: Epochs of all of them.
    """

    def __init__(
        self, console: Console, objective: keras_tuner.Objective, n_runs: int, n_epochs: float
    ) -> None:
        self.console, self.n_runs, self.n_epochs = console, n_runs, n_epochs
        self._objective = objective
        self._n_done = self._n_kept = 0
        self._n_epochs_settled = 0  # of ended runs, also epochs that an early end saved
        self._n_epochs_running = 0
        self._n_epochs_kept = 0  # from earlier sessions: they cost nothing now
        self._best: dict[str, float] = {}
        self._current = ""
        self._start: float | None = None
        self._running: Callable[[], Mapping[Any, tuple[Any, float]]] | None = None
        self._bar = _LiveBar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal or console.quiet,
        )
        self._bar.before_refresh = self._show_lanes
        self._task = self._bar.add_task("starting", total=n_runs, count="", left="")
        self._lanes: list[TaskID] = []

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running = None
        self._bar.stop()

    def watch_workers(self, running: Callable[[], Mapping[Any, tuple[Any, float]]]) -> None:
        """Shows what workers do.

        Args:
            running: Returns job and seconds so far, by worker.
        """
        self._running = running

    def begin(self) -> None:
        """Starts the clock: workers are ready, and there is something to train."""
        if self._start is None:
            self._start = time.monotonic()

    def show_trial(self, arm: Arm, values: Mapping[str, Any]) -> None:
        """Shows a trial that begins in this process."""
        best = self._best.get(str(arm.name))
        found = "" if best is None else f", best so far {best:.4f}"
        self._current = f"{arm.title} {format_point(values)}{found}"
        self._n_epochs_running = 0
        self._show(self._current)

    def show_retraining(self, arm: Arm, stage: str, seed: int) -> None:
        """Shows a retraining that begins in this process."""
        what = "finalist" if stage == "finalist" else "final retraining"
        self._current, self._n_epochs_running = f"{arm.title}, {what}, seed {seed}", 0
        self._show(self._current)

    def epoch_done(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Counts an epoch of a training in this process."""
        self._n_epochs_running += 1
        value = logs.get(self._objective.name)
        told = "" if value is None else f": {float(value):.4f}"
        self._show(f"{self._current} [dim]epoch {epoch + 1}{told}[/dim]")

    def trial_done(self, arm: Arm, trial: Any, n_epochs: float, seconds: float) -> None:
        self._finish(n_epochs)
        self._say_trial(arm, trial, f"{seconds:.1f} s")

    def trial_kept(self, arm: Arm, trial: Any, n_epochs: float) -> None:
        """Counts a trial that an earlier session finished."""
        self._finish(n_epochs, is_kept=True)
        self._say_trial(arm, trial, "(kept)")

    def retraining_done(self, arm: Arm, row: RetrainingRow, n_epochs: float) -> None:
        self._finish(n_epochs)
        self._say_retraining(arm, row, f"{row.seconds:.1f} s")

    def retraining_kept(self, arm: Arm, row: RetrainingRow, n_epochs: float) -> None:
        """Counts a retraining that an earlier session finished."""
        self._finish(n_epochs, is_kept=True)
        self._say_retraining(arm, row, "(kept)")

    def arm_failed(self, arm: Arm) -> None:
        """Says that no trial of an arm has a score."""
        self.warn(f"no trial of {arm.title} has a score, so the arm has no result.")

    def warn(self, text: str) -> None:
        """Prints a warning for the user."""
        print_note(self.console, text)

    def _finish(self, n_epochs: float, is_kept: bool = False) -> None:
        self._n_done += 1
        self._n_kept += is_kept
        self._n_epochs_settled += n_epochs
        self._n_epochs_kept += n_epochs if is_kept else 0
        self._n_epochs_running = 0

    def _say_trial(self, arm: Arm, trial: Any, note: str) -> None:
        name, score = str(arm.name), trial.score
        outcome = (trial.message or "failed").strip().splitlines()[-1]
        if trial.status == "COMPLETED":
            best = self._best.get(name)
            if best is None or self._objective.better_than(score, best):
                self._best[name] = score
            outcome = f"{self._objective.name} {score:.4f}"
        best = self._best.get(name)
        found = "" if best is None else f"  best {best:.4f}"
        point = format_point(trial.hyperparameters.values)
        fraction = trial.hyperparameters.values.get(FRACTION, 1)
        part = f"  {describe_fraction(fraction).removeprefix('with ')}" if fraction < 1 else ""
        self._say(f"{arm.name} {trial.trial_id}  {point}{part}  {outcome}  {note}{found}")

    def _say_retraining(self, arm: Arm, row: RetrainingRow, note: str) -> None:
        score = (
            "no score" if row.val_score is None else f"{self._objective.name} {row.val_score:.4f}"
        )
        why = f"  {row.reason}" if row.reason else ""
        self._say(f"{arm.name} {row.trial_id}  {row.stage} seed {row.seed}  {score}  {note}{why}")

    def _say(self, line: str) -> None:
        left = "" if self.console.is_terminal else f"  {self._time_left()}"
        width = len(str(self.n_runs))
        text = f"[{self._n_done:{width}}/{self.n_runs}] {line}{left}".rstrip()
        self.console.print(text, markup=False)
        if self.console.is_terminal:
            self._show(self._current)

    def _show(self, text: str) -> None:
        self._bar.update(
            self._task,
            description=text,
            completed=self._n_done,
            total=max(self.n_runs, self._n_done),
            count=f"{self._n_done}/{self.n_runs}",
            left=self._time_left(),
        )

    def _show_lanes(self) -> None:
        if self._running is None:
            return
        running = list(self._running().values())
        self._show(f"{len(running)} workers busy" if running else "waiting for workers")
        texts = [f"  {job}, {seconds:.0f} s" for job, seconds in running[:MAX_LANES_SHOWN]]
        while len(self._lanes) < len(texts):
            self._lanes.append(self._bar.add_task("", total=None, count="", left=""))
        for i, lane in enumerate(self._lanes):
            is_busy = i < len(texts)
            self._bar.update(lane, description=texts[i] if is_busy else "", visible=is_busy)

    def _time_left(self) -> str:
        trained = self._n_epochs_settled + self._n_epochs_running - self._n_epochs_kept
        left = self.n_epochs - self._n_epochs_settled - self._n_epochs_running
        if trained <= 0 or left <= 0 or self._start is None:
            return ""
        elapsed = time.monotonic() - self._start
        seconds = elapsed / trained * left
        text = f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
        n_finished = self._n_done - self._n_kept
        if not (self.console.is_terminal and n_finished and elapsed > 0):
            return f"about {text}"
        return f"about {text}, {3600 * n_finished / elapsed:.0f} trainings an hour"


class _LiveBar(Bar):
    """A bar that asks for news each time that it draws itself."""

    before_refresh: Callable[[], None] | None = None
    _is_asking: bool = False

    def refresh(self) -> None:
        if self.before_refresh and not self._is_asking:
            self._is_asking = True
            try:
                self.before_refresh()
            finally:
                self._is_asking = False
        super().refresh()


class EpochProgress(keras.callbacks.Callback):
    """Tells a `Progress` of every epoch in this process."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def __deepcopy__(self, memo: Any) -> "EpochProgress":
        return EpochProgress(self._progress)  # a tuner copies callbacks for each training

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._progress.epoch_done(epoch, logs or {})


def format_point(values: Mapping[str, Any]) -> str:
    """A point of the search space as a person reads it."""
    told = {name: value for name, value in values.items() if not name.startswith("tuner/")}
    texts = {"learning_rate": "learning rate"}
    return "  ".join(
        f"{texts.get(name, name)} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in told.items()
    )
