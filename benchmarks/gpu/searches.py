"""Seconds of searches of 8, 64 and 512 trials: ours, stock KerasTuner's, Optuna's."""

import dataclasses
import tempfile
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.search_cases import CASES, draw_data, load_data
from benchmarks.search_curve import measure_curve
from benchmarks.search_peers import load_peers

# Stock compiles in every trial, so 8 tell what 64 take.
COUNTS = {"ours": (8, 64, 512), "stock": (8,), "optuna": (8, 64)}
SMALL_COUNTS = {"ours": (2,), "stock": (2,), "optuna": (2,)}


def list_search_jobs(options):
    """A job a net and tuner."""
    counts = SMALL_COUNTS if options.small else COUNTS
    return {
        f"{case} {who}": partial(measure, options, case, who, counts[who])
        for case in ("mlp-short", "cnn-short")
        for who in ("ours", "stock", "optuna")
    }


def load_case(options, name):
    """The case of that name, or a small one like it, and its data."""
    case = CASES[name]
    if not options.small:
        return case, load_data(case, options.data_dir)
    case = dataclasses.replace(case, n_training=500, n_validation=250, filters=case.filters[:1])
    return case, draw_data(case)


def measure(options, name, who, counts):
    (case, data), console = load_case(options, name), Console(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        peers = load_peers([who], Path(folder), "float32", console)
        if not peers:
            return [{"case": name, "tuner": who, "n_trials": 0, "seconds": None}]
        return list(measure_curve(name, case, who, peers[who], data, counts, console))
