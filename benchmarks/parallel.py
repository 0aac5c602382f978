"""What a parallel search costs its driver, and what it gains.

Everything is the way of `recipes.mnist --workers N`: oracle, records, tables, pool. By default the
trials sleep and the workers are threads of this process, so that there can be many. The scheduler
and the workers then share the one interpreter with the driver, and slow it down.
"""

import io
import itertools
import logging
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import keras
import tyro
from distributed import Client, LocalCluster
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import check_writable, environment, refuse, write_json
from keras_leaky.tuning import WorkerPool
from recipes.common import data as data_module
from recipes.common.lanes import WorkerLanes, open_lanes, run_jobs
from recipes.common.options import resolve
from recipes.common.progress import Progress
from recipes.common.run_folder import RunFolder
from recipes.common.search import ArmSearch
from recipes.common.search_options import MnistOptions
from recipes.common.space import arms
from recipes.common.work import Workplace

N_EPOCHS = 2


@dataclass
class Options:
    """Searches whose trials sleep, on several numbers of workers; with `--data-dir` real ones."""

    workers: tuple[int, ...] = (1, 2, 4, 8, 64)
    """Numbers of workers; with `--data-dir` 1 and 2, and 0 is this process with all threads."""
    seconds: tuple[float, ...] = (0.05, 0.25, 1.0)
    """How long a trial sleeps."""
    rounds: int = 8
    """Trials of each worker, and at least 32 in all."""
    growth: int = 0
    """Instead: one search of so many trials that sleep 10 ms, on 8 workers, in ten parts."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Instead: trials of the MNIST CNN on the images in this folder, in worker processes."""
    trials: int = 12
    """Trials of a search of the CNN."""
    turns: int = 3
    """Searches of each number of workers, in turn."""
    train_limit: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Of the recipe: fewer training images."""
    precision: str = "float32"
    """Of the recipe."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows."""


def sleep_instead(seconds, job):
    """In place of `recipes.common.work.perform`."""
    time.sleep(seconds)
    epochs = [
        {"epoch": i + 1, "loss": 0.5, "accuracy": 0.5, "val_loss": 0.5, "val_accuracy": 0.9}
        for i in range(job["n_epochs"])
    ]
    return {
        "seconds": seconds,
        "failure": None,
        "is_out_of_memory": False,
        "epochs": [epochs for _ in job["seeds"]],
    }


class TimedLanes:
    """Lanes that take down when each trial ended, and how long the driver was at work until then.

    At work is what is spent outside of `wait`, and the processor's time inside it: there the driver
    unpickles results and asks the scheduler for its workers, and else it waits.
    """

    def __init__(self, lanes):
        self._lanes = lanes
        self._at_work = 0.0
        self._last = self._start = None
        self.ends: list[tuple[float, float, float]] = []  # wall, at work, processor

    def has_room(self):
        return self._lanes.has_room()

    def start(self, job):
        if self._start is None:
            self._start = self._last = _clocks()
        self._lanes.start(job)

    def wait(self):
        before = _clocks()
        finished = self._lanes.wait()
        now = _clocks()
        if self._start is not None and self._last is not None:
            self._at_work += before[0] - self._last[0] + now[1] - before[1]
            end = now[0] - self._start[0], self._at_work, now[1] - self._start[1]
            self.ends += [end] * len(finished)
        self._last = now
        return finished


def _clocks():
    return time.perf_counter(), time.thread_time()


@contextmanager
def thread_workers(n):
    """A client of `n` workers in threads of this process."""
    # What the pool wants of a process that has imported Keras. Nothing is computed.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ["KERAS_BACKEND"] = keras.backend.backend()
    with (
        LocalCluster(
            n_workers=n,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            memory_limit=None,  # each would take the whole process for its own
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(n)
        yield client


def search(options, lanes, progress, folder):
    """Runs the search of the first arm."""
    arm = arms(options)[0]
    config = {"given": {}, "options": {}, "fingerprint": {}, "arms": [arm.name]}
    run = RunFolder.create(folder, config, overwrite=False)
    timed = TimedLanes(lanes)
    run_jobs([ArmSearch(arm, options, run, progress)], timed)
    return timed


def sleeping_search(client, n_workers, n_trials, seconds):
    options = resolve(MnistOptions(trials=n_trials, epochs=N_EPOCHS))
    progress = Progress(Console(file=io.StringIO()), n_trials, N_EPOCHS * n_trials)
    with (
        tempfile.TemporaryDirectory() as folder,
        WorkerPool(client, sleep_instead, seconds) as pool,
    ):
        while pool.n_lanes < n_workers or len(pool._free_lanes()) < n_workers:
            pool.wait(0.1)
            time.sleep(0.05)
        return search(options, WorkerLanes(pool, progress), progress, Path(folder, "run"))


def measure_sleeping(n_workers, seconds, rounds):
    """One row."""
    n_trials = n_workers * max(rounds, -(-32 // n_workers))
    with thread_workers(n_workers) as client:
        timed = sleeping_search(client, n_workers, n_trials, seconds)
    wall, at_work, processor = timed.ends[-1]
    return {
        "n_workers": n_workers,
        "trial_seconds": seconds,
        "n_trials": n_trials,
        "driver_ms": round(1000 * at_work / n_trials, 2),
        "of_it_processor_ms": round(1000 * processor / n_trials, 2),
        "between_trials_ms": round(1000 * (wall * n_workers / n_trials - seconds), 1),
        "busy_fraction": round(seconds * n_trials / n_workers / wall, 3),
        "trials_per_second": round(n_trials / wall, 1),
    }


def measure_growth(n_trials):
    """A row for each tenth of a long search."""
    with thread_workers(8) as client:
        timed = sleeping_search(client, 8, n_trials, 0.01)
    clocks = [(0.0, 0.0, 0.0), *timed.ends]
    edges = [n_trials * i // 10 for i in range(11)]

    def per_trial(clock, start, end):
        return round(1000 * (clocks[end][clock] - clocks[start][clock]) / (end - start), 2)

    return [
        {
            "until_trial": end,
            "driver_ms": per_trial(1, start, end),
            "of_it_processor_ms": per_trial(2, start, end),
        }
        for start, end in itertools.pairwise(edges)
    ]


def real_search(n_workers, options, data):
    """Seconds from the first trial to the end of the last, and from nothing."""
    begin = time.perf_counter()
    recipe = resolve(
        MnistOptions(
            workers=n_workers,
            trials=options.trials,
            epochs=N_EPOCHS,
            train_limit=options.train_limit,
            precision=options.precision,
        )
    )
    arm = arms(recipe)[0]
    progress = Progress(Console(file=io.StringIO()), options.trials, N_EPOCHS * options.trials)
    place = Workplace(recipe, data, {arm.name: arm})
    with tempfile.TemporaryDirectory() as folder:
        with open_lanes(recipe, place, progress) as lanes:
            timed = search(recipe, lanes, progress, Path(folder, "run"))
        return timed.ends[-1][0], time.perf_counter() - begin


def measure_real(options, console):
    data = data_module.split(
        data_module.load(data_module.DATASETS["mnist"], "auto", options.data_dir),
        options.train_limit,
    )
    counts = options.workers if options.workers != Options().workers else (1, 2)
    found: dict[int, list[Any]] = {n: [] for n in counts}
    for turn in range(options.turns):
        for n in counts:
            seconds, whole = real_search(n, options, data)
            found[n].append((seconds, whole))
            console.print(f"turn {turn + 1}, {n} workers: {seconds:.1f} s, {whole:.1f} s in all")
    medians = {n: [statistics.median(x) for x in zip(*found[n], strict=True)] for n in counts}
    first = medians[counts[0]]
    return [
        {
            "n_workers": n,
            "n_searches": options.turns,
            "trials_per_hour": round(3600 * options.trials / medians[n][0]),
            "gain": round(first[0] / medians[n][0], 2),
            "whole_seconds": round(medians[n][1], 1),
            "whole_gain": round(first[1] / medians[n][1], 2),
        }
        for n in counts
    ]


def check(options):
    for flag in ("rounds", "trials", "turns"):
        if getattr(options, flag) < 1:
            refuse(f"`--{flag}` must be at least 1. Received: {getattr(options, flag)}")
    least = 1 if options.data_dir is None else 0
    if not all(n >= least for n in options.workers):
        refuse(f"`--workers` must be at least {least}. Received: {options.workers}")
    if not all(seconds > 0 for seconds in options.seconds):
        refuse(f"`--seconds` must be above 0. Received: {options.seconds}")
    if options.growth and options.growth < 10:
        refuse(f"`--growth` must be at least 10. Received: {options.growth}")
    check_writable(options.json)


def main(options: Options, console: Console):
    check(options)
    console.print(environment(), highlight=False, soft_wrap=True)
    if options.data_dir is not None:
        title = f"Searches of {options.trials} trials of the MNIST CNN, medians"
        rows = measure_real(options, console)
    elif options.growth:
        title, rows = "Driver time a trial as a search grows", measure_growth(options.growth)
    else:
        title = "Trials that sleep, on workers that are threads of this process"
        pairs = [(n, s) for n in options.workers for s in options.seconds]
        rows = [measure_sleeping(n, s, options.rounds) for n, s in pairs]
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    write_json(options.json, rows)


if __name__ == "__main__":
    main(tyro.cli(Options), Console())
