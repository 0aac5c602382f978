"""Nets that are born dead: Monte Carlo against the theory."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from keras_leaky.initializers import gain
from recipes.dying_relu.budget import Budget
from recipes.dying_relu.draws import Weights, draw_randomized_asymmetric, seed_for
from recipes.dying_relu.intervals import Share
from recipes.dying_relu.theory import born_dead_bounds

CHECKED = [(depth, width) for depth in (10, 20) for width in (2, 3, 5)]
"""The settings (L, N) for which the count is raised until it lies clearly inside the bounds."""

N_STANDARD_ERRORS = 2.0
MAX_NETS = 1_600_000
INTERVAL = 3**0.5
"""Nets with biases are looked at on [-INTERVAL, INTERVAL], where Lu et al. train theirs."""

_N_POINTS = 21
_CHUNK, _REMEDY_CHUNK = 50_000, 2000  # nets at once: some megabytes


@dataclass(frozen=True)
class BornDeadRow:
    """How many ReLU nets of one shape are born dead, and what the theory allows."""

    depth: int
    width: int
    n_nets: int
    n_dead: int
    dead_fraction: float
    ci95_low: float
    ci95_high: float
    lower_bound: float
    upper_bound: float
    standard_errors_inside: float | None  # from the nearer bound; negative outside

    @property
    def inside(self) -> bool:
        """Whether the count lies inside the bounds by more than `N_STANDARD_ERRORS`."""
        return (self.standard_errors_inside or 0) > N_STANDARD_ERRORS


@dataclass(frozen=True)
class Remedy:
    """A possible remedy for born-dead nets: an activation, or an initialization of ReLU nets.

    Attributes:
        activation: "leaky_relu" or "elu", and `alpha` the negative slope, 0 for ReLU, or ELU's.
        asymmetric: RAI instead of He's initialization.
    """

    title: str
    activation: str = "leaky_relu"
    alpha: float = 0.0
    asymmetric: bool = False


REMEDIES = (
    Remedy("ReLU, He"),
    Remedy("ReLU, RAI", asymmetric=True),
    Remedy("Leaky ReLU 0.01", alpha=0.01),
    Remedy("Leaky ReLU 0.1", alpha=0.1),
    Remedy("Leaky ReLU 0.3", alpha=0.3),
    Remedy("ELU", "elu", 1.0),
)


@dataclass(frozen=True)
class RemedyRow:
    """The state of nets of one shape under one remedy, at initialization."""

    remedy: str
    depth: int
    width: int
    n_nets: int
    n_constant: int
    constant_fraction: float
    constant_ci95_low: float
    constant_ci95_high: float
    n_inactive_layer: int
    inactive_layer_fraction: float
    inactive_layer_ci95_low: float
    inactive_layer_ci95_high: float
    median_output_range: float


@dataclass(frozen=True)
class BoundsRow:
    """The bounds of the theory for one shape, counted or not."""

    depth: int
    width: int
    lower_bound: float
    upper_bound: float


@dataclass(frozen=True)
class BornDead:
    """Part 1."""

    title: ClassVar[str] = "Born dead"
    nets: list[BornDeadRow]
    remedies: list[RemedyRow]

    @property
    def checked(self) -> list[BornDeadRow]:
        """The shapes in `CHECKED`."""
        return [row for row in self.nets if (row.depth, row.width) in CHECKED]

    @property
    def bounds(self) -> list[BoundsRow]:
        deepest = max(row.depth for row in self.nets)
        return [
            BoundsRow(depth, width, *born_dead_bounds(depth, width))
            for width in dict.fromkeys(row.width for row in self.nets)
            for depth in range(2, deepest + 1)
        ]

    @property
    def tables(self) -> dict[str, Sequence[Any]]:
        return {
            "born_dead": self.nets,
            "born_dead_bounds": self.bounds,
            "born_dead_remedies": self.remedies,
        }


def measure_born_dead(budget: Budget, seed: int, advance: Callable[[float], None]) -> BornDead:
    """Measures part 1.

    Args:
        seed: The run's.
        advance: Called with the fraction of the work that was done since the last call.
    """
    shapes = list(itertools.product(budget.widths, budget.depths))
    tried = list(itertools.product(CHECKED, REMEDIES))
    step = 1 / (len(shapes) + len(tried))
    part = BornDead([], [])
    for width, depth in shapes:
        n_nets = budget.n_checked_nets if (depth, width) in CHECKED else budget.n_nets
        part.nets.append(count_shape(depth, width, n_nets, seed))
        advance(step)
    for (depth, width), remedy in tried:
        part.remedies.append(measure_remedy(remedy, depth, width, budget.n_remedy_nets, seed))
        advance(step)
    return part


def count_shape(depth: int, width: int, n_nets: int, seed: int) -> BornDeadRow:
    """Counts the born-dead among random ReLU nets without biases.

    For a shape in `CHECKED` four times as many nets are taken, and again, until the count lies
    inside the bounds by more than `N_STANDARD_ERRORS`, or `MAX_NETS` is reached.

    Args:
        depth: L, the number of weight layers.
        width: N, units a hidden layer.
        n_nets: Nets to begin with.
        seed: The run's.
    """
    row = _row(depth, width, n_nets, seed)
    while (depth, width) in CHECKED and not row.inside and row.n_nets < MAX_NETS:
        row = _row(depth, width, min(4 * row.n_nets, MAX_NETS), seed)
    return row


def _row(depth: int, width: int, n_nets: int, seed: int) -> BornDeadRow:
    share = Share(count_born_dead(depth, width, n_nets, seed), n_nets)
    low, high = born_dead_bounds(depth, width)
    distance = min(share.fraction - low, high - share.fraction)
    error = share.standard_error
    inside = distance / error if error else None
    return BornDeadRow(
        depth, width, n_nets, share.count, share.fraction, *share.ci95, low, high, inside
    )


def count_born_dead(depth: int, width: int, n_nets: int, seed: int) -> int:
    """Counts the nets whose output is 0 for x = +1 and x = -1, weights N(0, 2 / fan-in)."""
    rng = np.random.default_rng([seed, depth, width, n_nets])
    n_dead = 0
    for first in range(0, n_nets, _CHUNK):
        n = min(_CHUNK, n_nets - first)
        weights = rng.standard_normal((n, 1, width), np.float32)
        signal = np.maximum(np.concatenate([weights, -weights], axis=1), 0)
        scale = np.float32((2 / width) ** 0.5)
        for _ in range(depth - 2):
            weights = scale * rng.standard_normal((len(signal), width, width), np.float32)
            signal = np.maximum(signal @ weights, 0)
            signal = signal[signal.any(axis=(1, 2))]  # the dead stay dead
        n_dead += n - len(signal)
    return n_dead


def measure_remedy(remedy: Remedy, depth: int, width: int, n_nets: int, seed: int) -> RemedyRow:
    """Counts nets with a constant output, and nets with a hidden layer that no input activates.

    The inputs are 21 points from -sqrt(3) to sqrt(3), in float64. A Leaky ReLU or ELU net with
    such a layer is not dead: its output still varies, though by little.
    """
    inputs = np.linspace(-INTERVAL, INTERVAL, _N_POINTS)[:, None]
    n_constant = n_inactive = 0
    ranges = []
    for weights in _weights(remedy, depth, width, n_nets, seed):
        signal, inactive = inputs[None], np.zeros(len(weights[0][0]), bool)
        for kernel, bias in weights[:-1]:
            signal = signal @ kernel.astype("float64") + bias[:, None]
            inactive |= ~(signal > 0).any(axis=(1, 2))
            if remedy.activation == "elu":
                signal = np.where(signal > 0, signal, remedy.alpha * np.expm1(signal))
            else:
                signal = np.where(signal > 0, signal, remedy.alpha * signal)
        kernel, bias = weights[-1]
        # Only what varies: the output's bias would round away small differences.
        output_range = np.ptp(signal @ kernel.astype("float64"), axis=(1, 2))
        n_constant += int((output_range == 0).sum())
        n_inactive += int(inactive.sum())
        ranges.append(output_range)
    constant, layer = Share(n_constant, n_nets), Share(n_inactive, n_nets)
    median = float(np.median(np.concatenate(ranges)))
    return RemedyRow(
        *(remedy.title, depth, width, n_nets),
        *(constant.count, constant.fraction, *constant.ci95),
        *(layer.count, layer.fraction, *layer.ci95),
        median,
    )


def _weights(remedy: Remedy, depth: int, width: int, n_nets: int, seed: int) -> Iterator[Weights]:
    """The nets, some at a time, with He's initialization for the activation or with RAI."""
    sizes = [1, *[width] * (depth - 1), 1]
    rng = np.random.default_rng([seed, depth, width])
    factor = gain(remedy.activation, remedy.alpha)
    for first in range(0, n_nets, _REMEDY_CHUNK):
        n = min(_REMEDY_CHUNK, n_nets - first)
        if remedy.asymmetric:
            yield draw_randomized_asymmetric(n, sizes, seed_for(seed, depth, width, first))
        else:
            yield [
                (factor / n_in**0.5 * rng.standard_normal((n, n_in, units)), np.zeros((n, units)))
                for n_in, units in itertools.pairwise(sizes)
            ]
