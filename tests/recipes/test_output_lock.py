"""One process a run folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from recipes.common.errors import DamagedRunError, InputError
from recipes.common.main import main
from recipes.common.output_folder import output_lock
from recipes.common.run_config import check_output
from recipes.common.run_folder import RunFolder
from recipes.common.search_options import MnistOptions
from recipes.report import main as report
from tests.recipes.conftest import TINY
from tests.recipes.small_run import CONFIG, make_small_run

HOLD = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[2])
from recipes.common.output_folder import output_lock
with output_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path / run."""
    make_small_run(tmp_path / "run")
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run"), root]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("flags", ["--resume", "--overwrite"])
def test_second_process_is_refused_by_name_and_changes_nothing(tmp_path, holder, capsys, flags):
    before = contents(tmp_path)
    (tmp_path / "link").symlink_to("run")
    for name in ("run", "link"):
        tiny = TINY if flags == "--overwrite" else ()
        assert main(MnistOptions, "mnist", [*tiny, flags, f"--output={tmp_path / name}"]) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith(f"error: {tmp_path / 'run'} is in use by process {holder.pid} on ")
        assert len(error.splitlines()) == 1
    assert contents(tmp_path / "run") == before


def test_lock_is_kept_while_a_run_is_overwritten(tmp_path):
    run = make_small_run(tmp_path / "run")
    with output_lock(run.path):
        RunFolder.create(run.path, CONFIG, overwrite=True)
        assert {path.name for path in run.path.iterdir()} == {"config.json", ".lock"}
        with pytest.raises(InputError, match="is in use by"), output_lock(run.path):
            pass


def test_lock_alone_is_no_run_and_no_hindrance(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on a machine that lost its power")
    check_output(tmp_path, overwrite=False)
    RunFolder.create(tmp_path, CONFIG, overwrite=False)


@pytest.mark.parametrize("stand_in", [Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_lock_that_is_no_file_is_refused_by_its_name(tmp_path, stand_in):
    stand_in(tmp_path / ".lock")
    with (
        pytest.raises(DamagedRunError, match=r"\.lock is damaged: it is no file\. Remove it"),
        output_lock(tmp_path),
    ):
        pass


def test_what_a_process_leaves_that_was_killed_at_once_is_no_hindrance(tmp_path):
    """It had not moved config.json into place yet."""
    for name in (".lock", ".config.json.0123456789abcdef.tmp"):
        (tmp_path / name).write_text("")
    check_output(tmp_path, overwrite=False)
    RunFolder.create(tmp_path, CONFIG, overwrite=False)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", ".lock"}


@pytest.mark.parametrize("below", ["", "new"])
def test_place_without_a_lock_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="must be a folder that can be written"),
        output_lock(tmp_path / "file" / below),
    ):
        pass


def test_report_needs_no_lock(tmp_path, holder, capsys):
    """It writes nothing that a run reads."""
    assert report([str(tmp_path / "run")]) == 2
    assert "it lacks" in capsys.readouterr().err  # the summary made by hand: it got that far
