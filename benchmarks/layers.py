"""Time of every layer against the peers, in copies of the same tensor in the same run."""

# pyright: reportMissingImports=false
# PyTorch and JAX are measured where they are installed.

import inspect
import itertools
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path
from typing import Annotated, Literal

import keras
import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.frameworks import Jax, TensorFlow, Torch, torch_device
from benchmarks.measuring import check_writable, environment, median_seconds, refuse, write_json
from keras_leaky.layers.slope import variable_slopes
from keras_leaky.rectifiers import TABLE, entry_of

SHAPES = ((128, 32, 32, 64), (128, 28, 28, 16), (128, 100))
PASSES = ("forward", "forward+backward")
COLUMNS = ("layer", "dtype", "shape", "mode", "pass", "ours_copies", "peer", "peer_copies", "ratio")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass
class Options:
    """Ours against Keras's built-in layers, and PyTorch's and JAX's functions where installed.

    Everything is timed in turn in one process, and counted in copies `x + 0.` of the same tensor in
    the same run: 2.5 is the least for forward and backward. A ratio below 1 is in our favour.
    """

    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows: layer, dtype, shape, mode, pass, ours_copies, peer, peer_copies, ratio."""

    dtypes: tuple[Literal["float32", "bfloat16", "float16"], ...] = ("float32", "bfloat16")
    """Dtypes of the tensors. A copy is one in the same dtype."""


def slope_in_a_variable():
    with variable_slopes():
        return entry_of("leaky_relu").make(0.1)


def one_frozen_alpha(n_axes):
    return keras.layers.PReLU(shared_axes=list(range(1, n_axes)), trainable=False)


# The alphas at which a rectifier is measured, where its default is not enough.
ALPHAS = {"leaky_relu": (0.1,), "elu": (0.5, 1.0), "celu": (0.5,)}
# Keras's layer for an alpha and an input of so many axes. Keras has no RReLU.
PEERS = {
    "leaky_relu": lambda alpha, n_axes: keras.layers.LeakyReLU(alpha),
    "prelu": lambda _, n_axes: keras.layers.PReLU(shared_axes=list(range(1, n_axes - 1)) or None),
    "elu": lambda alpha, n_axes: keras.layers.ELU(alpha),
    "celu": lambda alpha, n_axes: keras.layers.Activation(
        partial(keras.activations.celu, alpha=alpha)
    ),
    "selu": lambda _, n_axes: keras.layers.Activation("selu"),
}


def list_cases():
    """Name, our layer, Keras's for an input of so many axes: its twin or, of a slope in a variable,
    the layer that holds one."""
    cases = []
    for entry in TABLE.values():
        for alpha in ALPHAS.get(entry.name, (None,)) if not entry.is_of_keras else ():
            name = entry.layer.__name__ + ("" if alpha is None else f"({alpha:g})")
            peer = PEERS.get(entry.name)
            cases.append((name, partial(entry.make, alpha), peer and partial(peer, alpha)))
    cases.insert(1, ("LeakyReLU(0.1), slope in a variable", slope_in_a_variable, one_frozen_alpha))
    return cases


CASES = list_cases()


def torch_functions(n_channels, dtype):
    """PyTorch's function of each case, and its weights."""
    import torch
    from torch.nn import functional

    kind = getattr(torch, dtype)
    alpha = torch.full((n_channels,), 0.25, dtype=kind, device=torch_device(), requires_grad=True)
    return {
        "LeakyReLU(0.1)": (lambda x: functional.leaky_relu(x, 0.1), []),
        "PReLU": (functional.prelu, [alpha]),
        "ELU(0.5)": (lambda x: functional.elu(x, 0.5), []),
        "ELU(1)": (functional.elu, []),
        "CELU(0.5)": (lambda x: functional.celu(x, 0.5), []),
        "SELU": (functional.selu, []),
        "RReLU": (lambda x: functional.rrelu(x, training=True), []),
    }


def jax_functions(n_channels, dtype):
    """JAX's function of each case, which has no PReLU and no RReLU."""
    import jax

    del n_channels, dtype
    return {
        "LeakyReLU(0.1)": (lambda x: jax.nn.leaky_relu(x, 0.1), []),
        "ELU(0.5)": (lambda x: jax.nn.elu(x, 0.5), []),
        "ELU(1)": (jax.nn.elu, []),
        "CELU(0.5)": (lambda x: jax.nn.celu(x, 0.5), []),
        "SELU": (jax.nn.selu, []),
    }


HOMES = {"tensorflow": TensorFlow, "jax": Jax}
OTHERS = {"torch": (Torch, torch_functions), "jax": (Jax, jax_functions)}


def prepare(framework, shape, dtype):
    """x, dy and the unit of time, a copy, in a framework."""
    x, dy = (
        framework.tensor(a, dtype)
        for a in np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    )
    return x, dy, lambda: framework.wait(x + 0.0)


def run_of_layer(framework, layer, x, mode, backward):
    """What calls a layer of Keras in training."""
    if isinstance(framework, Jax):
        # There what it holds must go in as an argument. In a net, because the `stateless_call` of a
        # layer alone does not cast its weights.
        dtype = keras.backend.standardize_dtype(x.dtype)
        net = keras.Sequential([keras.Input(batch_shape=x.shape, dtype=dtype), layer])
        state = [v.value for v in net.non_trainable_variables]

        def call(x, *values):
            return net.stateless_call(list(values), state, x, training=True)[0]

    else:
        layer.build(x.shape)
        takes_training = "training" in inspect.signature(layer.call).parameters
        call = partial(layer, training=True) if takes_training else layer
    return framework.run(call, layer.trainable_variables, mode, backward)


def measure(dtype, shape, mode, backward):
    """Rows of one dtype, shape, mode and pass."""
    keras.config.set_dtype_policy(POLICIES[dtype])
    backend = keras.backend.backend()
    home = HOMES[backend]()
    x, dy, copy = prepare(home, shape, dtype)
    runs = {("copy", ""): copy}

    def add(case, peer, framework, function, x, dy):
        runs[case, peer] = lambda: framework.wait(function(x, dy))

    for case, ours, theirs in CASES:
        add(case, "ours", home, run_of_layer(home, ours(), x, mode, backward), x, dy)
        if theirs:
            layer = theirs(len(shape))
            add(case, "keras", home, run_of_layer(home, layer, x, mode, backward), x, dy)
    for name, (make, functions) in OTHERS.items():
        if name == backend or util.find_spec(name) is None:
            continue
        other = make()
        # The nearest they have to a mode of the home framework.
        their_mode = {"XLA": "jit", "tf.function": None}.get(mode, mode)
        if their_mode not in other.modes:
            continue
        their_x, their_dy, _ = prepare(other, shape, dtype)
        for case, (function, weights) in functions(shape[-1], dtype).items():
            run = other.run(function, weights, their_mode, backward)
            add(case, name, other, run, their_x, their_dy)
    seconds = median_seconds(runs)
    unit = seconds.pop(("copy", ""))
    for (case, peer), time in seconds.items():
        if peer == "ours" and any(c == case and p != "ours" for c, p in seconds):
            continue
        ours = seconds[case, "ours"]
        theirs = None if peer == "ours" else time
        copies = (None, None, None)
        if theirs is not None:
            copies = (peer, round(theirs / unit, 3), round(ours / theirs, 3))
        values = (case, dtype, list(shape), mode, PASSES[backward], round(ours / unit, 3), *copies)
        yield dict(zip(COLUMNS, values, strict=True))


def main(options: Options, console: Console):
    backend = keras.backend.backend()
    if backend not in HOMES:
        refuse(f"KERAS_BACKEND must be one of {', '.join(HOMES)}. Received: {backend}")
    check_writable(options.json)
    console.print(environment(), highlight=False, soft_wrap=True)
    modes = HOMES[backend].modes
    combinations = itertools.product(options.dtypes, SHAPES, modes, (False, True))
    rows = []
    for combination in track(list(combinations), "Measuring", console=console):
        rows += measure(*combination)
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*["" if row[column] is None else str(row[column]) for column in COLUMNS])
    console.print(table)
    write_json(options.json, rows)


if __name__ == "__main__":
    main(tyro.cli(Options), Console())
