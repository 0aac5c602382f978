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
@pytest.mark.parametrize(
    ("number", "n_before"),
    [
        (signal.SIGINT, 2),
        # While the chosen points are retrained.
        pytest.param(signal.SIGKILL, 7, marks=pytest.mark.soak),
    ],
)
def test_interrupted_run_ends_as_an_undisturbed_one(search, tmp_path, number, n_before):
    code, whole = search("whole", *FLAGS)
    assert code == 0
    path = tmp_path / "interrupted"
    with start(path) as child:
        wait_for_line(child, f"[ {n_before}/{N_RUNS}]")
        child.send_signal(number)
        error = child.stderr.read()
    partial = RunFolder.open(path)
    n_done = len(partial.trials) + len(partial.retrainings)
    assert n_before <= n_done < N_RUNS
    resume = ["python", "-m", "recipes.mnist", "--output", str(path), "--resume"]
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
    assert outcome(RunFolder.open(path)) == outcome(whole)
