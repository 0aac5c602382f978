"""Nets that collapse to a constant while they learn |x|."""

import numpy as np
import pytest

from recipes.dying_relu import collapse
from recipes.dying_relu.collapse import ARMS, GROUPS, Collapse, judge, train_group

X = np.linspace(-(3**0.5), 3**0.5, 601)[:, None]


def test_every_state_is_recognized():
    """Planted functions on the grid, one a column."""
    functions = {
        "constant": np.full_like(X, 0.87),
        "nearly constant": 0.87 + 0.004 * X,
        "not constant": 0.87 + 0.006 * X,
        "half": np.where(X > 0, X, 0.87),
        "target": np.abs(X) + 0.05,
        "infinite": np.where(X > 1, np.inf, X),
        "nan": np.full_like(X, np.nan),
    }
    end = np.concatenate(list(functions.values()), axis=1).astype("float32")
    start = np.concatenate([np.zeros_like(X), np.tile(X, 6)], axis=1).astype("float32")
    nets = judge(ARMS[0], start, end)
    states = [row.state for row in nets]
    assert states == [
        *("collapsed", "collapsed", "partial", "partial", "learned", "diverged", "diverged")
    ]
    (row,) = Collapse(nets, []).arms
    assert (row.n_nets, row.n_collapsed, row.n_partial, row.n_learned) == (7, 2, 2, 1)
    assert (row.n_diverged, row.n_constant_at_start) == (2, 1)
    assert row.collapsed_fraction == 2 / 7
    assert nets[-1].range is None
    assert nets[4].rmse == pytest.approx(0.05, abs=1e-5)
    drawn = collapse._sample(ARMS[0], end)
    assert {r.net for r in drawn} == {0, 1, 2, 3, 4}, "only finite ones are drawn"


@pytest.mark.soak
def test_rai_lowers_collapse_and_a_leak_does_more():
    epochs = []
    part = train_group(GROUPS[0], 200, 60, 1, epochs.append)
    assert epochs == list(range(1, 61))
    he, rai, little, leaky = part.arms
    assert he.arm == "ReLU, He"
    assert he.collapsed_fraction > 0.85
    assert rai.collapsed_fraction < 0.6 * he.collapsed_fraction
    assert little.collapsed_fraction < rai.collapsed_fraction
    assert leaky.collapsed_fraction < 0.12
    assert leaky.learned_fraction > rai.learned_fraction > he.learned_fraction
    assert he.n_constant_at_start > 0.8 * he.n_nets
    assert little.n_constant_at_start == leaky.n_constant_at_start == 0


def test_dead_nets_learn_the_mean_and_no_more():
    """A net that is born dead has only its last bias left, which goes to the target's mean."""
    rate = 0.03  # far fewer steps for the same way
    part = train_group(ARMS[:1], 30, 6, 0, lambda epoch: None, learning_rate=rate)
    dead = [row.net for row in part.nets if row.range_at_start == 0]
    assert len(dead) > 15
    for row in part.functions:
        if row.net in dead:
            assert part.nets[row.net].state == "collapsed"
            assert row.y == pytest.approx(3**0.5 / 2, abs=0.06)
