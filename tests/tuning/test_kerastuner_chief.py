"""KerasTuner's own distributed search: a chief and workers, each a process, on loopback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

# One script for all processes, as KerasTuner's guide has it.
SCRIPT = """
import os, sys, time, types
import keras, keras_tuner, numpy as np
from keras_leaky import tuning
from keras_tuner.src.distribute import oracle_chief

oracle_chief.time = types.SimpleNamespace(sleep=lambda s: time.sleep(0.05))  # 20 s
x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
name, folder = sys.argv[1:]

def build(hp):
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model

class Broken(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, *args, **kwargs):
        raise OSError("the disk is on fire")

limit = {"max_epochs": 3} if name == "Hyperband" else {"max_trials": 5}
kind = tuning.RandomSearch if name == "Broken" else getattr(tuning, name)
tuner = kind(Broken() if name == "Broken" else build, "val_loss", seed=1, directory=folder, **limit)
tuner.search(x, x[:, 0], validation_split=0.25, epochs=2, verbose=0)
if os.environ["KERASTUNER_TUNER_ID"] == "chief":  # who is gone when workers might ask him
    trials = tuner.oracle.get_best_trials(100)
    for trial in trials:
        loss = tuner.load_model(trial).evaluate(x[48:], x[48:, 0], verbose=0)
        np.testing.assert_allclose(loss, trial.score, rtol=1e-4)
    print("found", len(trials), {trial.status for trial in trials})
"""


def run(name, folder, n_workers=2):
    """Return code and output of the chief and of each worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    children = []
    for tuner_id in ["chief", *(f"worker{i}" for i in range(n_workers))]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "KERASTUNER_TUNER_ID": tuner_id,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": port,
        }
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, name, str(folder)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        children.append(subprocess.Popen(command, env=environment, **pipes))
    try:
        outputs = [child.communicate(timeout=240)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    return [(child.returncode, output) for child, output in zip(children, outputs, strict=True)]


@pytest.mark.parametrize(
    ("name", "n_trials"),
    [
        ("RandomSearch", 5),
        pytest.param("GridSearch", 5, marks=pytest.mark.soak),
        pytest.param("Hyperband", 6, marks=pytest.mark.soak),
    ],
)
def test_a_chief_and_its_workers_search(name, n_trials, tmp_path):
    outputs = run(name, tmp_path)
    assert all(code == 0 for code, _ in outputs), outputs
    assert outputs[0][1].splitlines()[-1] == f"found {n_trials} {{'COMPLETED'}}"


@pytest.mark.soak
def test_crashes_end_the_chief_with_the_reason_and_the_workers_too(tmp_path):
    (code, output), (worker_code, worker_output) = run("Broken", tmp_path, n_workers=1)
    assert (code, worker_code) == (1, 0)
    what_to_do = "Fix the error of the last one, trial 2:\nthe log of its worker says why"
    assert f"3 trials in a row failed. {what_to_do}" in output
    assert "the disk is on fire" in worker_output
