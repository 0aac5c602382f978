"""Time of a training step of an MNIST net with our PReLU against Keras's, by `model.fit`."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tyro
from rich.console import Console

from benchmarks.measuring import environment, median_seconds
from keras_leaky.layers import PReLU


@dataclass
class Options:
    """An epoch of plain `model.fit` on the CPU with PReLU, ours against Keras's."""

    images: int = 5000
    """Images an epoch, drawn at random: the time does not depend on what is on them."""
    batch_size: int = 250
    """Images a step."""


def make_net(rectifier, pool_first):
    """The cnn of `recipes.mnist`, or with the usual order of rectifier and pooling."""
    layers = keras.layers
    net = keras.Sequential([keras.Input((28, 28, 1))])
    for filters in (16, 32):
        net.add(layers.Conv2D(filters, 3, padding="same"))
        pair = [rectifier([1, 2]), layers.MaxPooling2D()]
        for layer in reversed(pair) if pool_first else pair:
            net.add(layer)
    net.add(layers.Flatten())
    net.add(layers.Dense(100))
    net.add(rectifier(None))
    net.add(layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(1e-3), loss)
    return net


RECTIFIERS = {
    "ours": lambda axes: PReLU(0.25),
    "keras": lambda axes: keras.layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25),  # pyright: ignore[reportArgumentType]
        shared_axes=axes,
    ),
    "relu": lambda axes: keras.layers.ReLU(),
}


def main(options: Options, console: Console):
    console.print(environment(), highlight=False)
    quiet: Any = 0  # Keras's annotation knows "auto" alone
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.images, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, options.images)
    n_steps = -(-options.images // options.batch_size)
    for pool_first in (False, True):
        nets = {name: make_net(make, pool_first) for name, make in RECTIFIERS.items()}
        runs = {
            name: lambda net=net: net.fit(x, y, batch_size=options.batch_size, verbose=quiet)
            for name, net in nets.items()
        }
        seconds = median_seconds(runs, budget_seconds=20, n_least=7)
        order = "pooling, then PReLU (as in recipes.mnist)" if pool_first else "PReLU, then pooling"
        times = ", ".join(f"{name} {time / n_steps * 1e3:.2f}" for name, time in seconds.items())
        ratio = seconds["keras"] / seconds["ours"]
        console.print(
            f"{order}: ms a step: {times}; Keras's takes {ratio:.2f} times as long as ours"
        )


if __name__ == "__main__":
    main(tyro.cli(Options), Console(soft_wrap=True))
