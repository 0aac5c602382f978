"""On the real thing, where it is at hand."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from recipes.common import data as data_module

FOLDER = Path(os.environ.get("KERAS_LEAKY_DATA", ""))

pytestmark = pytest.mark.skipif(
    "KERAS_LEAKY_DATA" not in os.environ or not (FOLDER / "mnist.npz").is_file(),
    reason="KERAS_LEAKY_DATA names no folder with mnist.npz",
)


def test_split_of_mnist():
    arrays = data_module.load(data_module.DATASETS["mnist"], "mnist", FOLDER)
    assert np.mean(arrays.x_train / np.float32(255)) == pytest.approx(0.13066, abs=1e-5)
    data = data_module.split(arrays, None)
    sizes = [len(x) for x in (data.x_train, data.x_validation, data.x_test)]
    assert sizes == [51_000, 9_000, 10_000]
    share = np.bincount(data.y_validation) / 9_000
    np.testing.assert_allclose(share, np.bincount(arrays.y_train) / 60_000, atol=1e-4)


@pytest.mark.slow
def test_search_learns_and_repeats(search):
    flags = (f"--data-dir={FOLDER}", "--train-limit=6000", "--epochs=1", "--trials=2", "--seeds=2")
    flags += ("--precision=float32",)  # auto may find another in each run
    narrow = ("--learning-rate-range", 1e-3, 5e-3)
    (code, first), (_, again) = (search(name, *narrow, tiny=flags) for name in "ab")
    assert code == 0
    strip = [[dataclasses.replace(r, seconds=0) for r in run.trials] for run in (first, again)]
    assert strip[0] == strip[1]
    assert all((row.score or 0) > 0.85 for row in first.trials)
    assert first.read_json("summary")["test"]["mean"] > 0.85
