"""Draws docs/images/signal_through_depth.png: `python docs/draw_signal_through_depth.py`.

Nets of 50 layers of 128 units at their start, on data of variance 1: the second moment of the
pre-activations of every layer, and that of the gradient of a random loss with respect to them.
Ten nets for each line: the line is their median, the band reaches from the smallest to the largest.
"""

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import keras_leaky
from keras_leaky.initializers import RectifierNormal, lsuv, randomized_asymmetric

DEPTH, WIDTH, N_SAMPLES = 50, 128, 256
ACTIVATIONS = {"ReLU": 0.0, "Leaky ReLU, negative slope 0.3": 0.3}
STYLES = {  # colors that the common color blindnesses tell apart
    "GlorotUniform, Keras's default": ("#777777", "-"),
    "HeNormal": ("#c2570c", "-"),
    "RectifierNormal, He for ReLU": ("#0b6fb8", (0, (4, 2))),
    "RandomizedAsymmetric": ("#117733", "-"),
    "lsuv": ("#aa3377", (0, (1, 1.2))),
}


def initialize(model: keras.Sequential, name: str, slope: float, x: np.ndarray, seed: int) -> None:
    """Gives all Dense layers their start."""
    if name == "lsuv":
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dense):
                layer.bias.assign(keras.ops.zeros(WIDTH))
        lsuv(model, x, seed=seed)
        return
    generator = keras.random.SeedGenerator(seed)
    for_kernels: dict[str, Any] = {
        "GlorotUniform, Keras's default": keras.initializers.GlorotUniform(generator),
        "HeNormal": keras.initializers.HeNormal(generator),
        "RectifierNormal, He for ReLU": RectifierNormal("leaky_relu", slope, seed=generator),
    }
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            if name == "RandomizedAsymmetric":
                kernel, bias = randomized_asymmetric(WIDTH, generator).values()
            else:
                kernel, bias = for_kernels[name], keras.initializers.Zeros()
            layer.kernel.assign(kernel(layer.kernel.shape))
            layer.bias.assign(bias(layer.bias.shape))


def second_moments(model: keras.Sequential, x: np.ndarray, seed: int) -> np.ndarray:
    """(3, DEPTH): of the pre-activations, of the gradient, and what of the first samples differ in.

    The loss has a gradient of second moment 1 with respect to the last layer's pre-activations.
    """
    y: Any = tf.constant(x)
    pre_activations = []
    with tf.GradientTape() as tape:
        tape.watch(y)
        for layer in model.layers:
            y = layer(y)
            if isinstance(layer, keras.layers.Dense):
                pre_activations.append(y)
        weights = np.random.default_rng(seed).normal(size=y.shape).astype("float32")
        loss = tf.reduce_sum(pre_activations[-1] * weights)
    gradients: Any = tape.gradient(loss, pre_activations)
    # In float64: squares of what is left of a signal after 50 layers underflow in float32.
    moments = [
        [np.mean(np.square(value.numpy(), dtype="float64")) for value in values]
        for values in (pre_activations, gradients)
    ]
    differing = [
        np.mean(np.var(value.numpy(), axis=0, dtype="float64")) for value in pre_activations
    ]
    return np.array([*moments, differing])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="nets for each line")
    n_seeds = parser.parse_args().seeds
    start = time.perf_counter()
    figure = Figure(figsize=(10, 8.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    layers = np.arange(1, DEPTH + 1)
    lines = {}
    for column, (activation, slope) in enumerate(ACTIVATIONS.items()):
        model = keras.Sequential([keras.Input((WIDTH,))])
        for _ in range(DEPTH):
            model.add(keras.layers.Dense(WIDTH))
            model.add(keras_leaky.layers.LeakyReLU(slope))
        for name, (color, dashes) in STYLES.items():
            moments = []
            for seed in range(n_seeds):
                x = np.random.default_rng([seed, 1]).normal(size=(N_SAMPLES, WIDTH))
                x = x.astype("float32")
                initialize(model, name, slope, x, seed)
                moments.append(second_moments(model, x, seed))
            moments = np.array(moments)
            for row, what in enumerate(("pre-activation", "gradient")):
                values = moments[:, row]
                median = np.median(values, axis=0)
                ax = axes[row, column]
                ax.fill_between(layers, values.min(0), values.max(0), color=color, alpha=0.15, lw=0)
                (lines[name],) = ax.plot(layers, median, color=color, ls=dashes, lw=2.2)
                end = DEPTH - 1 if what == "pre-activation" else 0
                print(
                    f"{activation}, {name}, {what} of layer {end + 1}: "
                    f"median {median[end]:.3g}, {values[:, end].min():.3g} to "
                    f"{values[:, end].max():.3g}"
                )
            shares = moments[:, 2, -1] / moments[:, 0, -1]
            print(
                f"{activation}, {name}, share of layer {DEPTH} that differs between samples: "
                f"median {np.median(shares):.2g}"
            )
        axes[0, column].set_title(activation, fontsize=14)
        axes[1, column].set_xlabel("layer", fontsize=13)
    axes[0, 0].set_ylabel("second moment of the pre-activations", fontsize=13)
    axes[1, 0].set_ylabel("second moment of the gradient,\nlast layer: 1", fontsize=13)
    for ax in axes.flat:
        ax.set_yscale("log")
        ax.set_yticks(10.0 ** np.arange(-15, 4, 3))
        ax.axhline(1, color="#444444", linewidth=0.8, zorder=0)
        ax.grid(alpha=0.25)
        ax.tick_params(labelsize=12)
        ax.set_xlim(1, DEPTH)
    figure.legend(
        lines.values(), lines.keys(), loc="outside upper center", ncols=3, fontsize=12.5,
        frameon=False, handlelength=2.8,
    )  # fmt: skip
    path = Path(__file__).parent / "images" / "signal_through_depth.png"
    figure.savefig(path, dpi=100, metadata={"Software": None})
    print(
        f"{path}: `python docs/draw_signal_through_depth.py --seeds {n_seeds}`, "
        f"n = {n_seeds} nets a line, {DEPTH} layers of {WIDTH} units, {N_SAMPLES} samples, "
        f"{time.perf_counter() - start:.0f} s on {platform.machine()}, Python "
        f"{platform.python_version()}, Keras {keras.__version__}, TensorFlow {tf.__version__}"
    )


if __name__ == "__main__":
    main()
