"""Damaged files of a run: set aside and noted, or refused, and never believed."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recipes.common.errors import DamagedRunError, InputError
from recipes.common.run_files import write_run_json
from recipes.common.run_folder import RunFolder
from tests.recipes.small_run import (
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

TRIAL_FILE = "search/leaky_relu/trial_0003/trial.json"
FAILED_FILE = "search/net/relu/trial_0004/trial.json"
RETRAINING_FILE = "retrainings/leaky_relu/0003-50.json"
DIVERGED_FILE = "retrainings/net/relu/0004-5.json"


@pytest.fixture
def run(tmp_path):
    return make_small_run(tmp_path / "run")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path, at=None):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe"),
    "NUL bytes": lambda path: path.write_bytes(bytes(4096)),
    "a bit flipped": flip,
    "brackets": lambda path: path.write_bytes(b"[" * 100_000),
    "a list": lambda path: path.write_bytes(b"[]"),
    "without its sum": lambda path: path.write_bytes(b"{}"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_record_is_set_aside_and_its_trial_is_not_among_the_trials(run, damage):
    path = run.path / TRIAL_FILE
    DAMAGES[damage](path)
    before = contents(run.path)
    with pytest.raises(DamagedRunError, match="Resume the run, which makes it again"):
        RunFolder.open(run.path, repair=False)
    assert contents(run.path) == before
    again = RunFolder.open(run.path)
    assert again.trials == [FAILED]
    assert again.epochs == [RETRAINED_EPOCH]
    assert not path.exists()
    assert path.with_name("trial.json.damaged").exists()
    assert again.damage[0].startswith(f"{TRIAL_FILE} is damaged: ")
    assert "It is kept as trial.json.damaged. Its trial runs again." in again.damage[0]
    again.add_trial(TRIAL, [EPOCH], STATE)
    whole = RunFolder.open(run.path)
    assert (whole.trials, whole.damage) == ([TRIAL, FAILED], [])


def test_second_damage_of_a_file_gets_a_name_of_its_own(run):
    for name in ("trial.json.damaged", "trial.json.damaged-2"):
        (run.path / TRIAL_FILE).write_text("{")
        RunFolder.open(run.path).add_trial(TRIAL, [], STATE)
        assert (run.path / TRIAL_FILE).with_name(name).read_text() == "{"


def forge(path, **changes):
    """Changes an object and gives it the sum that belongs to it."""
    content = json.loads(path.read_text())
    del content["sha256"]
    row = content["row"] | {k: v for k, v in changes.items() if k in content["row"]}
    others = {k: v for k, v in changes.items() if k not in row}
    write_run_json(path, content | {"row": row} | others)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"learning_rate": "0.1"}, "learning_rate '0.1'"),
        ({"seed": True}, "seed True"),
        ({"seed": 1.5}, "seed 1.5"),
        ({"seconds": None}, "seconds None"),
        ({"seconds": 10**400}, "too large"),
        ({"arm": "swish", "epochs": []}, "the run has no arm swish"),
        ({"arm": "net/relu", "epochs": []}, "it belongs at search/net/relu/trial_0003"),
        ({"trial_id": "../0003"}, "trial_id '../0003'"),
        ({"trial_id": "0007", "epochs": []}, "it belongs at search/leaky_relu/trial_0007"),
        ({"status": "RUNNING"}, "status 'RUNNING'"),
        ({"score": None}, "score None of COMPLETED"),
        ({"score": float("nan")}, "score nan of COMPLETED"),
        ({"epochs": {}}, "no list of epochs"),
        ({"epochs": [1]}, "no EpochRow"),
        ({"epochs": [vars(RETRAINED_EPOCH)]}, "a EpochRow of"),
    ],
)
def test_record_of_something_else_is_damage_though_its_sum_is_right(run, changes, problem):
    forge(run.path / TRIAL_FILE, **changes)
    again = RunFolder.open(run.path)
    assert again.trials == [FAILED]
    assert problem in again.damage[0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"index": "0"}, "index '0'"),
        ({"model_sha256": 3}, "model_sha256 3"),
        ({"trial_id": "x"}, "trial_id 'x'"),
        ({"dead_units": [vars(UNITS) | {"active_fraction": 1}]}, "active_fraction 1"),
        ({"dead_units": [vars(UNITS) | {"seed": 6}]}, "a DeadUnitRow of"),
        ({"epochs": [vars(EPOCH)]}, "a EpochRow of"),
        ({"row": {}}, "no RetrainingRow"),
    ],
)
def test_retraining_of_something_else_is_damage_too(run, changes, problem):
    path = run.path / DIVERGED_FILE
    if "row" in changes:
        write_run_json(path, changes)
    else:
        forge(path, **changes)
    again = RunFolder.open(run.path)
    assert again.retrainings == [retraining(0), retraining(1)]
    assert again.dead_units == []
    assert problem in again.damage[0]


def test_copy_of_a_record_does_not_count_twice(run):
    copy = run.path / "search/leaky_relu/trial_0005"
    shutil.copytree((run.path / TRIAL_FILE).parent, copy)
    shutil.copytree(copy, run.path / "search/elu/trial_0003")
    again = RunFolder.open(run.path)
    assert again.trials == [TRIAL, FAILED]
    assert len(again.damage) == 2


@pytest.mark.parametrize("name", ["search", "search/net", "search/leaky_relu", "retrainings/net"])
def test_file_in_the_place_of_a_folder_is_set_aside(run, name):
    shutil.rmtree(run.path / name)
    (run.path / name).write_text("")
    with pytest.raises(DamagedRunError, match="it is no folder"):
        RunFolder.open(run.path, repair=False)
    again = RunFolder.open(run.path)
    again.add_trial(TRIAL, [EPOCH], STATE)
    again.add_trial(FAILED, [], STATE)
    again.add_retraining(DIVERGED, [RETRAINED_EPOCH], [UNITS], index=0)
    whole = RunFolder.open(run.path)
    assert (whole.trials, whole.damage) == ([TRIAL, FAILED], [])


def test_file_in_the_place_of_a_trials_folder_is_set_aside(run):
    folder = (run.path / TRIAL_FILE).parent
    shutil.rmtree(folder)
    folder.write_text("")
    assert "it is no folder" in RunFolder.open(run.path).damage[0]
    again = RunFolder.open(run.path)
    assert again.damage == []
    again.add_trial(TRIAL, [EPOCH], STATE)
    assert RunFolder.open(run.path).trials == [TRIAL, FAILED]


@pytest.mark.parametrize(
    ("name", "content", "is_damage"),
    [
        ("trials.csv", b"", True),
        ("trials.csv", b"arm\nx\n", True),
        ("trials.csv", bytes(100), True),
        ("epochs.csv", None, False),
        ("epochs.csv", "header", False),  # killed before the rows of the last trial were written
        ("retrainings.csv", "0.8", True),
        ("dead_units.csv", "end", True),
    ],
)
def test_tables_are_written_anew_and_damaged_ones_set_aside(run, name, content, is_damage):
    path = run.path / name
    whole = path.read_bytes()
    if content is None:
        path.unlink()
    elif content == "header":
        path.write_bytes(whole.splitlines(keepends=True)[0])
    elif content == "end":
        path.write_bytes(whole[:-1])
    elif content == "0.8":
        path.write_bytes(whole.replace(b"0.8", b"0.9"))
    else:
        path.write_bytes(content)
    shown = RunFolder.open(run.path, repair=False)  # which does not look at tables
    assert (shown.trials, shown.damage) == ([TRIAL, FAILED], [])
    again = RunFolder.open(run.path)
    assert path.read_bytes() == whole
    assert [note.split()[0] for note in again.damage] == ([name] if is_damage else [])
    assert path.with_name(f"{name}.damaged").exists() == is_damage


@pytest.mark.parametrize("name", ["trials.csv", "environment.json", "summary.json", "best.keras"])
def test_folder_in_the_place_of_a_file_is_set_aside(run, name):
    (run.path / name).unlink()
    (run.path / name).mkdir()
    again = RunFolder.open(run.path)
    assert again.damage[0].startswith(f"{name} is damaged: ")
    assert (run.path / f"{name}.damaged").is_dir()
    run.write_json("summary", {})


@pytest.mark.parametrize("name", ["environment.json", "search/leaky_relu/oracle.json"])
def test_other_files_that_a_resume_reads_are_set_aside(run, name):
    flip(run.path / name)
    again = RunFolder.open(run.path)
    assert len(again.damage) == 1
    assert again.damage[0].startswith(f"{name} is damaged: ")
    assert again.read_environment() is None or again.read_oracle("leaky_relu") is None
    assert again.trials == [TRIAL, FAILED]


@pytest.mark.parametrize("name", ["environment.json", "search/leaky_relu/oracle.json"])
def test_files_of_other_content_are_set_aside_though_their_sum_is_right(run, name):
    shutil.copy(run.path / TRIAL_FILE, run.path / name)
    again = RunFolder.open(run.path)
    assert again.damage[0].startswith(f"{name} is damaged: it is the content of another file")
    assert (run.path / f"{name}.damaged").exists()


@pytest.mark.parametrize("name", ["environment.json", "search/leaky_relu/oracle.json"])
def test_links_to_nothing_are_set_aside(run, name):
    (run.path / name).unlink()
    (run.path / name).symlink_to("nowhere")
    again = RunFolder.open(run.path)
    assert again.damage[0].startswith(f"{name} is damaged: it is a link to nothing")
    assert not (run.path / name).is_symlink()


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_damaged_model_is_made_again(run, damage):
    damage(run.best_model)
    with pytest.raises(DamagedRunError, match=r"best\.keras is damaged: "):
        RunFolder.open(run.path, repair=False)
    again = RunFolder.open(run.path)
    assert again.damage[0].startswith("best.keras is damaged: ")
    assert again.retrainings == [retraining(0), retraining(1), DIVERGED], "its figures are right"
    assert set(again.kept_retrainings(TRIAL, with_model=True)) == {retraining(1).seed}
    assert len(again.kept_retrainings(TRIAL, with_model=False)) == 2
    again.add_retraining(retraining(0), [], [], index=0, model=MODEL)
    whole = RunFolder.open(run.path)
    assert whole.damage == []
    assert len(whole.kept_retrainings(TRIAL, with_model=True)) == 2


def test_model_comes_from_the_retraining_that_is_missing(run):
    """Then the others need not run again for it."""
    (run.path / RETRAINING_FILE).unlink()
    again = RunFolder.open(run.path)
    assert again.model_row is None
    assert set(again.kept_retrainings(TRIAL, with_model=True)) == {retraining(1).seed}


def test_model_of_another_point_is_not_taken_for_that_of_this_one(run):
    other = RunFolder.open(run.path)
    diverged = DIVERGED
    other.add_retraining(diverged, [], [], index=0, model=b"another")
    other.write_tables()
    again = RunFolder.open(run.path)
    assert (again.model_row, again.damage) == (diverged, [])
    assert set(again.kept_retrainings(TRIAL, with_model=True)) == {retraining(1).seed}
    again.remove_model()
    assert not again.best_model.exists()
    assert RunFolder.open(run.path).damage == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_config_is_refused(run, damage):
    DAMAGES[damage](run.config_file)
    for repair in (True, False):
        with pytest.raises(InputError, match=r"config\.json (is damaged|is not the config)"):
            RunFolder.open(run.path, repair)


@pytest.mark.parametrize("arms", [None, [3.5, ".."], ["../elsewhere"], ["/etc"], ["a//b"]])
def test_config_of_arms_that_are_no_names_is_refused(run, arms):
    write_run_json(run.config_file, run.config | {"arms": arms})
    with pytest.raises(InputError, match=r"is not the config\.json of a run"):
        RunFolder.open(run.path)


def test_json_that_was_edited_is_damage(run):
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("leaky_relu", "elu"))
    with pytest.raises(DamagedRunError, match="its SHA-256 is not the one that was written"):
        RunFolder.open(run.path)
    run.config_file.write_text(text.replace('"sha256"', '"sha257"'))
    with pytest.raises(DamagedRunError, match='it lacks its "sha256"'):
        RunFolder.open(run.path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_small_run(tmp_path_factory.mktemp("whole") / "run")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_ever_makes_a_wrong_row(whole, data):
    """Or a traceback: any bytes of any files are cut off, flipped or deleted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run")
        shutil.copytree(whole.path, path)
        files = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
        for name in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3)):
            file = path / name
            if not file.exists():
                continue
            content = bytearray(file.read_bytes())
            kind = data.draw(st.sampled_from(["truncate", "flip", "delete"]))
            if kind == "delete":
                file.unlink()
            elif kind == "truncate":
                file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
            elif content:
                bit = data.draw(st.integers(0, 8 * len(content) - 1))
                content[bit // 8] ^= 1 << bit % 8
                file.write_bytes(content)
        opened, refusals = [], []
        for repair in (False, True, True):
            try:
                opened.append(RunFolder.open(path, repair))
            except InputError as error:
                refusals.append(str(error))
        assert [len(text.splitlines()) for text in refusals] == [1] * len(refusals)
        for run in opened:
            for table in ("trials", "epochs", "retrainings", "dead_units"):
                rows, original = getattr(run, table), getattr(whole, table)
                assert rows == [row for row in original if row in rows]
            assert run.model_row in (None, *whole.retrainings)
            if run.model_row:
                assert run.best_model.read_bytes() == MODEL
        if opened:
            assert opened[-1].damage == [], "what was repaired is whole"
