"""Full-size tensors that a layer keeps for its backward pass, and the peak memory of a deep net."""

# pyright: reportMissingImports=false
# PyTorch and JAX are measured where they are installed.

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measuring import check_writable, environment, write_json

INPUT = (64, 32, 32, 64)
DEPTHS = (20, 40)


@dataclass
class Options:
    """Memory of one training step of 40 times (1x1 convolution -> activation), ours and Keras's.

    On TensorFlow the peak resident size of a process, one for each net; on JAX what the compiled
    program says of itself. The tensors kept a layer are the difference between 40 and 20 layers,
    the output that the next convolution keeps included.
    """

    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows: layer, of, mode, kept_tensors, peak_bytes."""


def layer_of(name, of):
    import keras

    from benchmarks.layers import CASES

    if name == "ReLU":
        return keras.layers.ReLU()
    ours, theirs = next(case[1:] for case in CASES if case[0] == name)
    return ours() if of == "ours" else theirs(len(INPUT))


def peak_bytes(name, of, mode, depth):
    """Of one training step in this process."""
    import keras

    net = keras.Sequential([keras.Input(INPUT[1:])])
    for _ in range(depth):
        net.add(keras.layers.Conv2D(INPUT[-1], 1, use_bias=False))
        net.add(layer_of(name, of))
    x = keras.random.normal(INPUT, seed=0)
    if keras.backend.backend() == "jax":
        return _jax_peak_bytes(net, x)
    import tensorflow as tf

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(net(x, training=True))
        return tape.gradient(loss, [v.value for v in net.trainable_variables])

    step = tf.function(step) if mode == "tf.function" else step
    for _ in range(3):
        step(x)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _jax_peak_bytes(net, x):
    import jax

    def loss(trainable, other, x):
        y, _ = net.stateless_call(trainable, other, x, training=True)
        return y.mean()

    variables = [
        [v.value for v in vs] for vs in (net.trainable_variables, net.non_trainable_variables)
    ]
    compiled = jax.jit(jax.grad(loss)).lower(*variables, x).compile()
    analysis: Any = compiled.memory_analysis()
    return analysis.temp_size_in_bytes


def measure(name, of, mode):
    """One row; every net in a process of its own, as a peak never falls."""
    peaks = []
    for depth in DEPTHS:
        command = [
            sys.executable,
            "-m",
            "benchmarks.memory",
            "--of",
            json.dumps([name, of, mode, depth]),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        peaks.append(int(done.stdout.split()[-1]))
    n_bytes = 4
    for size in INPUT:
        n_bytes *= size
    kept = (peaks[1] - peaks[0]) / (DEPTHS[1] - DEPTHS[0]) / n_bytes
    return {
        "layer": name,
        "of": of,
        "mode": mode,
        "kept_tensors": round(kept, 2),
        "peak_bytes": peaks[1],
    }


def main(options: Options, console: Console):
    from benchmarks.layers import CASES

    check_writable(options.json)
    console.print(environment(), highlight=False, soft_wrap=True)
    modes = ("jit",) if os.environ.get("KERAS_BACKEND") == "jax" else ("tf.function", "eager")
    nets = [("ReLU", "keras", mode) for mode in modes]
    for name, _, theirs in CASES:
        nets += [
            (name, of, mode) for mode in modes for of in ("ours", "keras") if of == "ours" or theirs
        ]
    rows = [measure(*net) for net in track(nets, "Measuring", console=console)]
    table = Table("layer", "of", "mode", "tensors kept", "peak, MB")
    for row in rows:
        *names, kept, peak = row.values()
        table.add_row(*names, f"{kept:.2f}", f"{peak / 1e6:.0f}")
    console.print(table)
    write_json(options.json, rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--of"]:
        print(peak_bytes(*json.loads(sys.argv[2])))
    else:
        main(tyro.cli(Options), Console())
