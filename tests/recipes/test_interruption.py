"""A run that is stopped by Ctrl-C or kill -9 goes on as if it had not been."""

import functools
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_leaky.study import load
from recipes import mnist
from tests.recipes.tables import read_table

ROOT = Path(__file__).parents[2]
# Epochs enough for a signal to arrive before the trainings that are left have ended.
FLAGS = (
    *("--data=synthetic", "--model=mlp", "--train-limit=200", "--batch-size=50", "--epochs=10"),
    *("--precision=float32", "--trials=2", "--finalists=1", "--seeds=2", "--seed=1"),
)
N_RUNS = 2 * 2 + 2 * 2


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "recipes.mnist", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The background jobs of a shell ignore Ctrl-C and hand that down to all they start.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    assert mnist.main([*FLAGS, f"--output={path}"]) == 0
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "n_before"),
    [
        (signal.SIGINT, 2),
        # While the chosen points are trained again.
        pytest.param(signal.SIGKILL, 3, marks=pytest.mark.soak),
    ],
)
def test_interrupted_run_ends_as_an_undisturbed_one(whole, tmp_path, capsys, number, n_before):
    path = tmp_path / "interrupted"
    process = start(*FLAGS, f"--output={path}")
    assert process.stdout
    assert any(line.startswith(f"[{n_before}/{N_RUNS}]") for line in process.stdout)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    partial = load(path)
    n_done = len(partial.trials) + len(partial.retrainings)
    assert n_before <= n_done < N_RUNS
    assert not partial.is_finished
    arguments = ["--output", str(path), "--resume"]
    if number == signal.SIGINT:
        assert process.returncode == 130
        way_on = error.strip().splitlines()[-1]
        assert shlex.split(way_on) == ["python", "-m", "recipes.mnist", *arguments]
    capsys.readouterr()
    assert mnist.main(arguments) == 0
    assert capsys.readouterr().out.count("(kept)") == n_done
    for name in ("trials", "epochs", "retrainings", "dead_units"):
        assert read_table(path, name) == read_table(whole, name)
