"""Trials that diverge or run out of memory are recorded, and the search goes on."""

import pytest

from tests.faults.bad_trials import diverging_trials, trial_without_memory
from tests.faults.run_outcomes import is_good


def check(rows):
    rows = [*rows]
    assert rows
    for row in rows:
        assert is_good(row), row


def test_diverging_trials(tmp_path):
    check(diverging_trials(tmp_path))


@pytest.mark.soak
def test_trial_that_runs_out_of_memory(tmp_path):
    check(trial_without_memory(tmp_path))
