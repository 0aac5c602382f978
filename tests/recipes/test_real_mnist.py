"""On the real thing, where it is at hand."""

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
def test_search_learns(search):
    flags = (f"--data-dir={FOLDER}", "--train-limit=6000", "--epochs=1", "--trials=2", "--seeds=2")
    code, run = search("a", "--learning-rate-range", 1e-3, 5e-3, tiny=flags)
    assert code == 0
    assert all((row.score or 0) > 0.85 for row in run.trials)
    assert run.read_json("summary")["test"]["mean"] > 0.85
