"""gain: reference values, definition, limits and refusals."""

import math
import re

import numpy as np
import pytest

from keras_leaky.initializers import gain
from keras_leaky.rectifiers import TABLE

FORWARD = [
    ("relu", None, math.sqrt(2)),
    ("leaky_relu", 0.01, 1.4141),
    ("leaky_relu", 0.1, 1.4072),
    ("leaky_relu", 0.25, 1.3720),
    ("leaky_relu", 0.3, 1.3546),
    ("leaky_relu", 0.5, 1.2649),
    ("elu", 1.0, 1.2452),
    ("elu", 0.5, 1.3656),
    ("celu", 0.5, 1.3309),
    ("selu", None, 1.0),
]


@pytest.mark.parametrize(("activation", "alpha", "expected"), FORWARD)
def test_forward_reference_values(activation, alpha, expected):
    assert gain(activation, alpha) == pytest.approx(expected, abs=5.1e-5)


def test_backward_reference_value():
    assert gain("elu", 1.0, direction="backward") == pytest.approx(1.2234, abs=5e-5)


def activation_and_slope(activation, alpha):
    """f and f' on the negative side and the scale of the positive side, as in the papers."""
    if activation in ("leaky_relu", "prelu"):
        return lambda z: alpha * z, lambda z: alpha + 0 * z, 1.0
    if activation == "elu":
        return lambda z: alpha * np.expm1(z), lambda z: alpha * np.exp(z), 1.0
    if activation == "celu":
        return lambda z: alpha * np.expm1(z / alpha), lambda z: np.exp(z / alpha), 1.0
    a, scale = 1.6732632423543772, 1.0507009873554805
    return lambda z: scale * a * np.expm1(z), lambda z: scale * a * np.exp(z), scale


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize(
    ("activation", "alpha"),
    [
        *[("leaky_relu", a) for a in (-1.0, 0.0, 1.0, 3.0)],
        ("prelu", 0.25),
        *[("elu", a) for a in (0.0, 0.01, 0.3, 1.0, 4.0, 100.0)],
        *[("celu", a) for a in (0.003, 0.05, 0.3, 1.0, 4.0, 100.0)],
        ("selu", None),
    ],
)
def test_gain_is_its_definition(activation, alpha, direction):
    f, slope, scale = activation_and_slope(activation, alpha)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    edges = np.array([-12, -3, -1, -0.3, -0.1, -0.01, 0])  # finer towards 0 for a small alpha
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (nodes + 1)).ravel()
    weight = (half * weights).ravel() * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    g = f(z) if direction == "forward" else slope(z)
    expected = 1 / math.sqrt(scale**2 / 2 + np.sum(weight * g**2))
    assert gain(activation, alpha, direction) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_rrelu_is_the_mean_over_its_slopes(direction):
    slopes = np.random.default_rng(0).uniform(0.1, 0.9, 1_000_000)
    expected = math.sqrt(2 / (1 + np.mean(slopes**2)))
    assert gain("rrelu", (0.1, 0.9), direction) == pytest.approx(expected, rel=1e-3)
    assert gain("rrelu", [0.3, 0.3], direction) == pytest.approx(gain("leaky_relu", 0.3))


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_limits(direction):
    relu, identity = math.sqrt(2), 1.0
    for activation in ("leaky_relu", "prelu", "elu"):
        assert gain(activation, 0, direction) == pytest.approx(relu, rel=1e-15)
        assert gain(activation, 1e-200, direction) == pytest.approx(relu, rel=1e-15)
        assert 0 < gain(activation, 1e200, direction) < 1e-199
    for alpha in (5e-324, 1e-200, 1e-12):
        assert gain("celu", alpha, direction) == pytest.approx(relu, rel=1e-11)
    for alpha in (1e12, 1e200, 1.7e308):
        assert gain("celu", alpha, direction) == pytest.approx(identity, rel=1e-11)
    assert gain("celu", 1, direction) == pytest.approx(gain("elu", 1, direction), rel=1e-12)
    assert gain("leaky_relu", 1, direction) == pytest.approx(identity)


def test_defaults():
    assert gain("leaky_relu") == gain("leaky_relu", 0.01)
    assert gain("prelu") == gain("prelu", 0.25)
    assert gain("elu") == gain("elu", 1)
    assert gain("celu") == gain("celu", np.float32(1))
    assert gain("rrelu") == gain("rrelu", (1 / 8, 1 / 3))


NUMBER, PAIR = "a finite real number", "a pair (lower, upper) with 0 <= lower <= upper < inf"
BAD = [np.nan, np.inf, -np.inf, True, "0.1", 1j, (0.1, 0.2)]


@pytest.mark.parametrize(
    ("activation", "alpha", "invariant"),
    [
        *[("leaky_relu", a, NUMBER) for a in BAD],
        *[("prelu", a, NUMBER) for a in BAD],
        *[("elu", a, f"{NUMBER} of at least 0") for a in [*BAD, -0.1]],
        *[("celu", a, f"{NUMBER} above 0") for a in [*BAD, -0.1, 0]],
        *[("rrelu", a, PAIR) for a in [*BAD[:-1], 0.1, (0.1,), (0.3, 0.1), (-0.1, 0.1)]],
        *[("rrelu", a, PAIR) for a in [(0.1, np.inf), (np.nan, 1), (0, True), (0, 0.1, 0.2)]],
        ("relu", 0.1, "None"),
        ("selu", 0.1, "None"),
    ],
)
def test_alpha_that_does_not_suit_the_activation_is_refused(activation, alpha, invariant):
    message = f"`alpha` of {activation} must be {invariant}. Received: alpha={alpha!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        gain(activation, alpha)


@pytest.mark.parametrize("activation", ["gelu", "ReLU", None, ["relu"], True], ids=repr)
def test_unknown_activation_is_refused(activation):
    message = f"`activation` must be one of {', '.join(TABLE)}. Received: activation={activation!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        gain(activation)


@pytest.mark.parametrize("direction", ["both", None, True])
def test_unknown_direction_is_refused(direction):
    message = f'`direction` must be "forward" or "backward". Received: direction={direction!r}'
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        gain("relu", direction=direction)
