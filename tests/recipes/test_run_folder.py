import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.common.atomic import write_atomically
from recipes.common.errors import InputError
from recipes.common.run_folder import (
    DeadUnitRow,
    EpochRow,
    RetrainingRow,
    RunFolder,
    TrialRow,
    check_output,
)

CONFIG = {"given": {}, "options": {}, "fingerprint": {}}
TRIAL = TrialRow("leaky_relu", "03", "COMPLETED", 0.1 + 0.2, 1e-3 / 3, 7, 2 / 3, 2, 1.5, "")
FAILED = TrialRow("relu", "04", "FAILED", None, 0.1, 7, None, None, 0.5, 'loss, "nan"\nand more')
EPOCH = EpochRow("search", "leaky_relu", "03", 7, 1, float("inf"), 1 / 3, 0.1, 0.2)
RETRAINING = RetrainingRow(
    "relu", "04", 5, None, 0.098, None, 3.0, "training loss became nan in epoch 1"
)
RETRAINED_EPOCH = EpochRow("retrain", "relu", "04", 5, 1, float("inf"), 0.1, 2.0, 0.1)
UNITS = DeadUnitRow(
    *("relu", "04", 5, 2000, "rectifier_1", "relu"),
    *(3, 1, 1 / 3, 1, 1 / 3, 1, 1 / 3, 0, 0.0),
    active_fraction=[0.0, 2 / 3, 1.0],
)


def test_rows_read_back_exactly(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    run.add_trial(TRIAL, [EPOCH])
    run.add_trial(FAILED, [])
    run.add_retraining(RETRAINING, [RETRAINED_EPOCH], [UNITS])
    again = RunFolder.open(tmp_path / "run")
    assert again.trials == [TRIAL, FAILED]
    assert again.epochs == [EPOCH, RETRAINED_EPOCH]
    assert again.retrainings == [RETRAINING]
    assert again.dead_units == [UNITS]
    assert again.dead_units_of(FAILED) == [UNITS]
    assert again.dead_units_of(TRIAL) == []


def test_rows_of_what_was_not_finished_are_dropped(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    run.add_trial(TRIAL, [EPOCH])
    run.add_retraining(RETRAINING, [RETRAINED_EPOCH], [UNITS])
    (run.path / "retrainings.csv").unlink()  # killed between two files
    again = RunFolder.open(run.path)
    assert (again.epochs, again.dead_units) == ([EPOCH], [])
    (run.path / "trials.csv").unlink()
    assert RunFolder.open(run.path).epochs == []


def test_header_is_the_documented_one(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    run.add_trial(TRIAL, [])
    assert (run.path / "trials.csv").read_text().splitlines()[0] == (
        "arm,trial_id,status,alpha,learning_rate,seed,score,best_epoch,seconds,reason"
    )


@pytest.mark.parametrize("text", ["arm\nx\n", "garbage\x00", "arm,trial_id,status\n1,2\n"])
def test_damaged_table_is_refused(tmp_path, text):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    (run.path / "trials.csv").write_text(text)
    with pytest.raises(InputError, match=r"trials\.csv cannot be read"):
        RunFolder.open(run.path)


def test_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="must be a new or empty folder"):
        check_output(tmp_path, overwrite=False)
    with pytest.raises(InputError, match="Nothing was deleted"):
        RunFolder.create(tmp_path, CONFIG, overwrite=True)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_somebody_elses_config_is_not_ours_to_delete(tmp_path):
    (tmp_path / "config.json").write_text('{"options": {}}')
    with pytest.raises(InputError, match="deletes only a folder that holds a run's"):
        RunFolder.create(tmp_path, CONFIG, overwrite=True)
    assert (tmp_path / "config.json").exists()


def test_overwrite_replaces_a_run(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    run.add_trial(TRIAL, [])
    RunFolder.create(tmp_path / "run", CONFIG, overwrite=True)
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_link_to_a_run_is_overwritten_where_it_points_to(tmp_path):
    RunFolder.create(tmp_path / "run", CONFIG, overwrite=False).add_trial(TRIAL, [])
    (tmp_path / "link").symlink_to(tmp_path / "run")
    RunFolder.create(tmp_path / "link", CONFIG, overwrite=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    assert (tmp_path / "link").is_symlink()


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    for name in (".trials.csv.123.tmp", ".best.keras.123.tmp.keras"):
        (run.path / name).write_text("half")
    run.remove_leftovers()
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_path_that_cannot_be_looked_at_is_refused():
    with pytest.raises(InputError, match="can be written"):
        check_output(Path("/" + "x" * 300), overwrite=False)


@pytest.mark.parametrize("below", ["", "new", "new/newer"])
def test_output_that_cannot_be_written_leaves_nothing(tmp_path, below):
    # Root may write anywhere, so permissions prove nothing here; nobody can write below a file.
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="`--output` must be a folder"):
        RunFolder.create(tmp_path / "file" / below, CONFIG, overwrite=False)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody can write")
def test_folders_made_on_the_way_are_removed(tmp_path):
    with pytest.raises(InputError, match="can be written"):
        RunFolder.create(Path("/proc/nowhere/run"), CONFIG, overwrite=False)


def test_file_is_never_half_written(tmp_path):
    """A process that rewrites a file is killed at a random moment; the file is always whole."""
    path = tmp_path / "sub" / "table.csv"
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "from recipes.common.atomic import write_atomically\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "i = 0\n"
        "while True:\n"
        "    i += 1\n"
        "    write_atomically(path, bytes([48 + i % 10]) * 200_000)\n"
    )
    root = str(Path(__file__).parents[2])
    for delay in (0.02, 0.05, 0.11):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path), root], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(delay)
            child.kill()
        content = path.read_bytes()
        assert len(content) == 200_000
        assert len(set(content)) == 1


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
