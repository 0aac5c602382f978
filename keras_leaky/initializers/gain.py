"""The gain of an activation: the factor on a layer's weights that compensates for it."""

import math
from typing import Literal

from keras_leaky.rectifiers import entry_of


def gain(
    activation: str,
    alpha: float | list[float] | tuple[float, float] | None = None,
    direction: Literal["forward", "backward"] = "forward",
) -> float:
    """Gain of an activation: the factor on the weights that keeps the second moment.

    ```
    forward:   1 / sqrt(E[f(z)^2])        backward:   1 / sqrt(E[f'(z)^2])        z ~ N(0, 1)
    ```

    Weights of standard deviation `gain / sqrt(fan)` keep the second moment of the pre-activations
    from layer to layer (forward, fan-in) or of the gradients (backward, fan-out). For the piecewise
    linear activations that is exact at any scale and both gains are equal. The exponential
    activations are not homogeneous: their gain holds for pre-activations of variance 1. The gain of
    RReLU is for training, with a slope uniform on [lower, upper]. The value of `f'` at 0 does not
    matter, because z is 0 with probability 0.

    Args:
        activation: `"relu"`, `"leaky_relu"`, `"prelu"`, `"elu"`, `"celu"`, `"selu"` or `"rrelu"`.
        alpha: The negative slope of leaky_relu and prelu, in (-inf, inf); `alpha` of elu in
            [0, inf) and of celu in (0, inf); the pair (lower, upper) of rrelu with
            0 <= lower <= upper. relu and selu take None. Defaults to None: 0.01, 0.25, 1, 1 and
            (1/8, 1/3).
        direction: `"forward"` or `"backward"`. Defaults to `"forward"`.

    Returns:
        Float.

    Raises:
        ValueError: If `activation` or `direction` is not one of the names, or `alpha` does not
            suit the activation.

    Example:

    >>> from keras_leaky.initializers import gain
    >>> round(gain("leaky_relu", 0.1), 4), round(gain("elu", 0.5), 4)
    (1.4072, 1.3656)
    >>> round(gain("elu", direction="backward"), 4)
    1.2234

    References:
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers", equations 10, 14 and 15.
        Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-Normalizing Neural Networks".
    """
    if direction not in ("forward", "backward"):
        raise ValueError(
            f'`direction` must be "forward" or "backward". Received: direction={direction!r}'
        )
    entry = entry_of(activation)
    sides = entry.sides(entry.resolve_alpha(alpha), direction == "backward")
    # hypot neither overflows for a large alpha nor loses a small one.
    return 1 / math.hypot(*sides)
