"""Run folders whose files are damaged go on to the right end, or are refused with one sentence."""

import pytest

from tests.faults.corruptions import FAULTS, corrupted_runs
from tests.faults.recipe_commands import run_here
from tests.faults.run_outcomes import is_good


@pytest.mark.soak
def test_no_damage_gives_a_traceback_or_a_wrong_result(tmp_path):
    """`python -m benchmarks.faults --cases corruptions` takes 200 of them."""
    rows = [*corrupted_runs(tmp_path, 10, run_here, seed=5, every=0)]
    for row in rows:
        assert is_good(row), row
    assert {row["code"] for row in rows} == {0, 2}
    assert {row["refused_file"] for row in rows if row["refused"]} == {"study.json"}
    assert sum(row["set_aside"] for row in rows) >= 6
    done = {fault.split()[0] for row in rows for fault in row["faults"]}
    assert len(done) > len(FAULTS) / 2
