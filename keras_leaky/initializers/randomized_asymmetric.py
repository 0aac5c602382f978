"""Randomized asymmetric initialization: one entry of every unit is positive."""

import math
import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# The positive root of s^2 / 2 + sqrt(2 / pi) * E[p] * s + E[p^2] = 1 for p ~ Beta(2, 1), whose
# moments are 2/3 and 1/2. Lu et al. round it to 0.6007.
_SIGMA = math.sqrt(1 + 8 / (9 * math.pi)) - math.sqrt(8 / (9 * math.pi))


@keras.saving.register_keras_serializable(package="keras_leaky")
class RandomizedAsymmetric(keras.initializers.VarianceScaling):
    """Normal weights with one positive entry per unit, against nets that are dead from the start.

    ```
    one entry of each unit    Beta(2, 1) on [0, 1]: density 2p, mean 2/3, second moment 1/2
    all other entries         N(0, sigma^2 / fan_in)
    sigma = sqrt(1 + 8 / (9 pi)) - sqrt(8 / (9 pi)) = 0.6007...
    ```

    The entries of a unit are its fan-in weights and its bias, n = fan_in + 1 in all; which one is
    asymmetric is drawn uniformly, unit by unit. Without a bias it is one of the n = fan_in weights.
    Whatever its place, an entry has mean 2 / (3 n) and second moment (sigma^2 + 1/2) / n, so a
    standard deviation of sqrt((sigma^2 + 1/2) / n - 4 / (9 n^2)); nothing is truncated. Fan-in is
    defined as in Keras: the kernel's elements for each unit, as in Dense and the convolutions (also
    grouped), whose units lie on the kernel's last axis. Do not use it for depthwise, transposed and
    recurrent kernels, which have another layout.

    With this sigma, the bound on the second moment stops growing: for an input x with second moment
    q = |x|^2 / fan_in, the output relu(z) of a unit has `E[relu(z)^2] <= q + 1 / fan_in`.

    It is made for deep and narrow ReLU nets, many of which are dead from the start. In wide nets
    gradients fade: in 50 layers of 128 units their second moment falls to 1e-9 of its value in the
    last layer (docs/draw_signal_through_depth.py).

    The asymmetric entry may be the bias, so kernel and bias must agree on it. With `fan_in` given,
    one initializer serves as both: it draws a bias if the shape has one axis.
    `randomized_asymmetric` makes the two arguments of a layer.

    Args:
        fan_in: None for a layer without bias: the kernel's shape tells the fan-in. An int of at
            least 1 for a layer with bias. Defaults to None.
        seed: Int, `keras.random.SeedGenerator` or None. As in every Keras initializer, an int draws
            the same numbers at every call. With `fan_in`, the other kinds become an int at once, so
            that kernel and bias agree. Defaults to None, a random int.

    Raises:
        ValueError: If `fan_in` is not None or an int of at least 1; when called, if it is not the
            kernel's, or is missing for a bias.

    Example:

    >>> import keras
    >>> from keras_leaky.initializers import RandomizedAsymmetric
    >>> weights = keras.ops.convert_to_numpy(RandomizedAsymmetric(seed=1)((10000, 50)))
    >>> n_asymmetric = (weights > 0.05).sum(axis=0)  # 8 standard deviations of the others
    >>> int(n_asymmetric.max()), round(float(weights.std()) * 10000**0.5, 1)
    (1, 0.9)

    References:
        Lu, Shin, Su and Karniadakis, 2019, "Dying ReLU and Initialization: Theory and Numerical
        Examples", section 4.
    """

    def __init__(
        self, fan_in: int | None = None, seed: int | keras.random.SeedGenerator | None = None
    ) -> None:
        self.fan_in = _as_fan_in(fan_in)
        if self.fan_in is not None and not isinstance(seed, int):
            if not isinstance(seed, keras.random.SeedGenerator):
                seed = keras.random.SeedGenerator(seed)
            seed = int(keras.random.randint((), 0, 2**31 - 1, seed=seed))
        # As a VarianceScaling it has the same second moment; what it draws is its own.
        super().__init__(_SIGMA**2 + 0.5, "fan_in", "untruncated_normal", seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        shape = tuple(shape)
        fan_in, n_units = self._fan_in_of(shape), shape[-1]
        n_entries = fan_in if self.fan_in is None else fan_in + 1
        place_seed, value_seed, kernel_seed, bias_seed = self._seeds()
        # Drawn alike for kernel and bias: same seeds, same shapes.
        place = keras.random.randint((n_units,), 0, n_entries, seed=place_seed)
        value = keras.ops.sqrt(keras.random.uniform((n_units,), dtype=dtype, seed=value_seed))
        if len(shape) == 1:
            entry, seed = fan_in, bias_seed
        else:
            entry, seed = keras.ops.reshape(keras.ops.arange(fan_in), (*shape[:-1], 1)), kernel_seed
        deviation = _SIGMA / math.sqrt(fan_in)
        others = keras.random.normal(shape, stddev=deviation, dtype=dtype, seed=seed)
        return keras.ops.where(keras.ops.equal(entry, place), value, others)

    def _fan_in_of(self, shape: tuple[int, ...]) -> int:
        if len(shape) > 1:
            fan_in = math.prod(shape[:-1])
            if self.fan_in not in (None, fan_in):
                raise ValueError(
                    f"`fan_in` must be {fan_in} for a kernel of shape {shape}. Received: "
                    f"fan_in={self.fan_in}"
                )
            return fan_in
        if self.fan_in is None:
            raise ValueError(
                "`fan_in` must be given for a bias, best with `randomized_asymmetric(fan_in)`. "
                f"Received: fan_in=None and shape={shape}"
            )
        return self.fan_in

    def _seeds(self) -> list[Any]:
        """Four seeds that do not depend on each other."""
        if isinstance(self.seed, int):
            return np.random.SeedSequence(self.seed % 2**32).generate_state(4).tolist()
        return [self.seed] * 4  # a generator gives another one at every draw

    def get_config(self) -> dict[str, Any]:
        return {"fan_in": self.fan_in, "seed": super().get_config()["seed"]}


def randomized_asymmetric(
    fan_in: int, seed: int | keras.random.SeedGenerator | None = None
) -> dict[str, RandomizedAsymmetric]:
    """The kernel and bias initializers of a layer that agree on each unit's asymmetric entry.

    Args:
        fan_in: Int of at least 1: the weights of one unit. For Dense the size of the input's last
            axis, for a convolution the kernel's height x width x input channels (a group's).
        seed: Int, `keras.random.SeedGenerator` or None. Layers of the same shape need different
            ints or a shared generator; otherwise they start from the same numbers. Defaults to
            None, a random int.

    Returns:
        Dict of `kernel_initializer` and `bias_initializer`, to pass to the layer by `**`.

    Raises:
        ValueError: If `fan_in` is not an int of at least 1.

    Example:

    >>> import keras
    >>> from keras_leaky.initializers import randomized_asymmetric
    >>> layer = keras.layers.Dense(100, activation="relu", **randomized_asymmetric(3, seed=1))
    >>> layer.build((None, 3))
    >>> dead_at_the_origin = keras.ops.convert_to_numpy(layer.bias) <= 0
    >>> bool(0.2 < dead_at_the_origin.mean() < 0.6)  # 3/8: half of those whose entry is a weight
    True

    References:
        Lu, Shin, Su and Karniadakis, 2019, "Dying ReLU and Initialization: Theory and Numerical
        Examples", section 4.
    """
    if fan_in is None:
        raise ValueError("`fan_in` must be an int of at least 1. Received: fan_in=None")
    initializer = RandomizedAsymmetric(fan_in, seed)
    return {"kernel_initializer": initializer, "bias_initializer": initializer}


def _as_fan_in(fan_in: Any) -> int | None:
    if fan_in is None:
        return None
    is_int = hasattr(fan_in, "__index__") and not isinstance(fan_in, bool)
    if not is_int or operator.index(fan_in) < 1:
        raise ValueError(f"`fan_in` must be None or an int of at least 1. Received: {fan_in=}")
    return operator.index(fan_in)
