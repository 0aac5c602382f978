"""Trials that hang, diverge, or take more memory than there is."""

import signal
from functools import partial

import keras
import psutil

from keras_leaky.tuning import Trainer
from recipes.common.data import DATASETS, load, split
from recipes.common.run_folder import RunFolder
from recipes.common.training import train
from tests.faults.kills import find_workers, search_flags
from tests.faults.recipe_commands import TINY, Command, resume, run_here
from tests.faults.run_outcomes import differences, make_row, records, results

_TIMEOUT = 30  # seconds: the first trial of a worker compiles


def hanging_trial(folder):
    """A worker that is stopped, and never goes on: it is replaced."""
    flags = (*search_flags(12, 2), f"--trial-timeout={_TIMEOUT}")
    ended = Command(*flags, f"--output={folder / 'whole'}", folder=folder).end()
    path = folder / "hanging"
    command = Command(*flags, f"--output={path}", folder=folder)
    command.wait_for(lambda: len(records(path)) >= 2)
    stopped = find_workers(command.process)[0]
    stopped.suspend()
    again = command.end()
    reasons = [row.reason for row in RunFolder.open(path, repair=False).trials]
    problems = [e.error for e in (ended, again) if e.code or e.has_traceback]
    if not any(f"ran past the time limit of {_TIMEOUT} s" in reason for reason in reasons):
        problems.append(f"no trial ran out of time: {reasons}")
    if stopped.is_running() and stopped.status() != psutil.STATUS_ZOMBIE:
        problems.append("the worker that was stopped is still there")
        stopped.send_signal(signal.SIGKILL)
    wrong = differences(path, results(folder / "whole"))
    yield make_row("a worker hangs", [ended.code, again.code], problems, wrong)


def diverging_trials(folder):
    """Learning rates at which the loss becomes NaN: some trials of a search, and all of them."""
    path = folder / "some"
    flags = (*TINY, "--trials=6", f"--output={path}")
    ended = run_here(*flags, "--learning-rate-range", "1e-4", "1e30")
    trials = RunFolder.open(path).trials
    failed = [row for row in trials if row.status == "FAILED"]
    problems = [] if ended.code == 0 else [ended.error]
    if not 0 < len(failed) < len(trials) == 6:
        problems.append(f"{len(failed)} of {len(trials)} trials failed")
    if not all(row.reason.startswith("training loss became") for row in failed):
        problems.append(f"reasons {[row.reason for row in failed]}")
    known, expected = records(path), results(path)
    again = run_here(*resume(path))
    problems += [] if (again.code, records(path)) == (0, known) else ["trained again"]
    wrong = differences(path, expected)
    yield make_row("some trials diverge", [ended.code, again.code], problems, wrong)

    path = folder / "all"
    flags = (*TINY, "--trials=3", f"--output={path}")
    ended = run_here(*flags, "--learning-rate-range", "1e29", "1e30")
    is_said = ended.code == 1 and "All 3 trials of relu failed" in (ended.sentence or "")
    statuses = {row.status for row in RunFolder.open(path).trials}
    problems = [] if is_said and statuses == {"FAILED"} else [ended.error, statuses]
    yield make_row("all trials diverge", [ended.code], problems)


def trial_without_memory(folder):
    """A net of 3 TB, as no flag of a recipe asks for: its training fails, the next one does not."""
    data = split(load(DATASETS["mnist"], "synthetic", None), 200)
    trainer = Trainer()
    shared = {"seed": 1, "n_epochs": 1, "batch_size": 50, "on_epoch": lambda _: None}
    trainings = [
        train(trainer, partial(_net, n_units), data, **shared) for n_units in (10, 10**9, 10)
    ]
    failures = [training.failure for training in trainings]
    problems = []
    if not str(failures[1]).startswith("out of memory: ") or not trainings[1].is_out_of_memory:
        problems.append(f"failures {failures}")
    wrong = [] if trainings[0].epochs == trainings[2].epochs else ["the training after it"]
    yield make_row("a trial runs out of memory", [], problems, wrong)


def _net(n_units):
    net = keras.Sequential(
        [
            keras.Input((28, 28), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(n_units, kernel_initializer="zeros"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    return net
