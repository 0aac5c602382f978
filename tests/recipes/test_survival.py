"""Units that die and come back, and what is counted of them."""

import numpy as np
import pandas as pd
import pytest

from keras_leaky.tuning import Trainer
from recipes import survival, survival_claims, survival_nets
from recipes.datasets import Split
from recipes.tables import read_rows, write_rows


def make_rows(states, net="plain", optimizer="sgd", rate=0.1, seed=1, layer=2):
    own = {"net": net, "optimizer": optimizer, "learning_rate": rate, "seed": seed}
    return [
        {**own, "val_accuracy": 0.9, "layer": layer, "unit": i, "states": state}
        for i, state in enumerate(states)
    ]


def read(rows, tmp_path):
    path = tmp_path / survival.FILE
    write_rows(path, survival.COLUMNS, rows)
    return survival_claims.read_units(path)


def test_lives_are_counted_from_the_first_death(tmp_path):
    units = read(make_rows(["11111", "10111", "10001", "10000", "11110", "00101"]), tmp_path)
    dead = survival_claims.first_deaths(units)
    assert dead["states"].tolist() == ["10111", "10001", "10000", "00101"]
    assert dead["epochs"].tolist() == [1, 3, 3, 2]
    assert dead["is_back"].tolist() == [True, True, False, True]
    # 4 at risk, one back; 3 at risk, one back; 2 at risk, one back and one censored
    found = survival_claims.survival(dead, [0, 1, 2, 3, 9])
    np.testing.assert_allclose(found, [1, 3 / 4, 1 / 2, 1 / 4, 1 / 4])
    assert survival_claims.early_hazard(dead) == pytest.approx(1 / 4 - 2 / 5)


def test_nets_that_do_not_learn_are_left_out(tmp_path):
    rows = make_rows(["1011"]) + make_rows(["1011"], seed=2)
    rows[1]["val_accuracy"] = 0.1
    rows += [{**rows[0], "seed": 3, "states": "", "val_accuracy": ""}]
    units = read(rows, tmp_path)
    assert units["seed"].tolist() == [1]


def test_area_is_the_share_of_pairs_in_order():
    back = pd.Series([True, False, True, False])
    assert survival_claims.area(pd.Series([3.0, 1.0, 2.0, 2.0]), back.to_numpy()) == 3.5 / 4
    assert survival_claims.area(pd.Series([1.0, 1.0]), np.array([True, True])) == 0.5


def test_claims_find_what_was_put_in(tmp_path, monkeypatch):
    """Later layers come back twice as often, normalized nets half as often, at every rate."""
    monkeypatch.setattr(survival_claims, "N_BOOT", 50)
    rng = np.random.default_rng(0)
    rows = []
    for seed, net, (optimizer, rate), layer in [
        (seed, net, setting, layer)
        for seed in range(4)
        for net in survival.NETS
        for setting in [("sgd", 0.1), ("sgd", 0.2), ("adam", 0.1), ("adam", 0.2), ("momentum", 0.1)]
        for layer in (1, 2)
    ]:
        hazard = 0.15 * (2 if layer == 2 else 1) * (0.5 if net == "batch_norm" else 1)
        lives = rng.geometric(hazard, 40)
        states = [("0" * life + "1" * 10)[:10] for life in lives]
        rows += make_rows(states, net, optimizer, rate, seed, layer)
    for row in rows:
        row["gradient_at_death"] = rng.random() + (row["states"][1] == "1")
        row["output_at_death"] = rng.random()
    units = read(rows, tmp_path)
    found = {one.name: one for one in survival_claims.claims(survival_claims.first_deaths(units))}
    assert 1.7 < found["S1"].value < 2.5
    assert found["S1"].low > 1
    assert found["S2"].low < 1 < found["S2"].high
    assert 0 < found["S3"].value < 0.05  # units differ, and the quick ones leave first
    assert 0.35 < found["S4"].value < 0.65
    assert found["S5"].value > 0.3
    assert found["S5"].p < 0.05
    plain = units[units["net"] == "plain"]
    alone = survival_claims.claims(survival_claims.first_deaths(plain))
    assert [one.name for one in alone] == ["S1", "S2", "S3", "S5"]  # nothing of a constant
    tables = survival_claims.make_tables(units)
    assert tables["survival"].count("\n") == 1 + 2 * 3 * 2
    assert "| S1 | hazard ratio, later layer |" in tables["claims"]


@pytest.mark.slow
def test_every_unit_is_seen_after_every_epoch(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (600, 28, 28)).astype("uint8")
    y = rng.integers(0, 10, 600)
    parts = Split(x[:300], y[:300], x[300:500], y[300:500], x[500:], y[500:])
    trainer = Trainer()
    rows = survival_nets.observe(trainer, "plain", "sgd", 0.5, 1, parts, 3)
    assert len(rows) == 300
    assert {len(row["states"]) for row in rows} == {3}
    dead = [row for row in rows if "0" in row["states"]]
    assert dead, "no unit died at this rate"
    for row in dead:
        assert row["states"][row["death_epoch"] - 1] == "0"
        assert float(row["output_at_death"]) >= 0
    gone = survival_nets.observe(trainer, "plain", "sgd", 1e6, 1, parts, 3)
    assert len(gone) == 1
    path = tmp_path / "t.csv.gz"
    write_rows(path, survival.COLUMNS, rows + gone)
    back = read_rows(path, survival.TEXTS)
    assert [row["states"] for row in back[:-1]] == [row["states"] for row in rows]
    assert back[-1]["states"] == ""
