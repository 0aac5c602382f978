"""What a measurement of `DeadUnitMonitor` costs, as a share of an epoch of the compiled trainer.

The peer is a forward pass over the same images by `model.predict`, which counts nothing.
"""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.progress import track

from benchmarks.measuring import environment
from keras_leaky.diagnostics import DeadUnitMonitor
from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning import Trainer


@dataclass
class Options:
    """The cost of counting dead units at every epoch of a training on the size of MNIST."""

    images: int = 51000
    """Training images, drawn at random: the time does not depend on what is on them."""
    sample: int = 1000
    """Images that units are judged by."""
    batch_size: int = 128
    """Images a training step."""
    epochs: int = 7
    """Epochs that are timed."""


def make_mlp():
    layers = [keras.layers.Flatten()]
    for _ in range(2):
        layers += [keras.layers.Dense(100), LeakyReLU(0.1)]
    return layers


def make_cnn():
    layers: Any = [keras.layers.Reshape((28, 28, 1))]
    for filters in (16, 32):
        layers += [keras.layers.Conv2D(filters, 3, padding="same"), keras.layers.MaxPooling2D()]
        layers.append(LeakyReLU(0.1))
    return [*layers, keras.layers.Flatten(), keras.layers.Dense(100), LeakyReLU(0.1)]


NETS = {"mlp, 2 x 100 units": make_mlp, "cnn, 16 and 32 filters, 100 units": make_cnn}


def build(make):
    model = keras.Sequential([keras.Input((28, 28)), *make(), keras.layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


class Timed(DeadUnitMonitor):
    """Keeps the seconds of every measurement."""

    def on_train_begin(self, logs=None):
        self.seconds = []
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        start = time.perf_counter()
        super().on_epoch_end(epoch, logs)
        self.seconds.append(time.perf_counter() - start)


class EpochTimes(keras.callbacks.Callback):
    """Seconds of every epoch's training, and of `predict` on the sample after it."""

    model: Any

    def __init__(self, sample):
        super().__init__()
        self.sample, self.training, self.predict = sample, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.training.append(time.perf_counter() - self.start)
        start = time.perf_counter()
        self.model.predict(self.sample, batch_size=256, verbose=0)
        self.predict.append(time.perf_counter() - start)


def main(options: Options, console: Console):
    console.print(environment(), highlight=False)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.images, 28, 28)).astype("float32")
    y = rng.integers(0, 10, options.images)
    for title, make in track(NETS.items(), "nets", console=console, transient=True):
        trainer, sample = Trainer(), x[: options.sample]
        times, monitor = EpochTimes(sample), Timed(sample)
        trainer.train(
            trainer.build(lambda make=make: build(make), seed=1),
            *(x, y),
            seed=1,
            epochs=1 + options.epochs,  # the first compiles
            batch_size=options.batch_size,
            callbacks=[times, monitor],
            verbose=0,
        )
        epoch, predict, measurement = (
            1e3 * float(np.median(seconds[1:]))
            for seconds in (times.training, times.predict, monitor.seconds)
        )
        console.print(
            f"{title}: an epoch takes {epoch:.0f} ms, a measurement {measurement:.1f} ms "
            f"({measurement / epoch:.1%}), `predict` on the same images {predict:.1f} ms; "
            f"medians of {options.epochs}",
            highlight=False,
        )


if __name__ == "__main__":
    main(tyro.cli(Options), Console(soft_wrap=True))
