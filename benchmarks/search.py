"""Seconds a trial of our search, stock KerasTuner's and Optuna's with PyTorch, in one process."""

# pyright: reportMissingImports=false
# PyTorch is measured where it is installed.

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

with contextlib.suppress(ImportError):
    # PyTorch's optimizers import it, and after TensorFlow >= 2.20 that ends the process by a
    # segmentation fault: https://github.com/tensorflow/tensorflow/issues/124205
    import triton  # noqa: F401

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measuring import check_writable, environment, refuse, write_json
from benchmarks.search_cases import CASES, draw_data
from benchmarks.search_curve import print_curves
from benchmarks.search_peers import Stopwatch, load_peers

PEERS = ("ours", "stock", "optuna")


@dataclass
class Options:
    """Search of alpha and learning rate: trials of ours, of KerasTuner's, of Optuna's, of ours, ...

    Ours and stock draw the same trials at random; Optuna, where it and PyTorch are installed, draws
    by TPE and trains the same net in a plain loop. The images are random: the time does not depend
    on what is on them. Medians of all trials; the first of ours, which compiles, is a column of its
    own. With `--curve` instead whole searches on real images, one after the other.

    Threads of PyTorch that wait for each other can take ten times as long as one on a CPU that has
    other work: compare with OMP_NUM_THREADS=1, which Keras does not look at.
    """

    turns: int = 3
    """How often each tuner gets its turn."""
    trials: int = 4
    """Trials in a turn. The first of ours pays for KerasTuner's `clear_session`, so 3 or more."""
    cases: tuple[str, ...] = ()
    """Of mlp-short, cnn-short, cnn-full, cifar-small. None: all, with `--curve` those of MNIST."""
    curve: tuple[int, ...] = ()
    """Seconds and best validation accuracy until so many trials have ended, as in 8 64 512."""
    curve_peers: tuple[Literal["ours", "stock", "optuna"], ...] = PEERS
    """Whose searches: 512 trials of stock take an hour."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with mnist.npz, or cifar10.npz for cifar-small, whose training images are used."""
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Of ours alone: what the recipes' `--precision auto` may take. The peers train in float32."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows: case, ours_seconds, stock_seconds, ratio, ... or those of the curve."""


def measure(name, peers, options, console):
    """One row."""
    case = CASES[name]
    data = draw_data(case)
    watches = {who: Stopwatch() for who in peers}
    searches = {who: start(case, data, watches[who]) for who, start in peers.items()}
    for _ in track(range(options.turns), name, console=console, transient=True):
        for who, run in searches.items():
            watches[who].start()
            run(options.trials)
    median = {who: float(np.median(watch.seconds)) for who, watch in watches.items()}
    ours, stock, optuna = median["ours"], median["stock"], median.get("optuna")
    training = float(np.median(watches["ours"].in_epochs))  # of a program that is compiled already
    return {
        "case": name,
        "n_trials": options.turns * options.trials,
        "ours_first_seconds": round(watches["ours"].seconds[0], 3),
        "ours_seconds": round(ours, 3),
        "stock_seconds": round(stock, 3),
        "optuna_seconds": optuna and round(optuna, 3),
        "ratio": round(stock / ours, 2),
        "optuna_ratio": optuna and round(optuna / ours, 2),
        "ours_training_fraction": round(training / ours, 2),
        "stock_training_fraction": round(min(1.0, training / stock), 2),
    }


def print_comparison(cases, peers, options, console):
    rows = [measure(name, peers, options, console) for name in cases]
    heads = ("case", "n", "ours, first", *PEERS, "stock / ours", "optuna / ours")
    table = Table(
        *heads,
        "trains",
        "stock trains",
        title="Seconds a trial, and the fraction of them that trains",
    )
    for row in rows:
        table.add_row(*["" if value is None else str(value) for value in row.values()])
    console.print(table)
    write_json(options.json, rows)


def check(options):
    for flag, value, least in (("turns", options.turns, 1), ("trials", options.trials, 3)):
        if value < least:
            refuse(f"`--{flag}` must be at least {least}. Received: {value}")
    for name in options.cases:
        if name not in CASES:
            refuse(f"`--cases` must be of {', '.join(CASES)}. Received: {name}")
    for n_trials in options.curve:
        if n_trials < 1:
            refuse(f"`--curve` must be numbers of trials, at least 1. Received: {n_trials}")
    if options.curve and options.data_dir is None:
        refuse(
            "`--curve` must have a `--data-dir` with mnist.npz, as random images have no accuracy. "
            f"Received: --curve {' '.join(map(str, options.curve))}"
        )
    if options.data_dir is not None and not options.curve:
        refuse(f"`--data-dir` must come with `--curve`. Received: --data-dir {options.data_dir}")
    check_writable(options.json)


def main(options: Options, console: Console):
    check(options)
    counts = sorted(set(options.curve))
    mnist = [name for name, case in CASES.items() if case.dataset == "mnist"]
    cases = options.cases or (mnist if counts else CASES)
    console.print(environment(), highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as folder:
        peers = load_peers(
            options.curve_peers if counts else PEERS, Path(folder), options.precision, console
        )
        if not peers:
            refuse(
                "`--curve-peers` must name one that is installed. Received: "
                f"{' '.join(options.curve_peers) or 'none'}"
            )
        if counts:
            print_curves(cases, peers, counts, options.data_dir, options.json, console)
        else:
            print_comparison(cases, peers, options, console)


if __name__ == "__main__":
    main(tyro.cli(Options), Console())
