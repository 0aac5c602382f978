"""Seconds until a number of trials, and the best validation accuracy found until then."""

from itertools import accumulate

from rich.progress import Progress
from rich.table import Table

from benchmarks.measuring import write_json
from benchmarks.search_cases import CASES, load_data
from benchmarks.search_peers import Stopwatch


def measure_curve(name, case, who, start_search, data, counts, console):
    """Rows of one tuner, which runs its search once and is read off at each of `counts`."""
    with Progress(console=console, transient=True, refresh_per_second=1) as progress:
        bar = progress.add_task(f"{name}, {who}", total=max(counts))
        stopwatch = Stopwatch(lambda: progress.advance(bar))
        # Builds a net or loads the data, and so starts the device, which a search after it shares.
        run = start_search(case, data, stopwatch)
        stopwatch.start()
        run(max(counts))
    seconds = list(accumulate(stopwatch.seconds))
    for n_trials in counts:
        best = max(range(n_trials), key=stopwatch.scores.__getitem__)  # the first of equals
        yield {
            "case": name,
            "tuner": who,
            "n_trials": n_trials,
            "seconds": round(seconds[n_trials - 1], 3),
            "best_val_accuracy": round(stopwatch.scores[best], 5),
            "best_seconds": round(seconds[best], 3),
        }


def print_curves(cases, peers, counts, folder, json, console):
    """Measures all tuners in all cases; writes what it has after each."""
    data = {name: load_data(CASES[name], folder) for name in cases}  # all, to refuse at once
    rows = []
    for name in cases:
        for who, start_search in peers.items():
            rows += measure_curve(name, CASES[name], who, start_search, data[name], counts, console)
            write_json(json, rows)
    heads = ("case", "tuner", "trials", "seconds", "best accuracy", "found after")
    table = Table(*heads, title="Seconds of a search, compilation included")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
