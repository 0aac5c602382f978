"""`python -m benchmarks.regret`: the choices of our studies and of the peers."""

import importlib.util
import io
import json
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from benchmarks import regret, regret_peers
from recipes.nets import Net

PEERS = [
    name
    for name, packages in regret_peers.PEERS.items()
    if all(importlib.util.find_spec(package) for package in packages)
]


def run(**options):
    given = {"data_dir": Path("none"), "small": True, "searches": 1, "cases": ("mlp",), **options}
    regret.main(regret.Options(**given), Console(file=io.StringIO()))


@pytest.mark.soak  # a benchmark, and half a minute
def test_peers_get_the_seconds_of_our_study_and_their_points_are_judged(tmp_path):
    options = {"out": tmp_path, "tuners": ("halving",), "peers": tuple(PEERS)}
    run(**options)
    rows = json.loads((tmp_path / "regret.json").read_text())
    both, *of_arm = rows[2:]
    assert [(row["arms"], row["tuner"], row["finalists"]) for row in rows[:4]] == [
        *(("both", "halving", n) for n in (1, 3, 5)),
        ("leaky_relu", "halving", 3),
    ]
    assert [row["tuner"] for row in of_arm] == ["halving", *PEERS]
    assert both["n"] == 2
    assert {row["n"] for row in of_arm} == {1}
    judged = json.loads((tmp_path / "mlp-leaky_relu.json").read_text())
    paths = [tmp_path / "mlp" / f"{name}-1.json" for name in PEERS]
    for path, row in zip(paths, of_arm[1:], strict=True):
        found = json.loads(path.read_text())
        assert row["seconds"] == found["seconds"] >= found["seconds_given"] > 0
        point = {name: found["best"][name] for name in ("learning_rate", "alpha")}
        assert regret.name_of(point) in judged
        assert not path.with_suffix("").exists()
    before = [path.stat().st_mtime_ns for path in paths]
    run(**options)
    assert [path.stat().st_mtime_ns for path in paths] == before
    assert json.loads((tmp_path / "regret.json").read_text()) == rows


def test_a_trial_that_ends_too_late_does_not_count_but_for_the_first():
    clock = regret_peers.Clock(0.05)
    point = {"alpha": 0.1, "learning_rate": 0.01, "tuner/epochs": 3}
    clock.start()
    time.sleep(0.06)
    clock.check()
    clock.end_trial(0.5, point)
    assert clock.trials == [{"score": 0.5, "learning_rate": 0.01, "alpha": 0.1}]
    assert clock.search_seconds > clock.seconds
    with pytest.raises(regret_peers.TimeIsUp):
        clock.end_trial(0.9, point)
    assert len(clock.trials) == 1


@pytest.mark.parametrize(
    ("name", "image_shape"), [("mlp", (28, 28)), ("cnn", (28, 28)), ("cnn", (32, 32, 3))]
)
def test_the_net_in_pytorch_is_that_of_the_recipes(name, image_shape):
    pytest.importorskip("optuna")
    torch = pytest.importorskip("torch")
    from benchmarks import regret_optuna

    net, alpha = Net(name, image_shape, 10, n_steps=5, n_epochs=2), 0.5
    hp = regret_peers.keras_tuner.HyperParameters()
    keras.utils.set_random_seed(1)
    torch.manual_seed(1)
    theirs = [p.detach().numpy() for p in regret_optuna.make_net(net, alpha).parameters()]
    ours = net(hp, regret_peers.Rectifier(alpha)).get_weights()
    assert [one.size for one in theirs] == [one.size for one in ours]
    for one, other in zip(theirs, ours, strict=True):
        # Four standard errors: without the gain of the alpha it would be 12 % off.
        tolerance = 4 / one.size**0.5
        np.testing.assert_allclose(one.std(), other.std(), rtol=tolerance)
        np.testing.assert_allclose(abs(one).max(), abs(other).max(), rtol=tolerance)  # truncated


def test_a_peer_that_is_unknown_or_not_installed_is_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(out=tmp_path, peers=("stock",))
    assert "`--peers` must be of hyperband-stock, optuna-median" in capsys.readouterr().err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        run(out=tmp_path, peers=("hyperband-stock", "optuna-median"))
    error = capsys.readouterr().err
    assert "`pip install optuna torch`" in error
    assert "Received: optuna-median" in error
