"""Seconds a trial of our search against stock KerasTuner's, the same trials in one process."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import keras
import keras_tuner
import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measuring import check_writable, environment, refuse, write_json
from keras_leaky import tuning
from keras_leaky.layers import LeakyReLU

layers = keras.layers


@dataclass
class Options:
    """Random search of alpha and learning rate: trials of ours, of KerasTuner's, of ours, ...

    The images are random: the time does not depend on what is on them. Medians of all trials; the
    first of ours, which compiles, is a column of its own.
    """

    turns: int = 3
    """How often each tuner gets its turn."""
    trials: int = 4
    """Trials in a turn. The first of ours pays for KerasTuner's `clear_session`, so 3 or more."""
    cases: tuple[str, ...] = ("mlp-short", "cnn-short", "cnn-full", "cifar-small")
    """Which nets and data."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows: case, ours_seconds, stock_seconds, ratio, ..."""


@dataclass
class Case:
    image_shape: tuple[int, ...]
    filters: tuple[int, ...]
    n_hidden: int
    n_training: int
    n_validation: int
    n_epochs: int


CASES = {
    "mlp-short": Case((28, 28, 1), (), 2, 10_000, 2_000, 1),
    "cnn-short": Case((28, 28, 1), (16, 32), 1, 10_000, 2_000, 1),
    "cnn-full": Case((28, 28, 1), (16, 32), 1, 51_000, 9_000, 2),
    "cifar-small": Case((32, 32, 3), (16, 32, 64), 1, 10_000, 2_000, 1),
}
BATCH_SIZE = 250


def make_build(case):
    """`build(hp)` as a user writes it: nothing in it is about reusing programs."""

    def build(hp):
        alpha = hp.Float("alpha", 1e-3, 0.5, sampling="log")
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        net = keras.Sequential([keras.Input(case.image_shape), layers.Rescaling(1 / 255)])
        for filters in case.filters:
            net.add(layers.Conv2D(filters, 3, padding="same"))
            net.add(layers.MaxPooling2D())
            net.add(LeakyReLU(alpha))
        net.add(layers.Flatten())
        for _ in range(case.n_hidden):
            net.add(layers.Dense(100))
            net.add(LeakyReLU(alpha))
        net.add(layers.Dense(10))
        net.compile(
            keras.optimizers.Adam(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return net

    return build


def make_data(case, n_images, seed):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (n_images, *case.image_shape)).astype("uint8"),
        rng.integers(0, 10, n_images),
    )


class Stopwatch(keras.callbacks.Callback):
    """Adds up the seconds of epochs, validation included. Tuners copy it for every trial."""

    @classmethod
    def start(cls):
        cls.trial_start, cls.in_epochs = time.perf_counter(), 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        Stopwatch.in_epochs += time.perf_counter() - self.epoch_start


def timed(on_trial_end, seconds, in_epochs):
    """`on_trial_end` that notes how long the trial took."""

    def run(trial):
        on_trial_end(trial)
        seconds.append(time.perf_counter() - Stopwatch.trial_start)
        in_epochs.append(Stopwatch.in_epochs)
        Stopwatch.start()

    return run


def measure(name, options, console):
    """One row."""
    case = CASES[name]
    x, y = make_data(case, case.n_training, 0)
    validation = make_data(case, case.n_validation, 1)
    seconds = {"ours": [], "stock": []}
    in_epochs = {"ours": [], "stock": []}
    quiet: Any = 0
    with tempfile.TemporaryDirectory() as folder:
        tuners = {
            who: module.RandomSearch(
                make_build(case),
                "val_accuracy",
                max_trials=0,
                seed=1,
                directory=folder,
                project_name=who,
            )
            for who, module in (("ours", tuning), ("stock", keras_tuner))
        }
        for who, tuner in tuners.items():
            tuner.on_trial_end = timed(tuner.on_trial_end, seconds[who], in_epochs[who])
        for _ in track(range(options.turns), name, console=console, transient=True):
            for tuner in tuners.values():
                tuner.oracle.max_trials += options.trials
                Stopwatch.start()
                tuner.search(
                    x,
                    y,
                    validation_data=validation,
                    epochs=case.n_epochs,
                    batch_size=BATCH_SIZE,
                    callbacks=[Stopwatch()],
                    verbose=quiet,
                )
        for who, tuner in tuners.items():
            status = [trial.status for trial in tuner.oracle.trials.values()]
            if status != ["COMPLETED"] * options.turns * options.trials:
                raise RuntimeError(f"trials of {who}: {status}")
    ours, stock = (float(np.median(seconds[who])) for who in ("ours", "stock"))
    training = float(np.median(in_epochs["ours"]))  # of a program that is compiled already
    return {
        "case": name,
        "n_trials": options.turns * options.trials,
        "ours_first_seconds": round(seconds["ours"][0], 3),
        "ours_seconds": round(ours, 3),
        "stock_seconds": round(stock, 3),
        "ratio": round(stock / ours, 2),
        "ours_training_fraction": round(training / ours, 2),
        "stock_training_fraction": round(min(1.0, training / stock), 2),
    }


def main(options: Options, console: Console):
    for flag, value, least in (("turns", options.turns, 1), ("trials", options.trials, 3)):
        if value < least:
            refuse(f"`--{flag}` must be at least {least}. Received: {value}")
    for name in options.cases:
        if name not in CASES:
            refuse(f"`--cases` must be of {', '.join(CASES)}. Received: {name}")
    check_writable(options.json)
    console.print(environment(), highlight=False, soft_wrap=True)
    rows = [measure(name, options, console) for name in options.cases]
    heads = ("case", "n", "ours, first", "ours", "stock", "stock / ours", "trains", "stock trains")
    table = Table(*heads, title="Seconds a trial, and the fraction of them that trains")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    write_json(options.json, rows)


if __name__ == "__main__":
    main(tyro.cli(Options), Console())
