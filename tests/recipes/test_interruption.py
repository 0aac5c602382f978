"""A search that is stopped by Ctrl-C or kill -9 goes on as if it had not been."""

import dataclasses
import signal

import pytest

from recipes.common.run_folder import RunFolder
from tests.faults.recipe_commands import Command, resume
from tests.recipes.conftest import TINY

# Epochs enough for a signal to arrive before the trainings that are left have ended.
FLAGS = [*TINY, "--epochs=30", "--trials=3", "--seeds=4", "--seed=1"]
N_RUNS = 2 * 3 + 2 * 4


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
    command = Command(*FLAGS, "--output", path, folder=tmp_path / "printed")
    assert command.wait_for(lambda: f"\n[ {n_before}/{N_RUNS}]" in command.output)
    command.process.send_signal(number)
    ended = command.end()
    partial = RunFolder.open(path)
    n_done = len(partial.trials) + len(partial.retrainings)
    assert n_before <= n_done < N_RUNS
    arguments = resume(path)
    if number == signal.SIGINT:
        assert ended.code == 130
        assert not ended.has_traceback
        assert ended.way_on, ended.error
        arguments = ended.way_on
    done = Command(*arguments, folder=tmp_path / "printed").end()
    assert done.code == 0, done.error
    assert done.output.count("(kept)") == n_done
    assert outcome(RunFolder.open(path)) == outcome(whole)
