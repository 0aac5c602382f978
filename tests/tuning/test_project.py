"""The files of a project: killed, damaged, full, used twice."""

import errno
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

import keras_tuner
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_leaky import tuning
from keras_leaky.storage import folder_lock, read_json, write_json
from keras_leaky.tuning._project import project
from tests.tuning import killed_searches as killed
from tests.tuning.killed_searches import LIMITS, WithoutTraining, make, outcome
from tests.tuning.trained_searches import results, search
from tests.versions import has

ROOT = Path(__file__).parents[2]


def run_child(code, **kwargs):
    """A Python process in which `code` runs, with this repository on its path."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **kwargs,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("RandomSearch", 12),
        *(
            pytest.param(*case, marks=pytest.mark.soak)
            for case in (
                *(("RandomSearch", 1), ("GridSearch", 2)),
                *(("Hyperband", 2), ("BayesianOptimization", 40)),
            )
        ),
    ],
)
def test_a_search_killed_before_any_step_of_writing_ends_as_if_undisturbed(name, stride, tmp_path):
    command = [sys.executable, "-W", "ignore", killed.__file__, name, str(tmp_path), str(stride)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["n_kills"] >= 15 * counts["n_trials"] // stride


@pytest.mark.soak
def test_a_search_killed_at_random_moments_ends_as_if_undisturbed(tmp_path):
    expected = results(search(tmp_path / "whole"))
    folder, rng = tmp_path / "disturbed", np.random.default_rng()
    for _ in range(3):
        child = run_child(
            "from tests.tuning.trained_searches import search\n"
            f"print('ready', flush=True)\nsearch({str(folder)!r})"
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(moment := rng.uniform(0, 2))
        child.kill()
        child.communicate()
        print(f"killed after {moment:.3f} s")  # shown if the test fails
    assert results(search(folder)) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [pytest.param("on_trial_begin", marks=pytest.mark.soak), "on_trial_end"]
)
def test_a_full_disk_ends_the_search_and_leaves_a_project_that_resumes(moment, tmp_path):
    code = f"""
import resource
from keras_leaky import tuning
from keras_leaky.storage import folder_lock
from tests.tuning.trained_searches import search

class Tuner(tuning.RandomSearch):
    def {moment}(self, trial):
        if trial.trial_id == "2":  # from now on no file may be larger than 100 bytes
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        super().{moment}(trial)

try:
    search({str(tmp_path / "full")!r}, Tuner)
except OSError as error:
    print(error.errno, error)
"""
    child = run_child(code)
    last_line = child.communicate()[0].splitlines()[-1]
    assert last_line.startswith(f"{errno.EFBIG} ")
    assert "File too large" in last_line
    assert not list(tmp_path.glob("**/.*.tmp"))
    tuner = search(tmp_path / "full")
    assert results(tuner) == results(search(tmp_path / "whole"))


def test_one_search_at_a_time_runs_in_a_project(tmp_path):
    code = f"""
from tests.tuning.killed_searches import make
tuner = make("RandomSearch", {str(tmp_path)!r})
run_trial = tuner.run_trial
def wait(*args, **kwargs):
    print("searching", flush=True)
    input()
    return run_trial(*args)
tuner.run_trial = wait
tuner.search(verbose=0)
"""
    child = run_child(code)
    while child.stdout.readline() != "searching\n":
        assert child.poll() is None
    here = f"process {child.pid} on host {socket.gethostname()}"
    tuner = make("RandomSearch", tmp_path)  # may look
    who = here if has("filelock", "4") else "another process"  # asking emptied the file there
    with pytest.raises(ValueError, match=rf"One search at a time.*{who} has one"):
        tuner.search(verbose=0)
    with pytest.raises(ValueError, match="One search at a time"):
        make("RandomSearch", tmp_path, overwrite=True)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    tuner.search(verbose=0)  # the lock did not outlive its process
    assert outcome(tuner) == expected_of("RandomSearch", tmp_path / "whole")


def test_kerastuners_own_distributed_search_shares_a_project(tmp_path, monkeypatch):
    tuner = make("RandomSearch", tmp_path)
    for name, value in {"IP": "127.0.0.1", "PORT": "1"}.items():
        monkeypatch.setenv(f"KERASTUNER_ORACLE_{name}", value)
    project = tuner._project
    with project.searching(tuner.reload), project.searching(tuner.reload):
        assert not (tmp_path / "p" / ".lock").exists()


def expected_of(name, folder):
    tuner = make(name, folder)
    tuner.search(verbose=0)
    return outcome(tuner)


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """For each tuner a finished project, an interrupted one, and what the first one found."""
    found = {}
    for name in LIMITS:
        folder = tmp_path_factory.mktemp(name)
        expected = expected_of(name, folder / "finished")
        tuner = make(name, folder / "interrupted")
        run_trial = tuner.run_trial

        def run_three(trial, run_trial=run_trial, **kwargs):
            if int(trial.trial_id) == 3:
                raise Killed
            return run_trial(trial)

        tuner.run_trial = run_three
        with pytest.raises(Killed):
            tuner.search(verbose=0)
        found[name] = folder, expected
    return found


def damage(path, kind, place, value):
    data = bytearray(path.read_bytes())
    if kind == "delete" or not data:
        path.unlink()
        return
    position = int(place * len(data))
    if kind == "truncate":
        data = data[:position]
    elif kind == "flip":
        data[position] ^= 1 << value % 8
    else:
        data[position : position + 16] = bytes([value]) * 16
    path.write_bytes(data)


damages = st.tuples(
    st.integers(0, 99),  # the file, modulo their number
    st.sampled_from(["delete", "truncate", "flip", "overwrite"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
)


def damaged_copy(project, copy, some_damages):
    shutil.copytree(project, copy)
    files = sorted(p for p in (copy / "p").glob("**/*") if p.is_file() and p.name != ".lock")
    for number, *how in some_damages:
        path = files[number % len(files)]
        if path.exists():
            damage(path, *how)


TUNERS = st.sampled_from(["RandomSearch", "Hyperband", "GridSearch"])
STAGES = st.sampled_from(["finished", "interrupted"])


@settings(max_examples=100, deadline=None)
@given(name=TUNERS, stage=STAGES, one_damage=damages)
def test_one_damaged_file_changes_nothing(projects, name, stage, one_damage):
    folder, expected = projects[name]
    with tempfile.TemporaryDirectory() as copy:
        damaged_copy(folder / stage, Path(copy, "x"), [one_damage])
        tuner = make(name, Path(copy, "x"))
        for trial in tuner.oracle.trials.values():
            assert trial.status != "COMPLETED" or trial.score == expected[trial.trial_id][1]
        tuner.search(verbose=0)
        assert outcome(tuner) == expected


@settings(max_examples=100, deadline=None)
@given(name=TUNERS, stage=STAGES, some_damages=st.lists(damages, min_size=2, max_size=8))
def test_many_damaged_files_give_no_wrong_result(projects, name, stage, some_damages):
    folder, expected = projects[name]
    with tempfile.TemporaryDirectory() as copy:
        damaged_copy(folder / stage, Path(copy, "x"), some_damages)
        tuner = make(name, Path(copy, "x"))
        tuner.search(verbose=0)
        trials = {t: trial for t, trial in tuner.oracle.trials.items() if trial.status != "FAILED"}
        # A trial of Hyperband that takes the place of a lost one may be one of the next bracket.
        n_less = len(some_damages) if name == "Hyperband" else 0
        assert len(expected) - n_less <= len(tuner.oracle.trials) <= len(expected)
        for trial in trials.values():
            assert trial.score == killed.score_of(trial.hyperparameters.values)
        tuner.oracle.trials = trials
        outcome(tuner)  # compares the checkpoints
        if name != "Hyperband":
            points = {tuple(trial.hyperparameters.values.values()) for trial in trials.values()}
            assert len(points) == len(expected)


def files_of(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.glob("p/**/*") if p.is_file()
    }


@pytest.mark.parametrize(
    "file",
    ["trial_1/trial.json", "trial_1/checkpoint.weights.h5", "trial_1/build_config.json"],
)
def test_a_damaged_file_is_set_aside_and_its_trial_runs_again(file, projects, tmp_path, caplog):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    path = tmp_path / "x" / "p" / file
    for aside in (f"{path}.damaged", f"{path}.damaged-2"):
        damage(path, "truncate", 0.5, 0)
        content, n_runs = path.read_bytes(), len(killed.runs_in(tmp_path / "x"))
        tuner = make("RandomSearch", tmp_path / "x")
        output = caplog.text
        assert f"{path} is damaged and was renamed to {Path(aside).name}" in output
        assert "Trial 1" in output
        assert Path(aside).read_bytes() == content
        tuner.search(verbose=0)
        assert killed.runs_in(tmp_path / "x")[n_runs:] == ["1"]
        assert outcome(tuner) == expected


def test_a_missing_checkpoint_is_told_and_its_trial_runs_again(projects, tmp_path, caplog):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    path = tmp_path / "x" / "p" / "trial_2" / "checkpoint.weights.h5"
    path.unlink()
    tuner = make("RandomSearch", tmp_path / "x")
    assert f"{path} is missing. Trial 2 runs again" in caplog.text
    tuner.search(verbose=0)
    assert outcome(tuner) == expected


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("file", ["oracle.json", "tuner0.json"])
def test_a_search_goes_on_without_the_files_of_oracle_and_tuner(name, file, projects, tmp_path):
    folder, expected = projects[name]
    shutil.copytree(folder / "interrupted", tmp_path / "x")
    (tmp_path / "x" / "p" / file).unlink()
    tuner = make(name, tmp_path / "x")
    assert len(tuner.oracle.trials) == 4
    tuner.search(verbose=0)
    assert outcome(tuner) == expected
    assert sorted(killed.runs_in(tmp_path / "x")) == sorted(expected)


def test_the_next_trial_has_the_values_of_a_lost_one(projects, tmp_path, caplog):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    for file in ("oracle.json", "trial_1/trial.json"):
        (tmp_path / "x" / "p" / file).unlink()
    tuner = make("RandomSearch", tmp_path / "x")
    assert "Trial 1, whose file is lost, runs again with the same" in caplog.text
    tuner.search(verbose=0)
    assert outcome(tuner) == expected


def test_a_search_writes_the_state_of_all_trials_ever_less_often(tmp_path, monkeypatch):
    written = []
    write_whole = project.write_whole

    def note(path, data, **kwargs):
        written.append(Path(path).name)
        write_whole(path, data, **kwargs)

    monkeypatch.setattr(project, "write_whole", note)
    make("RandomSearch", tmp_path, max_trials=60).search(verbose=0)
    assert written.count("oracle.json") < 30
    assert written.count("trial.json") == 120  # when each begins, and when it ends


def test_a_record_that_is_written_again_keeps_its_place(tmp_path):
    tuner = make("RandomSearch", tmp_path)
    tuner.search(verbose=0)
    path = tmp_path / "p" / "trial_1" / "trial.json"
    before = json.loads(path.read_text())["keras_leaky"]
    tuner.oracle._save_trial(tuner.oracle.trials["1"])
    after = json.loads(path.read_text())["keras_leaky"]
    assert after["revision"] > before["revision"]
    assert (after["n_ended"], list(after["before"])) == (2, ["0"])
    assert (before["n_ended"], before["before"]) == (2, after["before"])


@pytest.mark.parametrize(
    "part",
    ["before", "files", "log", "n_ended", "n_runs", "objective", "oracle", "trials", "revision"],
)
def test_files_without_a_part_of_what_we_add_are_read(part, projects, tmp_path):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "interrupted", tmp_path / "x")
    project_dir = tmp_path / "x" / "p"
    for path in (project_dir / "oracle.json", *project_dir.glob("*/trial.json")):
        content = read_json(path)
        content["keras_leaky"].pop(part, None)
        content["keras_leaky"]["of a later version"] = 1
        write_json(path, content)
    tuner = make("RandomSearch", tmp_path / "x")
    tuner.search(verbose=0)
    assert outcome(tuner) == expected
    assert sorted(killed.runs_in(tmp_path / "x")) == sorted(expected)


@pytest.mark.parametrize("part", ["histories", "seeds", "has_diverged", "seconds"])
def test_a_log_without_a_part_is_read(part, projects, tmp_path):
    folder, _ = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    path = tmp_path / "x" / "p" / "trial_1" / "trial.json"
    content = read_json(path)
    log = {"histories": [{"loss": [1.0]}], "seeds": [3], "has_diverged": True, "seconds": 2.0}
    assert content["keras_leaky"]["log"].keys() == log.keys()
    del log[part]
    content["keras_leaky"]["log"] = log
    write_json(path, content)
    defaults = {"histories": [], "seeds": [], "has_diverged": False, "seconds": 0.0}
    read = tuning.read_trials(path.parents[1])[1]
    assert {name: getattr(read, name) for name in defaults} == {**defaults, **log}
    tuner = make("RandomSearch", tmp_path / "x")
    tuner.oracle._save_trial(tuner.oracle.trials["1"])
    assert tuning.read_trials(path.parents[1])[1] == read


def test_a_trial_whose_values_are_lost_too_is_replaced(projects, tmp_path, caplog):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    # The file of the next trial has its values too.
    for file in ("oracle.json", "trial_1/trial.json", "trial_2/trial.json"):
        (tmp_path / "x" / "p" / file).unlink()
    tuner = make("RandomSearch", tmp_path / "x")
    assert "Trial 1 is lost with its hyperparameters: a new trial" in caplog.text
    tuner.search(verbose=0)
    assert list(outcome(tuner)) == list(expected)
    assert outcome(tuner)["1"] not in expected.values()
    others = {name: found for name, found in expected.items() if name != "1"}
    assert others.items() <= outcome(tuner).items()


def test_a_lost_trial_without_another_point_fails_once_and_for_all(projects, tmp_path, caplog):
    folder, _ = projects["GridSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    oracle, lost = (tmp_path / "x" / "p" / f for f in ("oracle.json", "trial_0001/trial.json"))
    oracle.unlink()
    other = tmp_path / "x" / "p" / "trial_0004" / "trial.json"
    lost.unlink()
    (tmp_path / "x" / "p" / "trial_0002" / "trial.json").unlink()  # it has the values too

    class Oracle(tuning.GridSearchOracle):
        def populate_space(self, trial_id):
            return {"status": "STOPPED"}

    def reopen():
        tuner = tuning.ReusingTuner(
            Oracle(keras_tuner.Objective("score", "min")),
            lambda hp: hp.Choice("a", [0.1, 0.2, 0.3]) or hp.Choice("b", [1, 2]),
            directory=tmp_path / "x",
            project_name="p",
        )
        return tuner.oracle.trials["0001"]

    message = "Trial 0001 is lost, and the search has no other point to replace it"
    assert other.exists()
    assert (reopen().status, reopen().message) == ("FAILED", message)
    assert caplog.text.count(message) == 1


def test_other_objectives_and_oracles_are_refused_without_the_tuners_file(projects, tmp_path):
    folder, _ = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    (tmp_path / "x" / "p" / "tuner0.json").unlink()
    before = files_of(tmp_path / "x")
    with pytest.raises(
        ValueError, match=r"The objective must be the one of .*Received: \['max score"
    ):
        make("RandomSearch", tmp_path / "x", objective=keras_tuner.Objective("score", "max"))
    with pytest.raises(ValueError, match="cannot be resumed by a HyperbandOracle: give another"):
        make("Hyperband", tmp_path / "x")
    assert files_of(tmp_path / "x") == before


class Stock(WithoutTraining, keras_tuner.RandomSearch):
    def _keep(self, trial, executions):
        return executions.results


def make_stock(folder, max_trials=4):
    hp = keras_tuner.HyperParameters()
    hp.Float("a", 0.01, 1.0, sampling="log")
    hp.Float("b", 0.0, 1.0)
    return Stock(
        objective=keras_tuner.Objective("score", "min"),
        max_trials=max_trials,
        seed=1,
        hyperparameters=hp,
        directory=str(folder),
        project_name="p",
    )


def scores_of(tuner):
    return {name: trial.score for name, trial in tuner.oracle.trials.items()}


def test_projects_of_kerastuner_go_on_here_and_ours_there(projects, tmp_path):
    _, expected = projects["RandomSearch"]
    scores = {name: found[1] for name, found in expected.items()}
    make_stock(tmp_path, max_trials=2).search(verbose=0)
    ours = make("RandomSearch", tmp_path, max_trials=3)
    ours.search(verbose=0)
    stock = make_stock(tmp_path)
    stock.search(verbose=0)
    assert scores_of(stock) == scores
    assert scores_of(make("RandomSearch", tmp_path)) == scores
    assert sorted(killed.runs_in(tmp_path)) == sorted(scores)


def test_a_project_of_kerastuner_without_its_oracle_is_refused(tmp_path):
    make_stock(tmp_path).search(verbose=0)
    (tmp_path / "p" / "oracle.json").unlink()
    with pytest.raises(ValueError, match=r"was written by KerasTuner and has lost oracle\.json"):
        make("RandomSearch", tmp_path)


def test_a_file_in_the_folder_of_another_trial_is_not_taken_for_its_own(projects, tmp_path):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    trials = tmp_path / "x" / "p"
    shutil.copy(trials / "trial_0" / "trial.json", trials / "trial_1" / "trial.json")
    tuner = make("RandomSearch", tmp_path / "x")
    tuner.search(verbose=0)
    assert outcome(tuner) == expected


@pytest.mark.parametrize("content", ["[]", "{}", '{"trial_id": "1"}', "[" * 100_000])
def test_files_of_kerastuner_that_hold_something_else_are_damaged(content, tmp_path):
    make_stock(tmp_path, max_trials=2).search(verbose=0)
    (tmp_path / "p" / "trial_1" / "trial.json").write_text(content)
    tuner = make("RandomSearch", tmp_path)
    assert (tmp_path / "p" / "trial_1" / "trial.json.damaged").exists()
    tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == 4


def test_a_state_whose_keys_are_no_strings_survives(tmp_path):
    class Oracle(keras_tuner.oracles.RandomSearchOracle):
        counts: ClassVar = {}

        def get_state(self):
            return {**super().get_state(), "counts": self.counts}

        def set_state(self, state):
            super().set_state(state)
            self.counts = state["counts"]

    def reopen():
        oracle = Oracle(keras_tuner.Objective("score", "min"), max_trials=1, seed=1)
        return tuning.ReusingTuner(oracle, lambda hp: hp.Float("a", 0.0, 1.0), directory=tmp_path)

    tuner = reopen()
    for counts in ({2: "a", 10: "b"}, {2: "a", None: "b"}):
        tuner.oracle.counts = counts
        tuner.save()
        known = {json.dumps(key).strip('"'): value for key, value in counts.items()}
        assert reopen().oracle.counts == known
    assert not list(tmp_path.glob("**/*.damaged"))


def test_a_checksum_whose_name_is_damaged_does_not_make_a_file_one_of_kerastuner(
    projects, tmp_path
):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    path = tmp_path / "x" / "p" / "trial_1" / "trial.json"
    text = path.read_text().replace('"sha256"', '"sha257"')
    path.write_text(text.replace(f'"score":{expected["1"][1]}', '"score":-1.0'))
    assert '"score":-1.0' in path.read_text()
    assert make("RandomSearch", tmp_path / "x").oracle.trials["1"].score is None


@pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning")  # of KerasTuner
def test_nan_survives(tmp_path):
    class Tuner(tuning.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            value = trial.hyperparameters.Float("a", 0.0, 1.0)
            return {"score": value, "nothing": math.nan, "much": math.inf}

    def reopen():
        objective = keras_tuner.Objective("score", "min")
        return Tuner(objective=objective, max_trials=2, seed=1, directory=tmp_path)

    reopen().search(verbose=0)
    for trial in reopen().oracle.trials.values():
        assert math.isnan(trial.metrics.get_last_value("nothing"))
        assert trial.metrics.get_last_value("much") == math.inf
        assert trial.status == "COMPLETED"


@pytest.mark.parametrize("method", ["score_trial", "save"])
def test_a_search_after_an_error_goes_on_from_any_thread(method, tmp_path):
    tuner = make("GridSearch", tmp_path / "disturbed")
    original = getattr(tuner.oracle, method)

    def fail_once(*args):
        if killed.runs_in(tmp_path / "disturbed"):  # in `end_trial`, which holds the lock
            setattr(tuner.oracle, method, original)
            raise RuntimeError("once")
        return original(*args)

    setattr(tuner.oracle, method, fail_once)
    with pytest.raises(RuntimeError, match="once"):
        tuner.search(verbose=0)
    thread = threading.Thread(target=tuner.search, kwargs={"verbose": 0}, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert outcome(tuner) == expected_of("GridSearch", tmp_path / "whole")


def test_a_search_sees_what_another_one_found_in_the_meantime(tmp_path):
    first, second = (make("RandomSearch", tmp_path) for _ in range(2))
    first.search(verbose=0)
    n_runs = len(killed.runs_in(tmp_path))
    second.search(verbose=0)
    assert outcome(second) == outcome(first)
    assert len(killed.runs_in(tmp_path)) == n_runs


def test_trials_are_retried_as_often_after_a_resume(tmp_path):
    class Tuner(tuning.RandomSearch):
        n_allowed = 1

        def run_trial(self, trial, *args, **kwargs):
            trial.hyperparameters.Float("a", 0.0, 1.0)
            if self.n_allowed == 0:
                raise Killed
            self.n_allowed -= 1
            raise ValueError("always")

    def reopen():
        return Tuner(
            objective=keras_tuner.Objective("score", "min"),
            max_trials=1,
            seed=1,
            max_retries_per_trial=2,
            directory=tmp_path,
        )

    for _ in range(2):
        with pytest.raises(Killed):
            reopen().search(verbose=0)
    tuner = reopen()
    tuner.search(verbose=0)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["FAILED"]


def test_a_project_may_be_looked_at_where_nothing_can_be_written(projects, tmp_path, caplog):
    folder, expected = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    (tmp_path / "x" / "p" / ".lock").unlink()
    (tmp_path / "x" / "p" / ".lock").mkdir()  # root may write in any folder
    path = tmp_path / "x" / "p" / "trial_1" / "trial.json"
    damage(path, "truncate", 0.5, 0)
    tuner = make("RandomSearch", tmp_path / "x")
    assert path.exists()
    assert tuner.oracle.get_best_trials()[0].score == min(found[1] for found in expected.values())


def test_a_project_that_cannot_be_written_ends_the_search_with_the_path(tmp_path):
    tuner = make("RandomSearch", tmp_path)
    (tmp_path / "p" / "trial_0").write_text("in the way")
    with pytest.raises(OSError, match=r"The search ends; finished trials are saved: '.*trial_0"):
        tuner.search(verbose=0)


def test_a_checkpoint_that_cannot_be_written_ends_the_search_with_the_path(tmp_path):
    tuner = make("RandomSearch", tmp_path)
    (tmp_path / "p" / "trial_0" / "checkpoint.weights.h5").mkdir(parents=True)
    message = r"Is a directory\. The search ends; .* saved: '.*checkpoint\.weights\.h5'"
    with pytest.raises(keras_tuner.errors.FatalError, match=message) as caught:
        tuner.search(verbose=0)
    assert isinstance(caught.value, OSError)


def test_leftovers_of_a_killed_search_are_removed_by_who_holds_the_lock(projects, tmp_path):
    folder, _ = projects["RandomSearch"]
    shutil.copytree(folder / "interrupted", tmp_path / "x")
    leftover = tmp_path / "x" / "p" / "trial_1" / ".trial.json.0123456789abcdef.tmp"
    leftover.write_text("half")
    with folder_lock(tmp_path / "x" / "p"):
        make("RandomSearch", tmp_path / "x")
        assert leftover.exists()
    make("RandomSearch", tmp_path / "x")
    assert not leftover.exists()


def test_who_looks_at_a_project_is_told_without_a_logger_of_their_own(projects, tmp_path):
    folder, _ = projects["RandomSearch"]
    shutil.copytree(folder / "finished", tmp_path / "x")
    (tmp_path / "x" / "p" / "trial_1" / "trial.json").write_text("{")
    arguments = "RandomSearch", str(tmp_path / "x")
    code = f"from tests.tuning.killed_searches import make; make(*{arguments!r})"
    said = run_child(code, stderr=subprocess.PIPE).communicate()[1]
    assert "trial.json is damaged and was renamed to trial.json.damaged" in said
    assert "Trial 1, whose file is lost, runs again" in said
