"""Timing side by side, and what it was timed on."""

import json
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np


def median_seconds(functions, budget_seconds=1.5, n_least=15):
    """Median time of a call of each function of a dict, called in turn so that all share the noise.

    Each is called twice before, which leaves tracing and compilation out.
    """
    for function in functions.values():
        function()
        function()
    times = {name: [] for name in functions}
    start = time.perf_counter()
    while len(next(iter(times.values()))) < n_least or time.perf_counter() - start < budget_seconds:
        for name, function in functions.items():
            before = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - before)
    return {name: float(np.median(seconds)) for name, seconds in times.items()}


def environment():
    """One line: processor, cores and the versions of what is installed of the frameworks."""
    versions = []
    for package in ("keras_leaky", "keras", "tensorflow", "jax", "torch", "optuna", "numpy"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, Python {platform.python_version()}, " + ", ".join(
        versions
    )


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?"
    )


def refuse(message):
    """Ends the program as for any wrong input."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def check_writable(path):
    """Refuses a file that could not be written, before minutes of measuring are lost on it."""
    if path is None:
        return
    probe = path.with_name(f"{path.name}.tmp")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        refuse(
            f"`--json` must name a file that can be written. Received: {path} ({error.strerror})"
        )


def write_json(path, rows):
    """Writes `rows` to `path`, if there is one, whole or not at all."""
    if path is None:
        return
    # Here, as the package brings in Keras, which some benchmarks import in other processes only.
    from keras_leaky.storage import write_whole

    write_whole(path, f"{json.dumps(rows, indent=1)}\n".encode())
