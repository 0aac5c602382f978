"""Initial weights of many nets at once.

Keras draws a kernel of shape (n_in, n_nets * units) with the fan-in of one net; cut into pieces it
is one independent draw for each net.
"""

import itertools
from collections.abc import Callable, Sequence

import keras
import numpy as np

from keras_leaky.initializers import RectifierNormal, randomized_asymmetric

Weights = list[tuple[np.ndarray, np.ndarray]]
"""A (kernel, bias) pair a layer, of shapes (n_nets, n_in, units) and (n_nets, units)."""


def draw_rectifier(
    n_nets: int, sizes: Sequence[int], activation: str, alpha: float | None, seed: int
) -> Weights:
    """He's initialization with the gain of the activation, and biases of 0.

    Args:
        sizes: Units of every layer, the inputs first and the outputs last.
        activation: As in `keras_leaky.initializers.gain`, and `alpha` too.
        seed: Int; every layer derives its own.
    """
    weights: Weights = []
    for (n_in, units), layer_seed in _layers(sizes, seed):
        initializer = RectifierNormal(activation, alpha, seed=layer_seed)
        kernel = _numpy(initializer((n_in, n_nets * units)))
        weights.append((_by_net(kernel, n_nets), np.zeros((n_nets, units), "float32")))
    return weights


def draw_randomized_asymmetric(n_nets: int, sizes: Sequence[int], seed: int) -> Weights:
    """RAI of Lu et al. (2019): in each unit a weight or the bias is drawn from Beta(2, 1)."""
    weights: Weights = []
    for (n_in, units), layer_seed in _layers(sizes, seed):
        pair: dict[str, Callable] = randomized_asymmetric(n_in, seed=layer_seed)
        kernel = _numpy(pair["kernel_initializer"]((n_in, n_nets * units)))
        bias = _numpy(pair["bias_initializer"]((n_nets * units,)))
        weights.append((_by_net(kernel, n_nets), bias.reshape(n_nets, units)))
    return weights


def join(nets: Sequence[Weights]) -> Weights:
    """Puts nets of the same sizes beside each other, in order."""
    return [
        (np.concatenate([k for k, _ in layer]), np.concatenate([b for _, b in layer]))
        for layer in zip(*nets, strict=True)
    ]


def seed_for(*numbers: int) -> int:
    """An int seed for Keras that derives from several numbers, the run's seed first."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


def _layers(sizes: Sequence[int], seed: int) -> list[tuple[tuple[int, int], int]]:
    shapes = itertools.pairwise(sizes)
    return [(shape, seed_for(seed, layer)) for layer, shape in enumerate(shapes)]


def _by_net(kernel: np.ndarray, n_nets: int) -> np.ndarray:
    n_in = len(kernel)
    return np.ascontiguousarray(kernel.reshape(n_in, n_nets, -1).transpose(1, 0, 2))


def _numpy(tensor: object) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))
