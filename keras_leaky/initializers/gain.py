"""By how much a layer's weights must grow to make up for its activation."""

import math
import numbers
from typing import Any

import numpy as np

# What `alpha` is: its default, what must hold of it, and that in words.
_ALPHA = {
    "relu": (None, lambda a: a is None, "None"),
    "leaky_relu": (0.01, lambda a: -math.inf < a < math.inf, "a finite real number"),
    "prelu": (0.25, lambda a: -math.inf < a < math.inf, "a finite real number"),
    "elu": (1.0, lambda a: 0 <= a < math.inf, "a finite real number of at least 0"),
    "celu": (1.0, lambda a: 0 < a < math.inf, "a finite real number above 0"),
    "selu": (None, lambda a: a is None, "None"),
    "rrelu": (
        (1 / 8, 1 / 3),
        lambda a: isinstance(a, list) and len(a) == 2 and 0 <= a[0] <= a[1] < math.inf,
        "a pair (lower, upper) with 0 <= lower <= upper < inf",
    ),
}

# Of Klambauer et al. 2017.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def gain(activation, alpha=None, direction="forward"):
    """Gain of an activation: the factor on the weights that keeps the second moment.

    ```
    forward:   1 / sqrt(E[f(z)^2])        backward:   1 / sqrt(E[f'(z)^2])        z ~ N(0, 1)
    ```

    Weights of standard deviation `gain / sqrt(fan)` keep the second moment of the pre-activations
    from layer to layer (forward, fan-in) or that of the gradients (backward, fan-out). For the
    piecewise linear activations that is exact at any scale and both gains are equal. The
    exponential ones are not homogeneous: their gain holds where pre-activations have variance 1.
    The one of RReLU is that of training, its slope uniform on [lower, upper]. The value of `f'` at
    0 does not matter, as z is 0 with probability 0.

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
    alpha = resolve_alpha(activation, alpha)
    backward = direction == "backward"
    positive = math.sqrt(0.5)  # E[z^2; z > 0] = P(z > 0) = 1/2
    if activation == "rrelu":
        lower, upper = alpha
        mean, deviation = (lower + upper) / 2, (upper - lower) / math.sqrt(12)
        negative = math.hypot(mean, deviation) * positive
    elif activation == "elu":
        negative = alpha * _elu_negative_side(backward)
    elif activation == "celu":
        negative = _celu_negative_side(alpha, backward)
    elif activation == "selu":
        negative = _SELU_SCALE * _SELU_ALPHA * _elu_negative_side(backward)
        positive *= _SELU_SCALE
    else:
        negative = (alpha or 0.0) * positive
    # hypot neither overflows for a large alpha nor loses a small one.
    return 1 / math.hypot(positive, negative)


def resolve_alpha(activation, alpha) -> Any:
    """`alpha` checked and as JSON keeps it: a float, [lower, upper] or None.

    None stands for the default of the activation.
    """
    if not isinstance(activation, str) or activation not in _ALPHA:
        raise ValueError(
            f"`activation` must be one of {', '.join(_ALPHA)}. Received: activation={activation!r}"
        )
    default, is_valid, invariant = _ALPHA[activation]
    value = default if alpha is None else alpha
    if activation == "rrelu" and isinstance(value, list | tuple):
        value = [_as_number(a) for a in value]
    elif value is not None:
        value = _as_number(value)
    if not is_valid(value):
        raise ValueError(f"`alpha` of {activation} must be {invariant}. Received: alpha={alpha!r}")
    return value


def _as_number(value):
    """`value` as a Python float, or NaN where it is not a real number: range checks refuse NaN."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def _elu_negative_side(backward):
    """sqrt(E[f^2; z < 0]) or sqrt(E[f'^2; z < 0]) of ELU(1), from E[exp(kz); z < 0]."""
    first, second = (math.exp(k * k / 2) * math.erfc(k / math.sqrt(2)) / 2 for k in (1.0, 2.0))
    return math.sqrt(second if backward else second - 2 * first + 0.5)


def _celu_negative_side(alpha, backward):
    """The same of CELU(alpha), by quadrature.

    The closed form cancels for a large alpha and overflows for a small one. In s = log(-z) the
    integrand is smooth at every alpha and dies off doubly exponentially, so that the trapezoidal
    rule is good to about 1e-13.
    """
    step = 0.1
    u = np.exp(np.arange(-40.0, 4.0, step))  # -z
    with np.errstate(over="ignore"):  # u / alpha may be infinite: exp gives the limit, 0
        f = np.exp(-u / alpha) if backward else -alpha * np.expm1(-u / alpha)
    density = np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(step * np.sum(f * f * density * u))
