import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

from recipes.common.errors import DiskFullError, InputError, RunError
from recipes.common.run_config import check_output
from recipes.common.run_files import write_run_file
from recipes.common.run_folder import RunFolder
from recipes.common.work import model_bytes
from tests.recipes.small_run import (
    CONFIG,
    DIVERGED,
    EPOCH,
    FAILED,
    MODEL,
    RETRAINED_EPOCH,
    STATE,
    TRIAL,
    UNITS,
    make_small_run,
    retraining,
)


@pytest.fixture
def run(tmp_path):
    return make_small_run(tmp_path / "run")


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("repair", [True, False])
def test_rows_read_back_exactly_in_an_order_of_their_own(run, repair):
    again = RunFolder.open(run.path, repair)
    for each in (run, again):
        assert each.trials == [TRIAL, FAILED]
        assert each.epochs == [EPOCH, RETRAINED_EPOCH]
        assert each.retrainings == [retraining(0), retraining(1), DIVERGED]
        assert each.dead_units == [UNITS]
        assert each.dead_units_of(FAILED) == [UNITS]
        assert each.dead_units_of(TRIAL) == []
        assert each.model_row == retraining(0)
        assert each.damage == []


def test_opening_a_whole_run_changes_nothing(run):
    before = files_of(run.path)
    RunFolder.open(run.path)
    assert files_of(run.path) == before


def test_kerastuners_state_stands_beside_the_row(run):
    content = json.loads((run.path / "search/leaky_relu/trial_0003/trial.json").read_text())
    assert STATE.items() <= content.items()
    assert run.read_oracle("leaky_relu") == {"ongoing_trials": {}, "seed": 5, "arm": "leaky_relu"}
    assert run.read_oracle("net/relu") is None


def test_header_is_the_documented_one(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    run.add_trial(TRIAL, [], STATE)
    run.write_tables()
    assert (run.path / "trials.csv").read_text().splitlines()[0] == (
        "arm,trial_id,status,alpha,learning_rate,seed,score,best_epoch,seconds,reason"
    )


def test_tables_are_written_once_for_all_that_has_finished(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    run.add_trial(FAILED, [], STATE)
    run.add_trial(TRIAL, [EPOCH], STATE)
    assert not run.trials_file.exists()
    run.write_tables()
    assert (run.trials, run.epochs) == ([TRIAL, FAILED], [EPOCH])
    written = run.trials_file.stat().st_ino
    run.write_tables()
    assert run.trials_file.stat().st_ino == written, "there was nothing new"


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
    run.add_trial(TRIAL, [], STATE)
    RunFolder.create(tmp_path / "run", CONFIG, overwrite=True)
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_link_to_a_run_is_overwritten_where_it_points_to(tmp_path):
    RunFolder.create(tmp_path / "run", CONFIG, overwrite=False).add_trial(TRIAL, [], STATE)
    (tmp_path / "link").symlink_to(tmp_path / "run")
    RunFolder.create(tmp_path / "link", CONFIG, overwrite=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    assert (tmp_path / "link").is_symlink()


def test_leftovers_of_a_killed_process_are_removed(run):
    before = files_of(run.path)
    arm, id_ = run.path / "search" / "net" / "relu", "0123456789abcdef.tmp"
    for path in (run.path / f".trials.csv.{id_}", arm / "trial_0004" / f".trial.json.{id_}"):
        path.write_text("half")
    (run.path / ".notes.tmp").write_text("mine")
    RunFolder.open(run.path)
    assert files_of(run.path) == {**before, run.path / ".notes.tmp": b"mine"}


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path, monkeypatch, number):
    path = tmp_path / "file"
    write_run_file(path, b"old")

    def full(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"file cannot be written: .*make room and go on"):
        write_run_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_folder_that_goes_away_is_not_made_anew(tmp_path):
    run = make_small_run(tmp_path / "run")
    run.add_retraining(retraining(2), [], [], index=2)
    (tmp_path / "run").rename(tmp_path / "moved")
    for write in (
        lambda: run.add_trial(TRIAL, [], STATE),
        lambda: run.add_retraining(retraining(0), [], [], index=0),
        lambda: run.write_oracle("leaky_relu", {}),
        run.write_tables,
    ):
        with pytest.raises(
            RunError, match=r"config\.json is gone: the folder was moved or deleted"
        ):
            write()
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


def test_folder_that_goes_away_while_a_file_is_written(tmp_path, monkeypatch):
    fsync = os.fsync

    def delete_and_flush(number):
        shutil.rmtree(tmp_path / "run")
        fsync(number)

    monkeypatch.setattr(os, "fsync", delete_and_flush)
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match="file cannot be written: its folder is gone"):
        write_run_file(tmp_path / "run" / "file", b"new")


def test_other_failures_are_not_taken_for_a_full_disk(tmp_path):
    (tmp_path / "folder" / "file").mkdir(parents=True)
    with pytest.raises(OSError, match="Is a directory"):
        write_run_file(tmp_path / "folder" / "file", b"new")
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["file"]


def test_disk_that_is_full_for_real(tmp_path):
    """A limit on the size of files, under which the tables fit and the model does not."""
    code = (
        "import resource, sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "from tests.recipes.small_run import make_small_run, retraining\n"
        "from recipes.common.errors import DiskFullError\n"
        "run = make_small_run(pathlib.Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    run.add_retraining(retraining(2), [], [], index=2, model=bytes(30_000))\n"
        "except DiskFullError as error:\n"
        "    print(error)\n"
    )
    root, path = str(Path(__file__).parents[2]), tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), root], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{path / 'best.keras'} cannot be written: File too large")
    again = RunFolder.open(path)
    assert again.best_model.read_bytes() == MODEL
    assert again.retrainings == [retraining(0), retraining(1), DIVERGED]
    assert not [p for p in path.rglob("*") if ".tmp" in p.name]


def test_model_bytes_are_those_of_a_keras_file(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = tmp_path / "model.keras"
    write_run_file(path, model_bytes(model))
    again: Any = keras.saving.load_model(path)
    assert [w.tolist() for w in again.get_weights()] == [w.tolist() for w in model.get_weights()]
