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

    images: int = 2500
    """Images an epoch, drawn at random: the time does not depend on what is on them."""
    batch_size: int = 250
    """Images a step."""


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


def main(options: Options, console: Console):
    console.print(environment(), highlight=False)
    quiet: Any = 0  # Keras's annotation knows "auto" alone
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.images, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, options.images)
    n_steps = -(-options.images // options.batch_size)
    for title, (filters, pool_first) in NETS.items():
        nets = {name: make_net(make, filters, pool_first) for name, make in RECTIFIERS.items()}
        runs = {
            name: lambda net=net: net.fit(x, y, batch_size=options.batch_size, verbose=quiet)
            for name, net in nets.items()
        }
        seconds = median_seconds(runs, budget_seconds=30, n_least=15)
        times = ", ".join(f"{name} {time / n_steps * 1e3:.1f}" for name, time in seconds.items())
        ratio = seconds["keras"] / seconds["ours"]
        console.print(
            f"{title}: ms a step: {times}; Keras's takes {ratio:.2f} times as long as ours"
        )


if __name__ == "__main__":
    main(tyro.cli(Options), Console(soft_wrap=True))
