"""Nets that have become constant functions after training: 10 layers of width 2 learn |x|."""

import collections
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_leaky.layers import ELU
from recipes.dying_relu.born_dead import INTERVAL
from recipes.dying_relu.budget import Budget
from recipes.dying_relu.draws import (
    Weights,
    draw_randomized_asymmetric,
    draw_rectifier,
    join,
    seed_for,
)
from recipes.dying_relu.ensemble import (
    EnsembleLeakyReLU,
    EnsembleLoss,
    build_ensemble,
    squared_error,
)
from recipes.dying_relu.intervals import Share

DEPTH, WIDTH = 10, 2
SIZES = [1, *[WIDTH] * (DEPTH - 1), 1]
N_POINTS = 3000
BATCH_SIZE = 128
LEARNING_RATE = 1e-3  # Adam

TOLERANCE = 0.01
"""Collapsed: the output's range is below this fraction of the target's, which is sqrt(3)."""

LEARNED_RMSE = 0.1
"""Learned: the error is below this. The best constant has 0.5, the target's standard deviation."""

N_EXAMPLES = 40  # functions drawn an arm

_GRID = np.linspace(-INTERVAL, INTERVAL, 601, dtype="float32")[:, None]


@dataclass(frozen=True)
class Arm:
    """One way to set a net up.

    Attributes:
        activation: As in `keras_leaky.initializers.gain`, and `alpha` too: the negative slope, 0
            for ReLU, or ELU's.
        asymmetric: RAI instead of He's initialization.
        published: The collapsed fraction that Lu et al. (2019) report.
    """

    title: str
    activation: str = "leaky_relu"
    alpha: float = 0.0
    asymmetric: bool = False
    published: float | None = None


ARMS = (
    Arm("ReLU, He", published=0.919),
    Arm("ReLU, RAI", asymmetric=True, published=0.292),
    Arm("Leaky ReLU 0.01", alpha=0.01),
    Arm("Leaky ReLU 0.1", alpha=0.1),
    Arm("ELU", "elu", 1.0),
)

GROUPS = (ARMS[:4], ARMS[4:])
"""Arms that are trained as one program: they differ in numbers only."""


@dataclass(frozen=True)
class NetRow:
    """One net: the range of its output on the interval before and after, and its final error.

    A range or an error that is not finite is empty; then the net is diverged.
    """

    arm: str
    net: int
    range_at_start: float
    range: float | None
    rmse: float | None
    state: str  # diverged, collapsed, learned, or partial: neither


@dataclass(frozen=True)
class CollapseRow:
    """The outcome of one arm."""

    arm: str
    n_nets: int
    n_diverged: int
    n_constant_at_start: int  # born dead: exactly the same output everywhere
    n_collapsed: int
    collapsed_fraction: float
    collapsed_ci95_low: float
    collapsed_ci95_high: float
    n_partial: int
    n_learned: int
    learned_fraction: float
    learned_ci95_low: float
    learned_ci95_high: float
    published_fraction: float | None


@dataclass(frozen=True)
class FunctionRow:
    """One point of one trained net's function."""

    arm: str
    net: int
    x: float
    y: float


@dataclass(frozen=True)
class Collapse:
    """Part 2, or some of its arms."""

    title: ClassVar[str] = "Collapse"
    nets: list[NetRow]
    functions: list[FunctionRow]

    @functools.cached_property
    def arms(self) -> list[CollapseRow]:
        """One row an arm."""
        counted = {arm: [row for row in self.nets if row.arm == arm.title] for arm in ARMS}
        return [_count(arm, nets) for arm, nets in counted.items() if nets]

    @property
    def tables(self) -> dict[str, Sequence[Any]]:
        return {
            "collapse": self.arms,
            "collapse_nets": self.nets,
            "collapse_functions": self.functions,
        }


def measure_collapse(budget: Budget, seed: int, advance: Callable[[float], None]) -> Collapse:
    """Measures part 2.

    Args:
        seed: The run's.
        advance: Called with the fraction of the work that was done since the last call.
    """
    part = Collapse([], [])
    for arms in GROUPS:
        step = len(arms) / len(ARMS) / budget.collapse_epochs
        group = train_group(
            *(arms, budget.n_collapse_nets, budget.collapse_epochs, seed),
            lambda epoch, step=step: advance(step),
        )
        part.nets.extend(group.nets)
        part.functions.extend(group.functions)
    return part


def is_collapsed(output_range: float) -> bool:
    """Whether a net is a constant function, as far as `TOLERANCE` tells one."""
    return output_range < TOLERANCE * INTERVAL


def train_group(
    arms: Sequence[Arm],
    n_nets: int,
    n_epochs: int,
    seed: int,
    on_epoch: Callable[[int], None],
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
) -> Collapse:
    """Trains `n_nets` independent nets of each arm of a group, all as one program.

    All nets see the same training points in the same order. Those of one arm differ in their
    initial weights; those of the arms with He's initialization start from the same draws, each
    times its gain.

    Args:
        seed: The run's.
        on_epoch: Called with the number of each finished epoch.
    """
    drawn = [_draw(arm, n_nets, seed_for(seed)) for arm in arms]
    if arms[0].activation == "elu":
        activation = functools.partial(ELU, arms[0].alpha)
    else:
        activation = functools.partial(
            EnsembleLeakyReLU, np.repeat([a.alpha for a in arms], n_nets)
        )
    model, _ = build_ensemble(join(drawn), activation)
    # Under XLA a step of these tiny products takes half the time; PyTorch has none.
    jit_compile = keras.backend.backend() != "torch"
    model.compile(
        keras.optimizers.Adam(learning_rate),
        EnsembleLoss(squared_error),
        jit_compile=jit_compile,  # pyright: ignore[reportArgumentType]
    )
    x = np.random.default_rng(seed).uniform(-INTERVAL, INTERVAL, (N_POINTS, 1)).astype("float32")
    start = _outputs(model)
    keras.utils.set_random_seed(seed_for(seed))
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch(epoch + 1))
    model.fit(
        x,
        np.abs(x),
        batch_size=batch_size,
        epochs=n_epochs,
        verbose=0,  # pyright: ignore[reportArgumentType]
        callbacks=[callback],
    )
    end = _outputs(model)
    part = Collapse([], [])
    for i, arm in enumerate(arms):
        own = slice(i * n_nets, (i + 1) * n_nets)
        part.nets.extend(judge(arm, start[:, own], end[:, own]))
        part.functions.extend(_sample(arm, end[:, own]))
    return part


def _draw(arm: Arm, n_nets: int, seed: int) -> Weights:
    if arm.asymmetric:
        return draw_randomized_asymmetric(n_nets, SIZES, seed)
    return draw_rectifier(n_nets, SIZES, arm.activation, arm.alpha, seed)


def _outputs(model: keras.Model) -> np.ndarray:
    """Outputs on the grid, of shape (points, nets)."""
    return np.asarray(keras.ops.convert_to_numpy(model(_GRID)))[..., 0]


def _state(output_range: float, error: float) -> str:
    if is_collapsed(output_range):
        return "collapsed"
    return "learned" if error < LEARNED_RMSE else "partial"


def judge(arm: Arm, start: np.ndarray, end: np.ndarray) -> list[NetRow]:
    """Judges each net by its outputs on the grid before and after training, (points, nets)."""
    finite = np.atleast_1d(np.isfinite(end).all(axis=0))
    with np.errstate(over="ignore", invalid="ignore"):
        ranges, start_ranges = np.ptp(end, axis=0), np.ptp(start, axis=0)
        errors = np.sqrt(np.square(end - np.abs(_GRID)).mean(0))
    nets = []
    for i in range(start.shape[1]):
        # A net that is not finite has neither a range nor an error.
        seen = (float(ranges[i]), float(errors[i])) if finite[i] else (None, None)
        state = _state(ranges[i], errors[i]) if finite[i] else "diverged"
        nets.append(NetRow(arm.title, i, float(start_ranges[i]), *seen, state))
    return nets


def _sample(arm: Arm, end: np.ndarray) -> list[FunctionRow]:
    """The functions of the first nets that are finite."""
    return [
        FunctionRow(arm.title, int(i), float(x), float(y))
        for i in np.flatnonzero(np.isfinite(end).all(axis=0))[:N_EXAMPLES]
        for x, y in zip(_GRID[::10, 0], end[::10, i], strict=True)
    ]


def _count(arm: Arm, nets: Sequence[NetRow]) -> CollapseRow:
    states = collections.Counter(row.state for row in nets)
    collapsed = Share(states["collapsed"], len(nets))
    learned = Share(states["learned"], len(nets))
    n_constant = sum(row.range_at_start == 0 for row in nets)
    return CollapseRow(
        *(arm.title, len(nets), states["diverged"], n_constant),
        *(collapsed.count, collapsed.fraction, *collapsed.ci95),
        states["partial"],
        *(learned.count, learned.fraction, *learned.ci95),
        arm.published,
    )
