"""Time of a training step of an MNIST net with our PReLU against Keras's, by `model.fit`."""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.progress import track

from benchmarks.measuring import environment
from keras_leaky.layers import PReLU


@dataclass
class Options:
    """An epoch of plain `model.fit` on the CPU with PReLU, ours against Keras's."""

    images: int = 2500
    """Images an epoch, drawn at random: the time does not depend on what is on them."""
    batch_size: int = 250
    """Images a step."""
    epochs: int = 15
    """Epochs of each net."""


def make_net(rectifier, filters, pool_first):
    """A convolutional net for MNIST: convolution, rectifier and pooling, twice."""
    layers = keras.layers
    net = keras.Sequential([keras.Input((28, 28, 1))])
    for n in filters:
        net.add(layers.Conv2D(n, 3, padding="same"))
        pair = [rectifier(), layers.MaxPooling2D()]
        for layer in reversed(pair) if pool_first else pair:
            net.add(layer)
    net.add(layers.Flatten())
    net.add(layers.Dense(10))
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return net


NETS = {
    "32 and 64 filters, rectifier before pooling": ((32, 64), False),
    "16 and 32 filters, rectifier before pooling": ((16, 32), False),
    "16 and 32 filters, pooling first (recipes.mnist)": ((16, 32), True),
}
RECTIFIERS = {
    "ours": lambda: PReLU(0.25),
    "keras": lambda: keras.layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25),  # pyright: ignore[reportArgumentType]
        shared_axes=[1, 2],
    ),
    "relu": keras.layers.ReLU,
}


class StepTimes(keras.callbacks.Callback):
    """Seconds of every training step but the first of an epoch, which waits for the first data.

    The end of an epoch is left out: on some machines Keras waits there for up to as long as the
    epoch took, with any rectifier.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        if batch > 0:
            self.seconds.append(time.perf_counter() - self.start)


def main(options: Options, console: Console):
    console.print(environment(), highlight=False)
    quiet: Any = 0  # Keras's annotation knows "auto" alone
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.images, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, options.images)
    for title, (filters, pool_first) in NETS.items():
        nets = {name: make_net(make, filters, pool_first) for name, make in RECTIFIERS.items()}
        times = {name: StepTimes() for name in nets}
        for net in nets.values():  # compiles
            net.fit(x, y, batch_size=options.batch_size, verbose=quiet)
        for _ in track(range(options.epochs), title, console=console, transient=True):
            for name, net in nets.items():  # in turn, so that all share the noise
                net.fit(x, y, batch_size=options.batch_size, verbose=quiet, callbacks=[times[name]])
        quartiles = {
            name: np.percentile(step.seconds, [25, 50, 75]) * 1e3 for name, step in times.items()
        }
        steps = ", ".join(
            f"{name} {median:.1f} [{low:.1f}, {high:.1f}]"
            for name, (low, median, high) in quartiles.items()
        )
        ratio = quartiles["keras"][1] / quartiles["ours"][1]
        console.print(
            f"{title}: ms a step, median and quartiles of {len(times['ours'].seconds)}: {steps};"
            f" Keras's takes {ratio:.2f} times as long as ours",
            highlight=False,
        )


if __name__ == "__main__":
    main(tyro.cli(Options), Console(soft_wrap=True))
