"""Searches killed at every step of their writing: `python killed_searches.py TUNER FOLDER STRIDE`.

A process of its own, because it forks for every search, which TensorFlow allows while it has not
computed anything. The trials are no trainings, but write what trainings write.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import sys
import traceback
from functools import partial
from pathlib import Path

import keras_tuner

from keras_leaky import tuning
from keras_leaky.tuning._engine.executions import Executions
from keras_leaky.tuning._project.checkpoint import Checkpoint
from tests.faults.death_at_step import die_at_step

LIMITS = {
    "RandomSearch": {"max_trials": 4},
    "BayesianOptimization": {"max_trials": 5, "num_initial_points": 3},
    "Hyperband": {"max_epochs": 3, "factor": 3},
    "GridSearch": {},
}
STEPS = ("replace", "fsync", "rename", "mkdir")  # functions of os


def score_of(values):
    return (values["a"] - 0.3) ** 2 + values["b"] / values.get("tuner/epochs", 1)


def checkpoint_of(values):
    return Checkpoint(json.dumps(values, sort_keys=True).encode(), {"a": values["a"]})


class WithoutTraining:
    def run_trial(self, trial, *args, **kwargs):
        values = trial.hyperparameters.values
        if "tuner/trial_id" in values:  # Hyperband goes on with another trial
            parent = self.oracle.get_trial(values["tuner/trial_id"])
            known = self._project.read_checkpoint(parent.trial_id)
            assert known == checkpoint_of(parent.hyperparameters.values)
        with open(os.path.join(self.directory, "runs"), "a") as file:
            print(trial.trial_id, file=file)
        results = [{"score": score_of(values)}]
        return self._keep(
            trial, Executions(results, checkpoint_of(values), None, trial.hyperparameters)
        )


def make(name, folder, **kwargs):
    hp = keras_tuner.HyperParameters()
    if name == "GridSearch":
        hp.Choice("a", [0.1, 0.2, 0.3])
        hp.Choice("b", [1, 2])
    else:
        hp.Float("a", 0.01, 1.0, sampling="log")
        hp.Float("b", 0.0, 1.0)
    cls = type(name, (WithoutTraining, getattr(tuning, name)), {})
    arguments = {
        "objective": keras_tuner.Objective("score", "min"),
        "seed": 1,
        **LIMITS[name],
        **kwargs,
    }
    return cls(hyperparameters=hp, directory=str(folder), project_name="p", **arguments)


def outcome(tuner):
    """Everything that a search found, trial by trial."""
    found = {}
    for name, trial in tuner.oracle.trials.items():
        files = Path(tuner.project_dir, f"trial_{name}")
        content = [(files / file).read_text() for file in checkpoint_of({"a": 0}).files()]
        assert content == [data.decode() for data in checkpoint_of(_values(trial)).files().values()]
        found[name] = trial.status, trial.score, trial.best_step, _values(trial)
    return found


def _values(trial):
    return trial.hyperparameters.values


def finished_in(folder):
    files = Path(folder, "p").glob("trial_*/trial.json")
    contents = [json.loads(file.read_text()) for file in files]
    return {content["trial_id"] for content in contents if content["status"] == "COMPLETED"}


def runs_in(folder):
    path = Path(folder, "runs")
    return path.read_text().split() if path.exists() else []


def in_fork(function):
    """Runs `function` in a fork; returns its exit code, -9 if it was killed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                function()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def search(name, folder, step):
    die_at_step(step, STEPS)
    make(name, folder).search(verbose=0)


def check_resumed(name, folder, expected):
    n_runs, finished = len(runs_in(folder)), finished_in(folder)
    tuner = make(name, folder)
    tuner.search(verbose=0)
    assert not finished & set(runs_in(folder)[n_runs:]), "finished trials were run twice"
    assert outcome(tuner) == expected
    assert json.loads(json.dumps(outcome(make(name, folder)))) == json.loads(json.dumps(expected))


def main(name, folder, stride):
    with contextlib.redirect_stdout(io.StringIO()):
        tuner = make(name, Path(folder, "whole"))
        tuner.search(verbose=0)
        expected = outcome(tuner)
    n_kills, disturbed = 0, Path(folder, "disturbed")
    for step in range(1, 10**6, stride):
        code = in_fork(partial(search, name, disturbed, step))
        if code == 0:
            break
        assert code == -signal.SIGKILL, f"step {step}"
        n_kills += 1
        # A second one in the middle of the resumed search.
        in_fork(partial(search, name, disturbed, step // 2 + 1))
        assert in_fork(partial(check_resumed, name, disturbed, expected)) == 0, f"step {step}"
        shutil.rmtree(disturbed)
    print(json.dumps({"n_kills": n_kills, "n_trials": len(expected)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
