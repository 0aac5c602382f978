"""Many trainings in one program by `jax.vmap`: what an engine could gain by training them together.

All trials start from the same weights and see the same batches; alpha and learning rate differ.
"""

import time
from functools import partial
from typing import Any

import jax
import keras
import keras_tuner
import numpy as np

from benchmarks.gpu.searches import load_case
from benchmarks.search_cases import ALPHA, BATCH_SIZE, LEARNING_RATE, make_build
from keras_leaky.layers import LeakyReLU
from keras_leaky.layers.slope import variable_slopes

COUNTS = (1, 8, 64, 512)
AT_MOST = 64  # in one program: 512 CNNs at a time would fill the memory
SMALL_COUNTS = (1, 2)
N_TIMES = 3


def list_together_jobs(options):
    """A job a net."""
    return {case: partial(measure, options, case) for case in ("mlp-short", "cnn-short")}


def measure(options, name):
    case, ((x, y), (x_val, y_val)) = load_case(options, name)
    n_steps = len(x) // BATCH_SIZE
    order = np.random.default_rng(0).permutation(len(x))[: n_steps * BATCH_SIZE]
    batches = jax.device_put(order.reshape(n_steps, BATCH_SIZE))
    data = jax.device_put((x, y.astype("int32"), x_val, y_val.astype("int32")))
    rows = []
    for n_trials in SMALL_COUNTS if options.small else COUNTS:
        alphas = np.geomspace(*ALPHA, n_trials).astype("float32")
        rates = np.geomspace(*LEARNING_RATE, n_trials).astype("float32")
        row = time_trials(case, alphas, rates, batches, data)
        rows.append({"case": name, "n_trials": n_trials, **row})
    return rows


def time_trials(case, alphas, rates, batches, data):
    """Seconds of the compilation, and of a trial once that is done; what the trials scored."""
    train, state = prepare(case)
    groups = [
        (alphas[i : i + AT_MOST], rates[i : i + AT_MOST]) for i in range(0, len(alphas), AT_MOST)
    ]
    times, scores = [], []
    for _ in range(1 + N_TIMES):
        start = time.perf_counter()
        scores = [jax.device_get(train(state, *group, batches, data)) for group in groups]
        times.append(time.perf_counter() - start)
    scores = np.concatenate(scores)
    return {
        "in_one_program": min(len(alphas), AT_MOST),
        "first_seconds": round(times[0], 3),
        "seconds_a_trial": round(float(np.median(times[1:])) / len(alphas), 5),
        "best_val_accuracy": round(float(scores.max()), 5),
        "median_val_accuracy": round(float(np.median(scores)), 5),
    }


def prepare(case):
    """A compiled training of many trials, and the numbers that one of them starts from."""
    keras.utils.set_random_seed(1)
    with variable_slopes():
        model: Any = make_build(case, "float32")(keras_tuner.HyperParameters())
    optimizer: Any = model.optimizer
    optimizer.build(model.trainable_variables)
    slopes = [layer.variables[0] for layer in model.layers if isinstance(layer, LeakyReLU)]
    is_slope = [any(v is slope for slope in slopes) for v in model.non_trainable_variables]
    is_rate = [v is optimizer.learning_rate for v in optimizer.variables]
    groups = model.trainable_variables, model.non_trainable_variables, optimizer.variables
    state = [[v.value for v in group] for group in groups]

    def loss_of(weights, others, x, y):
        logits, others = model.stateless_call(weights, others, x, training=True)
        return model.loss(y, logits), others

    def step(state, x, y):
        weights, others, slots = state
        (_, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, others, x, y)
        weights, slots = optimizer.stateless_apply(slots, gradients, weights)
        return [list(weights), list(others), list(slots)]

    def score(state, x, y):
        logits, _ = model.stateless_call(state[0], state[1], x, training=False)
        return (logits.argmax(-1) == y).mean()

    def start(state, alpha, rate):
        weights, others, slots = state
        others = [alpha if known else v for v, known in zip(others, is_slope, strict=True)]
        slots = [rate if known else v for v, known in zip(slots, is_rate, strict=True)]
        return [weights, others, slots]

    @jax.jit
    def train(state, alphas, rates, batches, data):
        x, y, x_val, y_val = data
        states = jax.vmap(start, (None, 0, 0))(state, alphas, rates)

        def run(states, numbers):
            return jax.vmap(step, (0, None, None))(states, x[numbers], y[numbers]), None

        states, _ = jax.lax.scan(run, states, batches)
        return jax.vmap(score, (0, None, None))(states, x_val, y_val)

    return train, state
