"""Draws docs/images/activations.png: `python docs/draw_activations.py` from the repository's root.

The curves are what the layers return and the derivatives what TensorFlow's automatic
differentiation makes of them, so the picture is of the code and not of a formula.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import keras_leaky

LAYERS = {
    "ReLU": keras.layers.ReLU(),
    "Leaky ReLU\nnegative slope 0.1": keras_leaky.layers.LeakyReLU(0.1),
    "PReLU\nslope learned, starts at 0.25": keras_leaky.layers.PReLU(),
    "ELU\nalpha 1": keras_leaky.layers.ELU(1.0),
    "SELU": keras.layers.Activation("selu"),
}


def derivative(layer: keras.layers.Layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The layer's outputs and derivatives at the points `x`."""
    inputs = tf.constant(x[:, None], "float32")
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs: Any = layer(inputs)
    slopes: Any = tape.gradient(outputs, inputs)
    return outputs.numpy()[:, 0], slopes.numpy()[:, 0]


def main() -> None:
    figure = Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots(2, len(LAYERS), sharex=True, sharey="row")
    sides = (
        np.linspace(-3, -1e-6, 300),
        np.linspace(1e-6, 3, 300),
    )  # apart: the derivative jumps at 0
    for column, (name, layer) in enumerate(LAYERS.items()):
        for x in sides:
            value, slope = derivative(layer, x)
            axes[0, column].plot(x, value, color="#0b6fb8", linewidth=2)
            axes[1, column].plot(x, slope, color="#c2570c", linewidth=2)
        axes[0, column].set_title(name, fontsize=11)
        axes[1, column].set_xlabel("x")
    axes[0, 0].set_ylabel("f(x)")
    axes[1, 0].set_ylabel("f'(x)")
    axes[0, 0].set_ylim(-2, 3)
    axes[1, 0].set_ylim(-0.15, 1.9)
    for ax in axes.flat:
        ax.axhline(0, color="#999999", linewidth=0.7, zorder=0)
        ax.axvline(0, color="#999999", linewidth=0.7, zorder=0)
        ax.grid(alpha=0.2)
    path = Path(__file__).parent / "images" / "activations.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    print(path)


if __name__ == "__main__":
    main()
