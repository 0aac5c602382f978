"""The figures of one GPU, in pieces that a machine lent for minutes can take."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch wants memory too

import jax
import keras
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.gpu.airbench import list_airbench_jobs
from benchmarks.gpu.arms import list_arm_jobs
from benchmarks.gpu.layers import list_layer_jobs
from benchmarks.gpu.long import list_long_jobs
from benchmarks.gpu.recipe import list_recipe_jobs
from benchmarks.gpu.searches import list_search_jobs
from benchmarks.gpu.together import list_together_jobs
from benchmarks.measuring import environment, refuse, write_json

PARTS = {  # the most valuable first
    "layers": list_layer_jobs,
    "searches": list_search_jobs,
    "together": list_together_jobs,
    "airbench": list_airbench_jobs,
    "recipe": list_recipe_jobs,
    "arms": list_arm_jobs,
    "long": list_long_jobs,
}


@dataclass
class Options:
    """Layers, searches and trainings on one GPU, through JAX.

    layers: every layer, in copies of the same tensor. searches: 8, 64 and 512 trials, ours, stock
    KerasTuner's and Optuna's with PyTorch. together: many trainings in one program by `jax.vmap`.
    airbench: a small net in PyTorch that is known for its speed on CIFAR-10, and recipe:
    `recipes.cifar10 --model vgg` from start to page, on the same data.
    arms: seven rectifiers on CIFAR-10 with ten seeds. long: six of them in a larger net, trained
    for 24 epochs.

    Each part is a file of JSON in `out`, written after each of its jobs. Run the command again with
    the same folder to go on where it stopped.
    """

    out: Path = Path("gpu")
    """Folder for one file a part."""
    minutes: float = 9.0
    """No job starts after so many minutes; the longest took 2 on an H100."""
    parts: tuple[str, ...] = tuple(PARTS)
    """Parts to run, in this order."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with mnist.npz and cifar10.npz. None: Keras's cache, or a download."""
    airbench: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """legacy/airbench94.py of github.com/KellerJordan/cifar10-airbench. None: without this part."""
    small: bool = False
    """The first job of each part with tiny nets on made-up images, on any machine: does it run?"""


def run_jobs(name, jobs, options, is_late, console):
    """Runs the jobs of a part that its file does not have; whether it is complete."""
    path = options.out / f"{name}.json"
    record = json.loads(path.read_text()) if path.exists() else {"environment": "", "jobs": {}}
    for key, job in jobs.items():
        if key in record["jobs"]:
            continue
        if is_late():
            return False
        start = time.perf_counter()
        rows = job()
        seconds = round(time.perf_counter() - start, 1)
        record["environment"] = environment()
        record["jobs"][key] = {"seconds": seconds, "device": device(), "rows": rows}
        write_json(path, record)
        print_rows(f"{name}: {key}, {seconds} s", rows, console)
    return True


def device():
    return jax.devices()[0].device_kind


def print_rows(title, rows, console):
    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)


def main(options: Options, console: Console):
    start = time.perf_counter()
    if keras.backend.backend() != "jax":
        refuse(f"KERAS_BACKEND must be jax. Received: {keras.backend.backend()}")
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        refuse(f"`--parts` must be of {', '.join(PARTS)}. Received: {unknown[0]}")
    if jax.default_backend() == "cpu" and not options.small:
        refuse("JAX must see a GPU, or `--small` must be given. Received: a CPU")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(f"`--out` must be a folder that can be written. Received: {options.out} ({error})")
    console.print(f"{device()}; {environment()}", highlight=False, soft_wrap=True)

    def is_late():
        return time.perf_counter() - start > 60 * options.minutes

    for name in options.parts:
        jobs = PARTS[name](options)
        if options.small:
            jobs = dict(list(jobs.items())[:1])
        if not run_jobs(name, jobs, options, is_late, console):
            console.print(f"Stopped in {name}. Run the same command again to go on.")
            return
    console.print(f"All is done: {options.out}", highlight=False)


if __name__ == "__main__":
    main(tyro.cli(Options), Console(width=160))
