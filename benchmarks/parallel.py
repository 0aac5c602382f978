"""What a parallel search costs its driver, and what it gains.

By default a study of three arms, with its oracles, records, tables and pool, whose trainings sleep.
Its workers are threads of this process, so that there can be many. The scheduler and the workers
then share the one interpreter with the driver, and slow it down.
"""

import dataclasses
import itertools
import logging
import os
import pkgutil
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import keras
import numpy as np
import tyro
from distributed import Client, LocalCluster
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import check_writable, environment, refuse, write_json
from benchmarks.search_cases import BATCH_SIZE, CASES, load_data, make_build
from keras_leaky.study import Study
from keras_leaky.tuning import RandomSearch, WorkerPool, local_workers

N_EPOCHS = 2
ARMS = ("leaky_relu", "elu")
# What trains on a worker, by the names that nobody else may import.
_TRIAL = "keras_leaky.tuning._lanes.search.TrialWork.__call__"
_RETRAINING = "keras_leaky.tuning._lanes.training.TrainingWork.__call__"


@dataclass
class Options:
    """Studies whose trainings sleep, on several numbers of workers; or real searches."""

    workers: tuple[int, ...] = (1, 2, 4, 8, 64)
    """Numbers of workers; with `--data-dir` 1 and 2, and 0 is this process with all threads."""
    seconds: tuple[float, ...] = (0.05, 0.25, 1.0)
    """How long a training sleeps."""
    rounds: int = 8
    """Trials of each worker in each arm, and at least 32 in all."""
    growth: int = 0
    """Instead: one search of so many trials that sleep 10 ms, on 8 workers, in ten parts."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Instead: trials of the MNIST CNN on the images in this folder, in worker processes."""
    trials: int = 12
    """Trials of a search of the CNN."""
    turns: int = 3
    """Searches of each number of workers, in turn."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows."""


class Sleep:
    """In the place of a training: the first is real, the others sleep and return the same."""

    def __init__(self, real, name, seconds):
        self._real, self._name, self._seconds = real, name, seconds
        self._lock, self._first = threading.Lock(), None

    def __call__(self, work, *arguments):
        with self._lock:
            if self._first is None:
                self._first = self._real(work, *arguments)
        time.sleep(self._seconds)
        changes = {self._name: arguments[0]}
        if self._name == "point":
            changes["seed"] = arguments[1]
        return dataclasses.replace(self._first, **changes)

    def __get__(self, work, _):  # as a function in a class: a method of its object
        return lambda *arguments: self(work, *arguments)


class Clocks:
    """When each training began and ended, and how long the driver was at work until then.

    At work is what is spent outside of `WorkerPool.wait`, and the processor's time inside it: there
    the driver unpickles results and asks the scheduler for its workers, and else it waits.

    Args:
        n_workers: All must be there before the first training begins.
    """

    def __init__(self, n_workers):
        self._n_workers = n_workers
        self._at_work = 0.0
        self._last = self._start = None
        self.starts: list[float] = []
        self.ends: list[tuple[float, float, float]] = []  # wall, at work, processor

    @contextmanager
    def watching(self):
        submit, wait = WorkerPool.submit, WorkerPool.wait

        def watched_submit(pool, *arguments):
            if self._start is None:
                while pool.n_lanes < self._n_workers:
                    wait(pool, 0.1)
                self._start = self._last = _clocks()
            self.starts.append(_clocks()[0] - self._start[0])
            submit(pool, *arguments)

        def watched_wait(pool, *arguments):
            before = _clocks()
            finished = wait(pool, *arguments)
            if self._start is not None and self._last is not None:
                self._take_note(len(finished), before)
            return finished

        with (
            mock.patch.object(WorkerPool, "submit", watched_submit),
            mock.patch.object(WorkerPool, "wait", watched_wait),
        ):
            yield

    def _take_note(self, n_finished, before):
        assert self._start is not None
        assert self._last is not None
        now = _clocks()
        self._at_work += before[0] - self._last[0] + now[1] - before[1]
        end = now[0] - self._start[0], self._at_work, now[1] - self._start[1]
        self.ends += [end] * n_finished
        self._last = now


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


def build(hp, rectifier):
    """A net that is trained once, before its trainings sleep."""
    layers = [keras.Input((4,)), keras.layers.Dense(4), rectifier(), keras.layers.Dense(2)]
    net = keras.Sequential(layers)
    net.compile(
        keras.optimizers.SGD(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return net


def sleeping_study(client, n_workers, n_trials, seconds, arms, seeds):
    """The clocks of a study of so many trials an arm."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)).astype("float32"), np.arange(64) % 2
    clocks = Clocks(n_workers)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for target, name in ((_TRIAL, "hyperparameters"), (_RETRAINING, "point")):
            real = pkgutil.resolve_name(target)
            stack.enter_context(mock.patch(target, Sleep(real, name, seconds)))

        def run(name, **kwargs):
            study = Study(build, finalists=1, directory=Path(folder, name), **kwargs)
            study.run(
                *(x, y), validation_split=0.25, epochs=N_EPOCHS, batch_size=32, client=client,
                verbose=0,
            )  # fmt: skip

        run("first", arms=(), trials=1, seeds=1)  # the trainings that are real
        with clocks.watching():
            run("run", arms=arms, trials=n_trials, seeds=seeds)
    return clocks


def measure_sleeping(n_workers, seconds, rounds):
    """One row."""
    n_trials = n_workers * max(rounds, -(-32 // n_workers))
    with thread_workers(n_workers) as client:
        clocks = sleeping_study(client, n_workers, n_trials, seconds, ARMS, seeds=n_workers)
    wall, at_work, processor = clocks.ends[-1]
    n = len(clocks.ends)
    # Until the last training begins every lane has something to do, whatever arm it is of.
    last = clocks.starts[-1]
    before = [end for end, *_ in clocks.ends if end <= last]
    busy = len(before) * seconds / n_workers / before[-1]
    return {
        "n_workers": n_workers,
        "training_seconds": seconds,
        "n_trainings": n,
        "driver_ms": round(1000 * at_work / n, 2),
        "of_it_processor_ms": round(1000 * processor / n, 2),
        "between_trainings_ms": round(1000 * (wall * n_workers / n - seconds), 1),
        "busy_fraction": round(busy, 3),
        "trainings_per_second": round(n / wall, 1),
    }


def measure_growth(n_trials):
    """A row for each tenth of the search of one arm."""
    with thread_workers(8) as client:
        found = sleeping_study(client, 8, n_trials, 0.01, (), seeds=1)
    clocks = [(0.0, 0.0, 0.0), *found.ends]
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
    (x, y), validation = data
    case = CASES["cnn-full"]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        client = stack.enter_context(local_workers(n_workers)) if n_workers else None
        tuner = RandomSearch(
            make_build(case, options.precision),
            "val_accuracy",
            max_trials=options.trials,
            seed=1,
            directory=folder,
        )
        start = time.perf_counter()
        tuner.search(
            x,
            y,
            validation_data=validation,
            epochs=case.n_epochs,
            batch_size=BATCH_SIZE,
            client=client,
            verbose=0,
        )
        seconds = time.perf_counter() - start
        return seconds, time.perf_counter() - begin


def measure_real(options, console):
    data = load_data(CASES["cnn-full"], options.data_dir)
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
        title = "Trainings that sleep, on workers that are threads of this process"
        pairs = [(n, s) for n in options.workers for s in options.seconds]
        rows = [measure_sleeping(n, s, options.rounds) for n, s in pairs]
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    write_json(options.json, rows)


if __name__ == "__main__":
    main(tyro.cli(Options), Console())
