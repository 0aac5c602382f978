"""A search that is stopped by Ctrl-C or kill -9 goes on as if it had not been."""

import dataclasses
import functools
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.common.run_folder import RunFolder
from tests.recipes.conftest import TINY

ROOT = Path(__file__).parents[2]
# Epochs enough for a signal to arrive before the trainings that are left have ended.
FLAGS = [*TINY, "--epochs=30", "--trials=3", "--seeds=4", "--seed=1"]
N_RUNS = 2 * 3 + 2 * 4


def start(path):
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "recipes.mnist", *FLAGS, "--output", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The background jobs of a shell ignore Ctrl-C and hand that down to all they start.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_line(child, start_of_line):
    for line in child.stdout:
        if line.startswith(start_of_line):
            return
    pytest.fail(f"no line began with {start_of_line!r}: {child.stderr.read()}")


def outcome(run):
    return (
        [dataclasses.replace(row, seconds=0) for row in run.trials],
        run.epochs,
        [dataclasses.replace(row, seconds=0) for row in run.retrainings],
    )


@pytest.mark.slow
def test_interrupted_runs_end_as_an_undisturbed_one(search, tmp_path):
    code, whole = search("whole", *FLAGS)
    assert code == 0
    for name, number, after in (
        ("interrupted", signal.SIGINT, f"[ 2/{N_RUNS}]"),
        ("killed", signal.SIGKILL, f"[ 7/{N_RUNS}]"),  # while the chosen points are retrained
    ):
        with start(tmp_path / name) as child:
            wait_for_line(child, after)
            child.send_signal(number)
            error = child.stderr.read()
        partial = RunFolder.open(tmp_path / name)
        n_done = len(partial.trials) + len(partial.retrainings)
        assert int(after[1:3]) <= n_done < N_RUNS
        resume = ["python", "-m", "recipes.mnist", "--output", str(tmp_path / name), "--resume"]
        if number == signal.SIGINT:
            assert child.returncode == 130
            assert "Traceback" not in error
            printed = re.search(r"^  (python -m recipes\.mnist .*)$", error, re.MULTILINE)
            assert printed, error
            resume = shlex.split(printed.group(1))
        done = subprocess.run(
            [sys.executable, *resume[1:]], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.count("(kept)") == n_done
        assert outcome(RunFolder.open(tmp_path / name)) == outcome(whole)
