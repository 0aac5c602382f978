"""Studies that are killed, at any moment, end as if they had not been."""

import signal

import pytest

from tests.faults.forked_recipe import run_forked, undisturbed, use_one_thread
from tests.faults.kills import find_workers, killed_steps, study_flags
from tests.faults.recipe_commands import Command, resume
from tests.faults.run_outcomes import differences, is_good, lost, n_ended, read_reasons, records

pytestmark = pytest.mark.slow
# Among the files of a trial, and of a retraining with its model.
# `python -m benchmarks.faults --cases steps` takes all of them.
STEPS = (51, 86)


def test_killed_before_a_step_of_writing(tmp_path):
    rows = [*killed_steps(tmp_path, steps=STEPS, more=["--activation=relu"])]
    assert [row["codes"] for row in rows] == [[-signal.SIGKILL, 0]] * len(STEPS)
    for row in rows:
        assert is_good(row), row


@pytest.mark.soak
def test_killed_worker_and_then_killed_driver(tmp_path):
    path, flags = tmp_path / "run", (*study_flags(12, 2), f"--output={tmp_path / 'run'}")
    expected = undisturbed(tmp_path / "whole", *study_flags(12, 0), prepare=use_one_thread)
    command = Command(*flags, folder=tmp_path)
    assert command.wait_for(lambda: n_ended(path) >= 2)
    find_workers(command.process)[0].kill()
    assert command.wait_for(lambda: n_ended(path) >= 5)
    workers = find_workers(command.process)
    command.process.kill()
    ended = command.end()
    assert (ended.code, ended.error) == (-signal.SIGKILL, "")
    for worker in workers:
        worker.wait(15)  # it does not outlive its driver
    known = records(path)
    again = run_forked(*resume(path, "--workers=0"), prepare=use_one_thread)
    assert (again.code, again.error) == (0, "")
    assert not lost(path, known)
    assert not differences(path, expected)
    reasons = [reason for reason in read_reasons(path) if reason]
    assert len(reasons) == 1
    assert reasons[0].endswith("was killed")
