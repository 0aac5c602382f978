"""The rectifiers that are compared, on arrays of many nets at once."""

# pyright: reportMissingImports=false
# JAX is an extra.

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from keras_leaky.initializers import gain


@dataclass(frozen=True)
class Arm:
    """A rectifier: a fixed slope, a learned one, or ELU(1)."""

    name: str
    slope: float  # below 0; for PReLU at the start, for ELU alpha
    is_learned: bool = False
    is_elu: bool = False

    def gain(self) -> float:
        """The factor on the weights that `RectifierNormal` gives for this rectifier."""
        kind = "elu" if self.is_elu else "prelu" if self.is_learned else "leaky_relu"
        return gain(kind, self.slope)


def fixed(slope: float) -> Arm:
    return Arm("relu" if slope == 0 else f"leaky_relu_{slope:g}", slope)


PRELU = Arm("prelu", 0.25, is_learned=True)  # one slope a unit, as the default of our layer
ELU = Arm("elu", 1.0, is_elu=True)


def rectify(z, slope, is_elu):
    """f(z). At 0 its derivative, also by `jax.grad`, is the slope, as in our layers."""
    negative = jnp.where(z > 0, 0.0, z)
    return jnp.where(z > 0, z, jnp.where(is_elu, jnp.expm1(negative), slope * negative))


def derivative(z, slope, is_elu):
    """f'(z), by the same rule."""
    negative = jnp.where(z > 0, 0.0, z)
    return jnp.where(z > 0, 1.0, jnp.where(is_elu, jnp.exp(negative), slope))


def count_units(highest, mean_size, slope, is_elu, axis):
    """How many units of a layer are inactive, dead and dormant, as bytes.

    Args:
        highest: The highest pre-activation of each unit in the sample.
        mean_size: The mean absolute activation of each unit in the sample.
        axis: The axis of the units.
    """
    inactive = highest <= 0
    # Where f' is 0 at the highest pre-activation it is 0 at all: for slope 0, and for ELU by
    # underflow.
    dead = inactive & (derivative(highest, slope, is_elu) == 0)
    dormant = mean_size <= 0.025 * mean_size.mean(axis, keepdims=True)
    counts = {"inactive": inactive, "dead": dead, "dormant": dormant}
    return {name: found.sum(axis).astype("uint8") for name, found in counts.items()}


def draw_weights(rng: np.random.Generator, shape):
    """Draws of RectifierNormal's distribution with standard deviation 1: normal, cut off at 2."""
    draws = rng.standard_normal(shape, "float32")
    while (beyond := np.abs(draws) > 2).any():
        draws[beyond] = rng.standard_normal(int(beyond.sum()), "float32")
    return draws / np.float32(0.87962566)  # what the cut leaves of the standard deviation
