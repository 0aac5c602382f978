"""On the real thing, where it is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_leaky.study import load
from recipes import datasets, mnist

FOLDER = Path(os.environ.get("KERAS_LEAKY_DATA", ""))

pytestmark = pytest.mark.skipif(
    "KERAS_LEAKY_DATA" not in os.environ or not (FOLDER / "mnist.npz").is_file(),
    reason="KERAS_LEAKY_DATA names no folder with mnist.npz",
)


def test_split_of_mnist():
    images = datasets.load("mnist", "mnist", FOLDER)
    assert (images.title, images.warning) == ("MNIST", None)
    assert np.mean(images.x_train / np.float32(255)) == pytest.approx(0.13066, abs=1e-5)
    data = datasets.split(images, None)
    sizes = [len(x) for x in (data.x_train, data.x_validation, data.x_test)]
    assert sizes == [51_000, 9_000, 10_000]
    share = np.bincount(data.y_validation) / 9_000
    np.testing.assert_allclose(share, np.bincount(images.y_train) / 60_000, atol=1e-4)


@pytest.mark.slow
def test_search_learns(tmp_path):
    flags = [f"--data-dir={FOLDER}", "--train-limit=6000", "--epochs=1", "--trials=1", "--seeds=2"]
    flags += ["--finalists=1", "--learning-rate-range", "1e-3", "5e-3", "--precision=float32"]
    assert mnist.main([*flags, f"--output={tmp_path / 'run'}"]) == 0
    outcome = load(tmp_path / "run")
    assert all((row.score or 0) > 0.85 for row in outcome.trials)
    assert outcome.arms["leaky_relu"].test.mean > 0.85
