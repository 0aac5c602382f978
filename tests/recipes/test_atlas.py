"""Every slope at every rate, in small, and what is read off it."""

import numpy as np
import pandas as pd
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
    atlas_map.main(atlas_map.Options(run=run.out, collect=run.out / "collected"))
    assert (run.out / "atlas_map.png").exists()
    assert (run.out / "atlas_rates.png").exists()
    assert "| PReLU |" in capsys.readouterr().out
    collected = read_rows(run.out / "collected/atlas_mnist_second.csv.gz", atlas.TEXTS)
    assert collected == second


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


def tables(best):
    """A second pass in which the loss of every slope is a parabola round its best rate."""
    rng, rows = np.random.default_rng(0), []
    for (net, optimizer, init), of_slope in best.items():
        for slope in (-1.0, 0.0, 0.01, 0.03, 0.5, 1.0, "prelu"):
            rate = of_slope(0.25 if slope == "prelu" else slope)
            for near in rate * 1.4 ** np.arange(-3, 4):
                loss = 0.2 * np.exp(0.3 * np.log(near / rate) ** 2)
                for seed in range(4):
                    setting = {"net": net, "optimizer": optimizer, "init": init}
                    noise = rng.normal(0, 0.001)
                    rows.append(
                        {
                            **setting, "slope": slope, "learning_rate": near, "seed": seed,
                            "val_loss": loss + noise, "val_accuracy": 1 - loss - noise,
                        }
                    )  # fmt: skip
    return pd.DataFrame(rows)


def test_the_hypotheses_are_decided_by_the_exponents():
    def rate(p):
        return lambda slope: 0.1 * (1 + slope**2) ** p

    exponents = {
        ("mlp2", "sgd", "he"): -1, ("mlp2", "sgd", "own"): 0, ("mlp2", "adam", "he"): -1,
        ("mlp2", "adam", "own"): -1, ("mlp8", "sgd", "he"): -3, ("mlp8", "sgd", "own"): -3,
        ("mlp8", "adam", "he"): 0, ("mlp8", "adam", "own"): 0,
    }  # fmt: skip
    found = atlas_map.find_best_rates(tables({key: rate(p) for key, p in exponents.items()}))
    for setting, p in exponents.items():
        own = [one for one in found if (one.net, one.optimizer, one.init) == setting]
        power = atlas_map.fit_power(own)
        assert power.p == pytest.approx(p, abs=0.03)
        assert power.n == 6  # without PReLU
        assert all(one.is_sharp and one.low < one.rate < one.high for one in own)
    decided = atlas_map.decide(found)
    assert decided["A1"] == {"2 layers": True, "8 layers": True}
    assert decided["A2"] == {"2 layers": True}
    assert decided["A3"] == {"2 layers": True, "8 layers": False}
    assert decided["A4"] == {"": True}
    assert decided["A5"] == {"2 layers": False, "8 layers": True}
    assert all(decided["A6"].values())
    assert len(decided["A6"]) == 16


def test_a_best_rate_at_the_edge_of_those_tried_is_not_sharp():
    rows = tables({("mlp2", "sgd", "he"): lambda slope: 0.1})
    inner = rows[rows["learning_rate"] <= 0.11]
    assert all(one.at_edge and not one.is_sharp for one in atlas_map.find_best_rates(inner))
