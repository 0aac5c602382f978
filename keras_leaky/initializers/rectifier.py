"""He initialization for every rectifier."""

from typing import Any, Literal

import keras

from keras_leaky.initializers.gain import gain
from keras_leaky.rectifiers import entry_of


class _Rectifier(keras.initializers.VarianceScaling):
    """The common part of the normal and the uniform family: all but the distribution."""

    def __init__(
        self,
        distribution: Literal["truncated_normal", "uniform"],
        activation: str,
        alpha: float | list[float] | tuple[float, float] | None,
        mode: Literal["fan_in", "fan_out"],
        seed: int | keras.random.SeedGenerator | None,
    ) -> None:
        if mode not in ("fan_in", "fan_out"):
            raise ValueError(f'`mode` must be "fan_in" or "fan_out". Received: mode={mode!r}')
        self.activation = activation
        self.alpha = entry_of(activation).resolve_alpha(alpha)
        direction = "forward" if mode == "fan_in" else "backward"
        # Not gain ** 2: as a ratio it is exactly the 2 of He for ReLU, so the draws are He's bits.
        ratio = gain(activation, alpha, direction) / gain("relu")
        super().__init__(scale=2.0 * ratio**2, mode=mode, distribution=distribution, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {
            "activation": self.activation,
            "alpha": self.alpha,
            "mode": self.mode,
            "seed": super().get_config()["seed"],
        }


@keras.saving.register_keras_serializable(package="keras_leaky")
class RectifierNormal(_Rectifier):
    """Truncated normal weights scaled for a rectifier: He's initialization with the right gain.

    ```
    standard deviation = gain(activation, alpha, direction) / sqrt(fan)
    fan, direction     = fan-in, forward    or    fan-out, backward
    ```

    The distribution is normal, cut off at two standard deviations, and widened so that the standard
    deviation above holds after truncation. With "relu" the draws equal
    `keras.initializers.HeNormal` bit for bit. Any other activation gets the same draws times a
    ratio of gains. In a Leaky ReLU net of L layers, plain He makes the second moment grow by (1 +
    alpha^2)^L; this initializer keeps it constant.

    Args:
        activation: The activation that feeds on these weights, as in `gain`. Defaults to
            `"leaky_relu"`.
        alpha: As in `gain`: a number, for rrelu the pair (lower, upper), for relu and selu None.
            Defaults to None, the default of the activation.
        mode: `"fan_in"` keeps the pre-activations, `"fan_out"` the gradients. Defaults to
            `"fan_in"`.
        seed: Int, `keras.random.SeedGenerator` or None. As in every Keras initializer, an int
            draws the same numbers at every call. Defaults to None: some int.

    Raises:
        ValueError: If `activation` or `mode` is not one of the names, or `alpha` does not suit the
            activation.

    Example:

    >>> import keras
    >>> from keras_leaky.initializers import RectifierNormal
    >>> weights = RectifierNormal("leaky_relu", alpha=0.3, seed=1)((1000, 500))
    >>> round(float(keras.ops.std(weights)) * 1000**0.5, 2)  # the gain: 1.35
    1.35

    References:
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers", equations 10, 14 and 15.
    """

    def __init__(
        self,
        activation: str = "leaky_relu",
        alpha: float | list[float] | tuple[float, float] | None = None,
        mode: Literal["fan_in", "fan_out"] = "fan_in",
        seed: int | keras.random.SeedGenerator | None = None,
    ) -> None:
        super().__init__("truncated_normal", activation, alpha, mode, seed)


@keras.saving.register_keras_serializable(package="keras_leaky")
class RectifierUniform(_Rectifier):
    """Uniform weights scaled for a rectifier: He's initialization with the right gain.

    ```
    standard deviation = gain(activation, alpha, direction) / sqrt(fan)
    fan, direction     = fan-in, forward    or    fan-out, backward
    ```

    The distribution is uniform on [-limit, limit], limit = sqrt(3) * standard deviation; nothing is
    truncated. With "relu" the draws equal `keras.initializers.HeUniform` bit for bit. Any other
    activation gets the same draws times a ratio of gains.

    Args:
        activation: The activation that feeds on these weights, as in `gain`. Defaults to
            `"leaky_relu"`.
        alpha: As in `gain`: a number, for rrelu the pair (lower, upper), for relu and selu None.
            Defaults to None, the default of the activation.
        mode: `"fan_in"` keeps the pre-activations, `"fan_out"` the gradients. Defaults to
            `"fan_in"`.
        seed: Int, `keras.random.SeedGenerator` or None. As in every Keras initializer, an int
            draws the same numbers at every call. Defaults to None: some int.

    Raises:
        ValueError: If `activation` or `mode` is not one of the names, or `alpha` does not suit the
            activation.

    Example:

    >>> import keras
    >>> from keras_leaky.initializers import RectifierUniform
    >>> weights = RectifierUniform("relu", seed=1)((24, 1000))  # limit = sqrt(6 / 24)
    >>> round(float(keras.ops.max(weights)), 2)
    0.5

    References:
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers", equations 10, 14 and 15.
    """

    def __init__(
        self,
        activation: str = "leaky_relu",
        alpha: float | list[float] | tuple[float, float] | None = None,
        mode: Literal["fan_in", "fan_out"] = "fan_in",
        seed: int | keras.random.SeedGenerator | None = None,
    ) -> None:
        super().__init__("uniform", activation, alpha, mode, seed)
