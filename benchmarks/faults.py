"""Studies that are killed, run folders that are damaged, disks that are full: is anything lost?"""

import itertools
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.measuring import check_writable, environment, refuse, write_json
from tests.faults import bad_trials, corruptions, full_disks, kills, processes_and_folders
from tests.faults.recipe_commands import run_here
from tests.faults.run_outcomes import is_good

CASES = {
    "kills": lambda folder, o: kills.killed_studies(folder, o.runs, seed=o.seed),
    "steps": lambda folder, o: kills.killed_steps(folder),
    "corruptions": lambda folder, o: corruptions.corrupted_runs(
        folder, o.copies, run_here, seed=o.seed
    ),
    "file-limits": lambda folder, o: full_disks.file_limits(folder),
    "small-disks": lambda folder, o: full_disks.small_disks(folder),
    "trials": lambda folder, o: itertools.chain(
        bad_trials.trial_without_memory(folder),
        bad_trials.diverging_trials(folder),
        bad_trials.hanging_trial(folder),
    ),
    "processes": lambda folder, o: itertools.chain(
        processes_and_folders.two_processes(folder / "two"),
        processes_and_folders.stopped_studies(folder / "stopped"),
        processes_and_folders.interrupted_starts(folder / "started"),
        processes_and_folders.unusable_folders(folder / "folders"),
    ),
}


@dataclass
class Options:
    """Faults of every kind, done for real to studies of `recipes.mnist` on synthetic images.

    kills: SIGKILL to the driver, to workers or to both at random moments, up to three times a
    study, whose tuners are random, grid, bayesian and hyperband in turn. steps: SIGKILL before
    every single step of writing a file. corruptions: files of run folders cut off, flipped,
    deleted, swapped. file-limits, small-disks: no room for a file; the latter mounts file systems
    in memory, which takes root. trials: of no memory, of NaN, one that hangs. processes: two in one
    folder, Ctrl-C at any moment, folders that go away.
    Each study is then resumed, and its results are compared with those of one that was left alone.
    Ends with exit code 1 if anything was lost or wrong.
    """

    cases: tuple[str, ...] = ()
    """Of kills, steps, corruptions, file-limits, small-disks, trials, processes. None: all."""
    runs: int = 30
    """Studies that are killed at random moments. Every third has two workers."""
    copies: int = 200
    """Run folders that are damaged."""
    seed: int = 0
    """Of the moments and the damages."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """File for the rows: case, codes, lost, wrong, problems, ..."""


def print_row(row, console):
    name = row.get("search") or row.get("disk") or f"copy {row['copy']} of {row['of']}"
    done = ", ".join(row.get("kills") or row.get("faults") or [row.get("sentence", "")])
    codes = row["codes"] if "codes" in row else [row["code"]]
    console.print(f"{name}: {done}; exit codes {codes}", markup=False, highlight=False)
    if not is_good(row):
        console.print(row, style="red")


def print_summary(rows, console):
    table = Table("case", "n", "as if undisturbed", "refused", "lost", "wrong", "other problems")
    for case in dict.fromkeys(row["case"] for row in rows):
        of_case = [row for row in rows if row["case"] == case]
        counts = [sum(bool(row.get(key)) for row in of_case) for key in ("lost", "wrong")]
        n_refused = sum(bool(row.get("refused")) for row in of_case)
        n_good = sum(is_good(row) for row in of_case) - n_refused
        n_other = sum(bool(row.get("problems") or row.get("leftovers")) for row in of_case)
        numbers = (len(of_case), n_good, n_refused, *counts, n_other)
        table.add_row(case, *map(str, numbers))
    console.print(table)
    refused = Counter(row["refused_file"] for row in rows if row.get("refused"))
    if refused:
        files = ", ".join(f"{file} {n}" for file, n in refused.most_common())
        console.print(f"Refused for: {files}", highlight=False)


def check(options):
    for name in options.cases:
        if name not in CASES:
            refuse(f"`--cases` must be of {', '.join(CASES)}. Received: {name}")
    for flag, value in (("runs", options.runs), ("copies", options.copies)):
        if value < 1:
            refuse(f"`--{flag}` must be at least 1. Received: {value}")
    check_writable(options.json)


def main(options: Options, console: Console):
    check(options)
    console.print(environment(), highlight=False, soft_wrap=True)
    rows = []
    for case in options.cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            found = CASES[case](Path(folder), options)
            try:
                for row in track(found, case, console=console, transient=True, total=None):
                    rows.append({"case": case, **row})
                    print_row(row, console)
                    write_json(options.json, rows)
            except PermissionError as error:
                console.print(f"{case} is left out: {error}", markup=False)
    print_summary(rows, console)
    return 0 if all(map(is_good, rows)) else 1


if __name__ == "__main__":
    raise SystemExit(main(tyro.cli(Options), Console()))
