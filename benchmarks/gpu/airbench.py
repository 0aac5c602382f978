"""airbench94, the fastest public training of CIFAR-10 in plain PyTorch, on the same data.

Its file is not ours and not in this repository: `--airbench` names a copy of it.
"""

# pyright: reportMissingImports=false
# PyTorch is measured where it is installed.

import contextlib
import io
import runpy
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from recipes.datasets import load

N_RUNS = 6  # after one that warms up


def list_airbench_jobs(options):
    """One job, if there is a copy of airbench to run."""
    return {} if options.airbench is None else {"airbench94": partial(measure, options)}


def measure(options):
    """A row a run. `seconds` is by its own clock, which leaves out evaluations within training."""
    import torch

    arrays = load("cifar10", "cifar10", options.data_dir)
    parts = {
        "train": (arrays.x_train, arrays.y_train),
        "test": (arrays.x_test, arrays.y_test),
    }
    script = str(options.airbench.resolve())
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("cifar10").mkdir()  # where it looks for them
        for part, (x, y) in parts.items():
            images, labels = torch.from_numpy(np.array(x)), torch.from_numpy(y.astype("int64"))
            content = {"images": images, "labels": labels, "classes": [str(i) for i in range(10)]}
            torch.save(content, f"cifar10/{part}.pt")
        program = runpy.run_path(script, run_name="airbench")
        for run in range(1 + N_RUNS):
            start = time.perf_counter()
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                with_augmentation = program["main"](run)
            table = [line for line in printed.getvalue().splitlines() if line.startswith("|")]
            last = [cell.strip() for cell in table[-1].split("|")]
            rows.append(
                {
                    "run": "warm-up" if run == 0 else str(run),
                    "seconds": float(last[7]),
                    "seconds_in_all": round(time.perf_counter() - start, 3),
                    "test_accuracy": float(last[5]),
                    "with_test_time_augmentation": round(with_augmentation, 5),
                }
            )
    return rows
