"""A full disk ends a search with one sentence and a folder that resumes."""

import pytest

from tests.faults.full_disks import file_limits, small_disks
from tests.faults.run_outcomes import is_good

pytestmark = pytest.mark.slow


def check(row):
    assert row["codes"] == [1, 0], row
    assert is_good(row), row
    return row["sentence"].removeprefix("error: ").split(" cannot be written: ")[0]


def test_file_that_may_not_be_written_any_more(tmp_path):
    search, retraining = map(check, file_limits(tmp_path, numbers=(6, 20)))
    assert search.startswith("search/relu/trial_")
    assert retraining.startswith("retrainings/relu/")


@pytest.mark.soak
def test_disk_in_memory(tmp_path):
    try:
        small, temporary = small_disks(tmp_path, sizes=(128,))
    except PermissionError as error:
        pytest.skip(f"takes root: {error}")
    assert check(small).startswith("search/relu/trial_")
    assert check(temporary)
