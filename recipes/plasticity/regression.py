"""Slowly-Changing Regression (Dohare et al. 2024, Nature 632): thousands of nets in one program.

The task is that of the paper and of its public code with `flip_one`. Of 20 input bits 15 are slow:
one of them, drawn at random, flips after every 10,000 examples. The other 5 are drawn for each
example. The target is a net of 100 threshold units with weights of +-1. Unit i is on where its
input is above 0.7 (20 + 1) - S_i, and S_i is (20 - sum of its weights + its bias) / 2, as in the
code. The learner has one hidden layer of 5 units. It takes a step of SGD on the squared error of
each example.

Ours differs in the initial weights (truncated normal, theirs are uniform with the same standard
deviation), and in the random numbers. Every arm sees the same stream and starts from the same
draws in run r, so arms are compared in pairs.
"""

# pyright: reportMissingImports=false
# JAX is an extra.

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from recipes.plasticity.arms import (
    ELU,
    PRELU,
    count_units,
    derivative,
    draw_weights,
    fixed,
    rectify,
)

SLOPES = (-1, -0.5, 0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1)
ARMS = (*map(fixed, SLOPES), PRELU, ELU)
STEP_SIZES = (0.01, 0.003, 0.001)
INITS = ("he", "rectifier")  # the gain of ReLU for every arm, or each arm's own
N_SLOW, N_FAST, N_HIDDEN, N_TARGET, BETA = 15, 5, 5, 100, 0.7
N_INPUTS = N_SLOW + N_FAST
EXAMPLES_A_TASK = 10_000
MOST_TASKS = 1_000


class Regression:
    """The program. A bin of several tasks is what is recorded together."""

    name, unit, headline = "regression", "bin", "error"

    def __init__(self, n_runs: int, n_bins: int, seed: int, examples_a_task=EXAMPLES_A_TASK):
        self.n_runs, self.n_steps, self.seed = n_runs, n_bins, seed
        self.examples_a_task, self.tasks_a_bin = examples_a_task, 4
        self.nets = [*itertools.product(ARMS, STEP_SIZES, INITS)]
        self.constants = {
            "rate": self._column(rate for _, rate, _ in self.nets),
            "is_learned": self._column(arm.is_learned for arm, _, _ in self.nets),
            "is_elu": self._column(arm.is_elu for arm, _, _ in self.nets),
        }
        rng = np.random.default_rng([seed, 0])
        self.target = {
            "hidden": rng.choice([-1, 1], (n_runs, N_TARGET, N_INPUTS)),
            "bias": rng.choice([-1, 1], (n_runs, N_TARGET)),
            "out": rng.choice([-1, 1], (n_runs, N_TARGET)),
            "out_bias": rng.choice([-1, 1], (n_runs, 1)),
        }
        self.first_bits = rng.integers(2, size=(n_runs, N_SLOW))
        self.flips = rng.integers(N_SLOW, size=(MOST_TASKS, n_runs))

    @staticmethod
    def _column(values):
        return np.array([*values], "float32")[:, None]

    def config(self):
        """What the numbers depend on, apart from how far it goes."""
        return {
            "task": self.name,
            "runs": self.n_runs,
            "seed": self.seed,
            "arms": [arm.name for arm in ARMS],
            "step_sizes": list(STEP_SIZES),
            "inits": list(INITS),
            "examples_a_bin": self.examples_a_task * self.tasks_a_bin,
        }

    def labels(self):
        """(arm, step size, init, run) of every number in a record, in its order."""
        keys = [(arm.name, rate, init) for arm, rate, init in self.nets]
        return [(*key, run) for key in keys for run in range(1, self.n_runs + 1)]

    def start(self):
        """Weights by input (bias last), unit, net and run; the rest in the same order."""
        rng = np.random.default_rng([self.seed, 1])
        hidden = draw_weights(rng, (N_INPUTS, N_HIDDEN, self.n_runs)) / N_INPUTS**0.5
        out = draw_weights(rng, (N_HIDDEN, self.n_runs)) / N_HIDDEN**0.5
        he = ARMS[SLOPES.index(0)].gain()
        gains = [arm.gain() if init == "rectifier" else he for arm, _, init in self.nets]
        n_nets = len(self.nets)
        weights = np.zeros((N_INPUTS + 1, N_HIDDEN, n_nets, self.n_runs), "float32")
        weights[:-1] = hidden[:, :, None] * np.array(gains, "float32")[:, None]
        shape = N_HIDDEN, n_nets, self.n_runs
        slopes = np.array([arm.slope for arm, _, _ in self.nets], "float32")[:, None]
        return {
            "hidden": weights,
            "out": np.array(np.broadcast_to(out[:, None], shape)),
            "out_bias": np.zeros(shape[1:], "float32"),
            "slope": np.array(np.broadcast_to(slopes, shape)),
        }

    def draw_task(self, task):
        """Slow bits (15, runs), and numbers of the fast bits and targets, both (examples, runs)."""
        n = self.examples_a_task
        slow = self.first_bits.copy()
        runs = np.arange(self.n_runs)
        for bits in self.flips[:task]:
            slow[runs, bits] ^= 1
        numbers = np.random.default_rng([self.seed, 2, task]).integers(
            2**N_FAST, size=(n, self.n_runs), dtype="uint8"
        )
        fast = np.arange(2**N_FAST)[:, None] >> np.arange(N_FAST) & 1  # (32, 5)
        inputs = np.concatenate(
            [
                np.broadcast_to(slow[:, None], (self.n_runs, len(fast), N_SLOW)),
                np.broadcast_to(fast, (self.n_runs, *fast.shape)),
            ],
            axis=2,
        )
        targets = self.targets_of(inputs)  # of all inputs that there are in this task
        return slow.T, numbers, targets[runs, numbers]

    def targets_of(self, inputs):
        """The target net's outputs (runs, n) for inputs (runs, n, 20) of 0 and 1."""
        target = self.target
        negative = (N_INPUTS - target["hidden"].sum(2) + target["bias"]) / 2
        threshold = BETA * (N_INPUTS + 1) - negative
        sums = inputs @ target["hidden"].transpose(0, 2, 1) + target["bias"][:, None]
        is_on = sums > threshold[:, None]
        outputs = np.einsum("rnu,ru->rn", is_on, target["out"]) + target["out_bias"]
        return outputs.astype("float32")

    def run(self, state, number):
        """The state after bin `number`, from 0, and its record."""
        statistics = None
        for task in range(number * self.tasks_a_bin, (number + 1) * self.tasks_a_bin):
            state, found = _train(state, self.constants, *self.draw_task(task))
            statistics = found if statistics is None else _merge(statistics, found)
        n = self.examples_a_task * self.tasks_a_bin
        return state, _record(statistics, state["slope"], self.constants, n)


@partial(jax.jit, donate_argnums=0)
def _train(state, constants, slow, numbers, targets):
    """All nets through one task.

    Inputs that stay 1 for a task move their weights by the same amount, and those that stay 0 not
    at all. So within the task only the sum of the weights of the former is kept.
    """
    always = jnp.concatenate([slow, jnp.ones_like(slow[:1])]).astype("float32")[:, None, None]
    weights = jnp.concatenate([state["hidden"][:N_SLOW], state["hidden"][-1:]])
    sum_before = (weights * always).sum(0)
    n_always = always.sum(0)[0, 0]
    carry = {
        "hidden": jnp.concatenate([state["hidden"][N_SLOW:N_INPUTS], sum_before[None]]),
        "out": state["out"],
        "out_bias": state["out_bias"],
        "slope": state["slope"],
    }
    shape = state["out"].shape
    statistics = {
        "squares": jnp.zeros(shape[1:]),
        "highest": jnp.full(shape, -jnp.inf),
        "size": jnp.zeros(shape),
    }
    fast = numbers[:, None, :] >> jnp.arange(N_FAST, dtype="uint8")[:, None] & 1
    fast = fast.astype("float32")

    def train(carry, example):
        nets, statistics = carry
        return step(nets, statistics, constants, n_always, *example), None

    (carry, statistics), _ = jax.lax.scan(train, (carry, statistics), (fast, targets))
    weights -= always * (sum_before - carry["hidden"][-1]) / n_always
    state = {
        "hidden": jnp.concatenate([weights[:-1], carry["hidden"][:-1], weights[-1:]]),
        **{name: carry[name] for name in ("out", "out_bias", "slope")},
    }
    return state, statistics


def step(nets, statistics, constants, n_always, x, y):
    """A step of SGD of every net on one example of its run: fast bits x (5, runs), y (runs)."""
    is_elu = constants["is_elu"] > 0
    # Sums written out: matrix products of a GPU would round the factors.
    z = sum((nets["hidden"][i] * x[i] for i in range(N_FAST)), nets["hidden"][N_FAST])
    h = rectify(z, nets["slope"], is_elu)
    z, h = jax.lax.optimization_barrier((z, h))  # else XLA computes them again for every use
    products = nets["out"] * h
    error = sum((products[unit] for unit in range(N_HIDDEN)), nets["out_bias"]) - y
    moved = 2 * constants["rate"] * error
    moved_h = moved * nets["out"]
    moved_z = moved_h * derivative(z, nets["slope"], is_elu)
    moved, moved_h, moved_z = jax.lax.optimization_barrier((moved, moved_h, moved_z))
    moved_slope = constants["is_learned"] * moved_h * jnp.minimum(z, 0)
    new_nets = {
        "hidden": nets["hidden"] - jnp.concatenate([x, n_always[None]])[:, None, None] * moved_z,
        "out": nets["out"] - moved * h,
        "out_bias": nets["out_bias"] - moved,
        "slope": nets["slope"] - moved_slope,
    }
    statistics = {
        "squares": statistics["squares"] + error**2,
        "highest": jnp.maximum(statistics["highest"], z),
        "size": statistics["size"] + jnp.abs(h),
    }
    return new_nets, statistics


@jax.jit
def _merge(a, b):
    return {
        "squares": a["squares"] + b["squares"],
        "highest": jnp.maximum(a["highest"], b["highest"]),
        "size": a["size"] + b["size"],
    }


@jax.jit
def _record(statistics, slope, constants, n):
    is_elu = constants["is_elu"] > 0
    units = count_units(statistics["highest"], statistics["size"] / n, slope, is_elu, axis=0)
    return {"error": statistics["squares"] / n, **units}
