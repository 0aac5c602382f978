"""A command line's first line is its own, on a machine without a GPU too; `--help` is fast."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_leaky._quiet_start import make_without_notes

ROOT = Path(__file__).parents[2]
# As TensorFlow 2.21 writes them.
NOTES = b"""\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795700799.453369    4810 port.cc:153] oneDNN custom operations are on. You may see
I0000 00:00:1795700799.453745    4810 cudart_stub.cc:31] Could not find cuda drivers on your machine
I0000 00:00:1795700810.755091    4870 cpu_feature_guard.cc:227] This TensorFlow binary is optimized
To enable the following instructions: AVX2 AVX512F, in other operations, rebuild TensorFlow with
E0000 00:00:1795700802.303008    4810 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA
2026-11-26 13:00:00.453369: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.
"""
OTHERS = b"""\
E0000 00:00:1795700802.303008    4810 cuda_blas.cc:12] Unable to register cuBLAS factory
ImportError: libcudart.so.12: cannot open shared object file
"""


def test_notes_are_left_out_and_all_else_is_written(capfd):
    with make_without_notes()():
        for line in (NOTES + OTHERS).splitlines(keepends=True):
            os.write(2, line)
    os.write(2, b"later\n")
    assert capfd.readouterr().err.encode() == OTHERS + b"later\n"


def test_an_import_that_fails_loses_nothing_of_its_reason(capfd):
    def fail():
        with make_without_notes()():
            os.write(2, OTHERS)
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err.encode() == OTHERS


def installed(folder):
    """The command as pip installs it."""
    path = folder / "keras-leaky"
    path.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from keras_leaky.study.command_line import main\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n"
    )
    return path


def run(*command, folder=ROOT):
    environment = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"KERAS_BACKEND": "tensorflow"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, **pipes)


# Every recipe but two packages, and the command that draws a page again.
RECIPES = [p.stem for p in sorted(ROOT.glob("recipes/*.py")) if "run_program(" in p.read_text()]


@pytest.mark.parametrize("recipe", [*RECIPES, "report"])
def test_help_of_a_recipe_does_not_wait_for_keras(recipe):
    done = run("-X", "importtime", "-m", f"recipes.{recipe}", "--help")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stdout.splitlines()}
    assert "tyro" in imported
    early = {"keras", "tensorflow", "jax", "torch", "keras_tuner"} & imported
    assert not early, f"import {early} inside functions of recipes/{recipe}.py, not at its top"


def test_help_ends_in_silence_if_its_reader_goes_away():
    """`--help | head -1`"""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "recipes.mnist", "--help"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 1


@pytest.mark.parametrize("command", ["", "study", "report", "dead-units"])
def test_help_of_the_command_does_not_wait_for_keras(command, tmp_path):
    arguments = [*command.split(), "--help"]
    done = run("-X", "importtime", installed(tmp_path), *arguments, folder=tmp_path)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stdout.splitlines()}
    assert not {"keras", "tensorflow", "jax", "torch", "keras_tuner"} & imported
    assert "usage: keras-leaky" in done.stdout
    assert "Example" in done.stdout


@pytest.mark.slow
def test_a_run_begins_with_our_own_words():
    flags = ("--data=synthetic", "--dry-run", "--precision=float32", "--model=mlp")
    done = run("-m", "recipes.mnist", *flags)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("Precision: float32 (as asked for)\nData: synthetic images")


def test_a_script_that_is_no_command_line_gets_everything_registered(tmp_path):
    """Also one that imports the pack before Keras."""
    script = tmp_path / "recipes.py"
    script.write_text(
        "import keras_leaky, keras\nprint(keras.saving.get_registered_object('keras_leaky>PReLU'))"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "keras_leaky.layers.prelu.PReLU" in done.stdout
