"""What a person sees while a search runs: a live bar on a terminal, a line a trial elsewhere."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from recipes.common.run_folder import RetrainingRow, TrialRow

if TYPE_CHECKING:  # at run time it would bring in Keras, and a page is drawn without it
    from recipes.common.training import Epoch
    from recipes.common.work import Job

MAX_LANES_SHOWN = 8


class Progress:
    """Counts trials and retrainings; estimates the time left from the epochs trained so far.

    Use as a context manager around the work. A run in this process tells it what was `started` and
    of every epoch; one on workers has it `show_lanes` from time to time.
    """

    def __init__(self, console: Console, n_runs: int, n_epochs: int) -> None:
        """`n_runs` trials and retrainings are to come, with `n_epochs` epochs in all."""
        self.console = console
        self.n_runs, self.n_epochs = n_runs, n_epochs
        self._n_done = 0
        self._n_epochs_settled = 0  # epochs of finished runs, also those that a failure saved
        self._n_epochs_running = 0
        self._n_epochs_kept = 0  # of earlier sessions: they cost nothing now
        self._best: dict[str, TrialRow] = {}
        self._current = ""
        self._start: float | None = None
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=n_runs, count="", left="")
        self._n_kept = 0
        self._lanes: list[TaskID] = []

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self) -> None:
        """The clock runs: workers have come up, and there is something to train."""
        if self._start is None:
            self._start = time.monotonic()

    def started(self, job: "Job") -> None:
        """A trial or a retraining in this process."""
        self.begin()
        text = str(job)
        if job.phase == "search":
            best = self._best.get(job.arm)
            found = f", best so far {best.score:.4f}" if best else ""
            text = f"{job.arm} {format_point(job.alpha, job.learning_rate)}{found}"
        self._current, self._n_epochs_running = text, 0
        self._show(text)

    def show_lanes(self, running: "Mapping[str, tuple[Job, float]]", n_lanes: int) -> None:
        """What the workers are doing.

        Args:
            running: Job and seconds so far, by worker.
            n_lanes: Workers in all.
        """
        busy = f"{len(running)} of {n_lanes} workers busy"
        self._show(busy if n_lanes else "waiting for workers")
        jobs = list(running.values())[:MAX_LANES_SHOWN]
        texts = [f"  {job}, {seconds:.0f} s" for job, seconds in jobs]
        while len(self._lanes) < len(texts):
            self._lanes.append(self._bar.add_task("", total=None, count="", left=""))
        for i, lane in enumerate(self._lanes):
            is_busy = i < len(texts)
            self._bar.update(lane, description=texts[i] if is_busy else "", visible=is_busy)

    def warn(self, text: str) -> None:
        """Says what must not be overlooked."""
        self.console.print(f"Note: {text}", style="bold yellow", markup=False, soft_wrap=True)

    def epoch_done(self, epoch: "Epoch") -> None:
        self._n_epochs_running += 1
        self._show(f"{self._current} [dim]epoch {epoch.epoch}: {epoch.val_accuracy:.4f}[/dim]")

    def trial_done(self, row: TrialRow, n_epochs: int) -> None:
        self._finish(n_epochs)
        self._say_trial(row)

    def trial_kept(self, row: TrialRow, n_epochs: int) -> None:
        """A trial that an earlier session finished."""
        self._finish(n_epochs, kept=True)
        self._say_trial(row, " (kept)")

    def retraining_done(self, row: RetrainingRow, n_epochs: int, kept: bool = False) -> None:
        self._finish(n_epochs, kept)
        failed = f"  {row.reason}" if row.reason else ""
        self._say(
            f"retrained {row.arm} seed {row.seed}  test {row.test_accuracy:.4f}  "
            f"{row.seconds:.1f} s{' (kept)' if kept else ''}{failed}"
        )

    def _finish(self, n_epochs: int, kept: bool = False) -> None:
        self._n_done += 1
        self._n_epochs_settled += n_epochs
        self._n_epochs_kept += n_epochs if kept else 0
        self._n_kept += kept
        self._n_epochs_running = 0
        if self._n_done == self.n_runs:
            self._show("done")

    def _say_trial(self, row: TrialRow, note: str = "") -> None:
        best = self._best.get(row.arm)
        if row.score is not None and (best is None or row.score > (best.score or 0)):
            self._best[row.arm] = best = row
        outcome = row.reason if row.score is None else f"val_accuracy {row.score:.4f}"
        found = f"  best {best.score:.4f}" if best else ""
        self._say(
            f"{row.arm} {row.trial_id}  {format_point(row.alpha, row.learning_rate)}  {outcome}  "
            f"{row.seconds:.1f} s{note}{found}"
        )

    def _say(self, line: str) -> None:
        left = "" if self.console.is_terminal else f"  {self._time_left()}"
        width = len(str(self.n_runs))
        count = f"[{self._n_done:{width}}/{self.n_runs}]"
        text = f"{count} {line}{left}".rstrip()
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, text: str) -> None:
        self._bar.update(
            self._task,
            description=text,
            completed=self._n_done,
            count=f"{self._n_done}/{self.n_runs}",
            left=self._time_left(),
        )

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


def format_point(alpha: float | None, learning_rate: float) -> str:
    """A point of the search space as a person reads it."""
    start = "" if alpha is None else f"alpha {alpha:.3g}  "
    return f"{start}learning rate {learning_rate:.3g}"
