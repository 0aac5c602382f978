"""`python -m benchmarks.gpu`, as far as it goes without a GPU."""

import json
import subprocess
import sys

import keras
import pytest

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it runs on JAX")


def run(*flags):
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.soak
def test_parts_are_files_and_what_is_there_is_not_measured_again(tmp_path):
    parts = ("layers", "long")
    flags = ("--small", "--out", tmp_path, "--parts", *parts)
    done = run(*flags)
    assert done.returncode == 0, done.stderr
    before = {name: (tmp_path / f"{name}.json").read_text() for name in parts}
    for content in before.values():
        (job,) = json.loads(content)["jobs"].values()
        assert job["device"] == "cpu"
        assert all(row.keys() == job["rows"][0].keys() for row in job["rows"])
    assert run(*flags).returncode == 0
    assert before == {name: (tmp_path / f"{name}.json").read_text() for name in parts}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "JAX must see a GPU, or `--small` must be given. Received: a CPU"),
        (("--small", "--parts", "layer"), "`--parts` must be of layers, searches"),
    ],
)
def test_what_is_refused(tmp_path, flags, message):
    done = run("--out", tmp_path, *flags)
    assert done.returncode == 2
    assert message in done.stderr
