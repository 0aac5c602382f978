"""Trials that hang, diverge, or take more memory than there is."""

import signal

import keras
import numpy as np
import psutil

from keras_leaky.study import Study, load
from tests.faults.kills import find_workers, study_flags
from tests.faults.recipe_commands import TINY, Command, resume, run_here
from tests.faults.run_outcomes import (
    differences,
    make_row,
    n_ended,
    read_reasons,
    records,
    results,
)

_TIMEOUT = 30  # seconds: the first trial of a worker compiles
_SGD = (*TINY, "--activation=relu", "--optimizer=sgd", "--finalists=1")


def hanging_trial(folder):
    """A worker that is stopped, and never goes on: it is replaced."""
    flags = (*study_flags(12, 2), f"--trial-timeout={_TIMEOUT}")
    ended = Command(*flags, f"--output={folder / 'whole'}", folder=folder).end()
    path = folder / "hanging"
    command = Command(*flags, f"--output={path}", folder=folder)
    command.wait_for(lambda: n_ended(path) >= 2)
    stopped = find_workers(command.process)[0]
    stopped.suspend()
    again = command.end()
    reasons = read_reasons(path)
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
    flags = (*_SGD, "--trials=6", f"--output={path}")
    ended = run_here(*flags, "--learning-rate-range", "1e-4", "1e6")
    trials = load(path).trials
    diverged = [row for row in trials if row.status == "DIVERGED"]
    problems = [] if ended.code == 0 else [ended.error]
    if not 0 < len(diverged) < len(trials) == 6:
        problems.append(f"{len(diverged)} of {len(trials)} trials diverged")
    if not all("training loss became" in row.reason for row in diverged):
        problems.append(f"reasons {[row.reason for row in diverged]}")
    known, expected = records(path), results(path)
    again = run_here(*resume(path))
    problems += [] if (again.code, records(path)) == (0, known) else ["trained again"]
    wrong = differences(path, expected)
    yield make_row("some trials diverge", [ended.code, again.code], problems, wrong)

    path = folder / "all"
    flags = (*_SGD, "--trials=3", f"--output={path}")
    ended = run_here(*flags, "--learning-rate-range", "1e5", "1e6")
    is_said = ended.code == 1 and "none of 3 trials has a score" in (ended.sentence or "")
    statuses = {row.status for row in load(path).trials}
    problems = [] if is_said and statuses == {"DIVERGED"} else [ended.error, statuses]
    yield make_row("all trials diverge", [ended.code], problems)


def trial_without_memory(folder):
    """A net of 3 TB among small ones: its training fails, and the others do not notice."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 784)).astype("float32"), rng.integers(0, 10, 300)
    found = []
    for largest in (10**9, 12):
        study = Study(
            _Net((10, largest)),
            arms=[],
            tuner="grid",
            trials=4,
            seeds=1,
            finalists=1,
            directory=folder / f"{largest}",
        )
        outcome = study.run(x, y, validation_split=0.3, epochs=1, batch_size=50, verbose=0)
        found.append([row for row in outcome.trials if row.hyperparameters["n_units"] != largest])
        if largest == 10**9:
            failed = [row for row in outcome.trials if row not in found[0]]
    problems = []
    if not failed or not all("OOM when allocating" in row.reason for row in failed):
        problems.append(f"failures {failed}")
    scores = [[row.score for row in rows] for rows in found]
    wrong = [] if scores[0] == scores[1] and None not in scores[0] else [f"scores {scores}"]
    yield make_row("trials run out of memory", [], problems, wrong)


class _Net:
    """`build`, with a number of units to choose."""

    def __init__(self, choices):
        self.choices = choices

    def __call__(self, hp, rectifier):
        n_units = hp.Choice("n_units", [*self.choices])
        net = keras.Sequential(
            [
                keras.Input((784,)),
                keras.layers.Dense(n_units, kernel_initializer="zeros"),
                rectifier(),
                keras.layers.Dense(10),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        net.compile(keras.optimizers.SGD(rate), loss=loss, metrics=["accuracy"])
        return net
