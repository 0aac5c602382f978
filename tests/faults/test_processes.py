"""Two processes in one folder, processes that are told to stop, folders that cannot be used."""

import pytest

from tests.faults.processes_and_folders import (
    interrupted_starts,
    stopped_studies,
    two_processes,
    unusable_folders,
)
from tests.faults.run_outcomes import is_good


def check(rows):
    rows = [*rows]
    for row in rows:
        assert is_good(row), row
    return [row["codes"] for row in rows]


@pytest.mark.soak
def test_second_process_in_a_folder_is_refused(tmp_path):
    assert check(two_processes(tmp_path)) == [[2, 2, -9, 0]]


@pytest.mark.soak
def test_interrupted_search_leaves_no_workers(tmp_path):
    assert check(stopped_studies(tmp_path, ["SIGINT to the driver"])) == [[130, 0]]


@pytest.mark.soak
def test_folders_that_cannot_be_used(tmp_path):
    codes = check(unusable_folders(tmp_path))
    assert codes[:3] == [[2], [130, 0], [1]]


def test_ctrl_c_at_the_start(tmp_path):
    assert check(interrupted_starts(tmp_path, early=[0.05], late=[0.2]))[1] == [130]
