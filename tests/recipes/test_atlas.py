"""Every slope at every rate, in small, and what is read off it."""

import json

import numpy as np
import pytest

from keras_leaky.study import InputError
from recipes import atlas, atlas_map
from recipes.tables import read_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A quick run on images whose class is their brightest quarter."""
    folder = tmp_path_factory.mktemp("atlas")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 60, (1500, 28, 28)).astype("uint8")
    y = rng.permutation(np.arange(1500) % 10)
    for image, label in zip(x, y, strict=True):
        image[2 * label : 2 * label + 6] += 150
    np.savez(folder / "mnist.npz", x_train=x, y_train=y, x_test=x[:100], y_test=y[:100])
    options = atlas.Options(out=folder / "run", data_dir=folder, quick=True)
    atlas.main(options)
    return options


@pytest.mark.slow
def test_tables_hold_every_training(run, capsys):
    rows = read_rows(run.out / "first-mlp2-sgd-own.csv.gz", atlas.TEXTS)
    assert len(rows) == 3 * 4
    assert {row["slope"] for row in rows} == {0.0, 0.3, "prelu"}
    assert all((row["val_loss"] is None) == bool(row["failure"]) for row in rows)
    assert max(row["val_accuracy"] or 0.0 for row in rows) > 0.5
    second = read_rows(run.out / "second-mlp2-sgd-own.csv.gz", atlas.TEXTS)
    assert len(second) == 3 * 3 * 2
    before = (run.out / "first-mlp2-sgd-own.csv.gz").read_bytes()
    atlas.main(run)  # nothing is trained again
    assert (run.out / "first-mlp2-sgd-own.csv.gz").read_bytes() == before
    atlas_map.main(run.out)
    assert (run.out / "mlp2-sgd-own.png").exists()
    summary = json.loads((run.out / "summary.json").read_text())
    assert [row["slope"] for row in summary[0]["rates"]] == [0.0, 0.3, "prelu"]


@pytest.mark.slow
def test_the_folder_of_another_run_is_refused(run):
    with pytest.raises(InputError, match="`--out` must be a new folder"):
        atlas.main(atlas.Options(out=run.out, data_dir=run.data_dir))


def test_the_best_rate_is_the_least_of_the_parabola():
    rates = np.geomspace(0.01, 0.1, 7)
    losses = np.exp(0.3 * (np.log(rates) - np.log(0.04)) ** 2)
    assert atlas_map.best_rate(rates, losses) == pytest.approx(0.04)
    losses[0] = np.inf  # it diverged
    assert atlas_map.best_rate(rates, losses) == pytest.approx(0.04)
    assert np.isnan(atlas_map.best_rate(rates, 1 / losses))
    assert np.isnan(atlas_map.best_rate(rates[:2], losses[:2]))
    outside = np.exp(0.3 * (np.log(rates) - np.log(10.0)) ** 2)
    assert atlas_map.best_rate(rates, outside) == pytest.approx(0.1)


def test_the_exponent_of_the_second_moment_is_found():
    found = [
        {"slope": slope, "best_rate": 0.1 * (1 + slope**2) ** -0.7}
        for slope in (-1.0, 0.0, 0.1, 0.3, 0.5, 1.0)
    ]
    power = atlas_map.fit_power([*found, {"slope": "prelu", "best_rate": 9.0}])
    assert power["exponent"] == pytest.approx(-0.7)
    assert power["n_slopes"] == 6
