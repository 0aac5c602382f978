"""A recipe's first line is its own, on a machine without a GPU too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.common.quiet_start import _without_notes

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
    with _without_notes():
        for line in (NOTES + OTHERS).splitlines(keepends=True):
            os.write(2, line)
    os.write(2, b"later\n")
    assert capfd.readouterr().err.encode() == OTHERS + b"later\n"


def test_an_import_that_fails_loses_nothing_of_its_reason(capfd):
    def fail():
        with _without_notes():
            os.write(2, OTHERS)
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err.encode() == OTHERS


def first_line(*arguments):
    environment = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {"KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    run = subprocess.run(command, cwd=ROOT, env=environment, check=True, **pipes)
    return run.stdout.splitlines()[0]


@pytest.mark.parametrize(
    "recipe", ["mnist", "cifar10", "cifar100", "compare", "dying_relu", "report"]
)
def test_help_begins_with_its_usage(recipe):
    assert first_line(f"recipes.{recipe}", "--help").startswith("usage: ")


@pytest.mark.slow
def test_a_run_begins_with_our_own_words():
    line = first_line("recipes.mnist", "--data", "digits", "--dry-run", "--precision", "float32")
    assert line.startswith("Note: These results are for scikit-learn's 1,797 digits")
