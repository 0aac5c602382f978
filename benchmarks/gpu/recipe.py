"""`recipes.cifar10` with its net for a GPU, as a user starts it, from the command to the page."""

import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

SIZE = ("--trials", "8", "--seeds", "5", "--epochs", "10")
SMALL_SIZE = ("--trials", "2", "--seeds", "2", "--epochs", "1", "--train-limit", "400")
# The recipe's own batches, and airbench's net and batches.
SETTINGS = {"vgg": "128", "vgg_bn": "1024"}
SMALL_SETTINGS = {"cnn": "128"}


def list_recipe_jobs(options):
    """A job a net."""
    settings = SMALL_SETTINGS if options.small else SETTINGS
    return {net: partial(measure, options, net, batch) for net, batch in settings.items()}


def measure(options, net, batch_size):
    """A row an arm; `seconds` is the whole command's."""
    flags = ["--model", net, "--batch-size", batch_size, *(SMALL_SIZE if options.small else SIZE)]
    if options.small:
        flags += ["--data", "synthetic"]
    elif options.data_dir is not None:
        flags += ["--data-dir", str(options.data_dir)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "recipes.cifar10", *flags, "--output", str(run)]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = round(time.perf_counter() - start, 1)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        precision = re.search(r"^Precision: (.*)$", done.stdout, re.MULTILINE)
        verdict = json.loads((run / "summary.json").read_text())["verdict"]
        tables = {name: read_rows(run / f"{name}.csv") for name in ("trials", "retrainings")}
    rows = []
    for arm in dict.fromkeys(row["arm"] for row in tables["retrainings"]):
        trials, retrainings = ([row for row in t if row["arm"] == arm] for t in tables.values())
        finals = [row for row in retrainings if row["stage"] == "final"]
        tests = [float(row["test_score"]) for row in finals]
        trial_seconds = [float(row["seconds"]) for row in trials]
        row = {
            "net": net,
            "batch_size": int(batch_size),
            "arm": arm,
            "first_trial_seconds": trial_seconds[0],  # compiles
            "trial_seconds": round(float(np.median(trial_seconds[1:])), 3),
            "retraining_seconds": float(np.median([float(row["seconds"]) for row in finals])),
            "test_accuracy": round(float(np.mean(tests)), 5),
            "std": round(float(np.std(tests, ddof=1)), 5),
            "n": len(tests),
            "seconds": seconds,
            "precision": precision and precision[1],
            "verdict": verdict,
        }
        rows.append(row)
    return rows


def read_rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))
