"""Units that die while nets learn: states, revival, and the remedies side by side."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from recipes.common import data as data_module
from recipes.common.dying.answers import answer_training_death
from recipes.common.dying.comparison import BASELINE, comparison_rows
from recipes.common.dying.draws import draw_rectifier
from recipes.common.dying.ensemble import EnsembleLeakyReLU, build_ensemble
from recipes.common.dying.results import TrainingDeath
from recipes.common.dying.revival import LAYERS, cell_rows, death_rows, revival_rows
from recipes.common.dying.training_death import Cell, History, _Watch, train_ensemble


@pytest.fixture(scope="module")
def data():
    arrays = data_module.load(data_module.DATASETS["mnist"], "synthetic", None)
    return data_module.split(arrays, 320)


def make_history(active, accuracy=0.9, finite=True, alphas=(0.0,), momentum=0.0, rates=None):
    """A history of nets with 300 units; `active` is of shape (epochs + 1, nets, 300)."""
    shape = active.shape[:2]
    rates = rates or [0.1] * len(alphas)
    return History(
        momentum,
        [Cell(rate, alpha, i) for i, (rate, alpha) in enumerate(zip(rates, alphas, strict=True))],
        active,
        np.broadcast_to(accuracy, shape).copy(),
        np.broadcast_to(finite, shape).copy(),
        n_sample=100,
    )


def test_planted_dead_units_are_seen_in_every_batch_of_the_sample():
    """Units that only one image activates, wherever it lies among 600, and units that none does."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (600, 5)).astype("float32")
    x[:, 0] = 0
    x[[3, 260, 599], 0] = 1
    weights = draw_rectifier(2, [5, 4, 3, 2], "relu", None, seed=0)
    (kernel, bias), (deeper, deeper_bias), _ = weights
    kernel[0] = 0
    kernel[0, 0, :2] = 1  # net 0: units 0 and 1 see only the rare pixel
    bias[0] = [0, -0.5, -1, 1]  # unit 2 is dead, unit 3 always on
    deeper[:], deeper_bias[:] = 0, -1  # the whole second layer is dead
    deeper_bias[1] = 1
    _, levels = build_ensemble(weights, lambda: EnsembleLeakyReLU(np.zeros(2)))
    watch = _Watch(levels, x, np.zeros(600, int), lambda epoch: None)
    watch.look()
    active, accuracy, finite = watch.looks[0]
    assert active[0].tolist() == [True, True, False, True, False, False, False]
    assert active[1, 4:].all()
    assert finite.all()
    assert accuracy.shape == (2,)
    rare = np.delete(x, [3, 260, 599], axis=0)
    watch = _Watch(levels, rare, np.zeros(597, int), lambda epoch: None)
    watch.look()
    assert watch.looks[0][0][0, :4].tolist() == [False, False, False, True]


def test_the_sample_is_the_first_thousand_images():
    x = np.zeros((1100, 2), "float32")
    x[1000:] = 1
    weights = draw_rectifier(1, [2, 3, 2], "relu", None, seed=0)
    weights[0][0][:] = 1
    _, levels = build_ensemble(weights, lambda: EnsembleLeakyReLU(np.zeros(1)))
    watch = _Watch(levels, x, np.zeros(1100, int), lambda epoch: None)
    watch.look()
    assert not watch.looks[0][0].any()


def test_training_follows_every_net(data):
    epochs = []
    history = train_ensemble(0.9, (0.02, 5.0), (0.0, 0.3), 2, 2, data, 0, epochs.append)
    assert epochs == [1, 2]
    assert len(history.cells) == 8
    assert history.cells[0] == Cell(0.02, 0.0, 0)
    assert history.active.shape == (3, 8, 300)
    assert history.accuracy.shape == history.finite.shape == (3, 8)
    assert history.n_sample == len(data.x_validation) == 300
    slow = [i for i, cell in enumerate(history.cells) if cell.learning_rate == 0.02]
    assert history.finite[:, slow].all()
    assert (history.accuracy[-1, slow] > history.accuracy[0, slow] + 0.1).all()
    assert not history.finite[-1].all(), "a rate of 5 is too much for some"
    # Nets of one seed and alpha start alike, whatever their rate; those of another seed do not.
    start = dict(zip(history.cells, history.active[0], strict=True))
    assert np.array_equal(start[Cell(0.02, 0.0, 1)], start[Cell(5.0, 0.0, 1)])
    again = train_ensemble(0.9, (0.02,), (0.0, 0.3), 2, 2, data, 0, lambda epoch: None)
    np.testing.assert_array_equal(again.active, history.active[:, slow])
    np.testing.assert_allclose(again.accuracy, history.accuracy[:, slow], atol=0.01)


def test_test_images_are_not_used(data):
    blind = dataclasses.replace(data, x_test=np.empty((0, 28, 28)), y_test=np.empty(0))
    train_ensemble(0.0, (0.1,), (0.0,), 1, 1, blind, 0, lambda epoch: None)


def test_only_relu_units_die_and_diverged_nets_have_no_fractions():
    active = np.ones((2, 3, 300), bool)
    active[1, :, :30] = False  # 30 of the 100 of the first layer
    finite = np.ones((2, 3), bool)
    finite[1, 2] = False
    history = make_history(active, finite=finite, alphas=(0.0, 0.1, 0.1))
    rows = death_rows(history)
    relu, leaky, diverged = (row for row in rows if row.epoch == 1)
    assert relu.inactive_fraction == leaky.inactive_fraction == 0.1
    assert relu.inactive_fraction_layer_1 == 0.3
    assert relu.inactive_fraction_layer_2 == relu.inactive_fraction_layer_3 == 0
    assert (relu.dead_fraction, leaky.dead_fraction) == (0.1, 0)
    assert diverged.diverged
    assert diverged.inactive_fraction is diverged.val_accuracy is None
    cells = cell_rows(rows)
    assert [(c.alpha, c.n_seeds, c.n_diverged, c.n_learning) for c in cells] == [
        (0.0, 1, 0, 1),
        (0.1, 2, 1, 1),
    ]


def test_revival_counts_units_that_come_back():
    active = np.ones((4, 2, 300), bool)
    active[1, 0, :10] = False  # net 0: ten units of the first layer are dead after epoch 1;
    active[2, 0, 4:10] = False  # four are back after epoch 2,
    active[3, 0, 2:8] = False  # of which two die again, and two others come back
    active[1:, 1, 100:105] = False  # net 1: five units of the second layer, for good
    rows = revival_rows([make_history(active, alphas=(0.0, 0.0))], seed=0)
    first = [r for r in rows if r.layers == LAYERS[0]]
    later = [r for r in rows if r.layers == LAYERS[1]]
    assert [r.epoch for r in first] == [1, 2, 3]
    assert [r.n_inactive for r in first] == [10] * 3
    assert [r.n_active_again for r in first] == [0, 4, 6]
    assert [r.n_active_now for r in first] == [0, 4, 4]
    assert first[-1].active_again_fraction == 0.6
    assert [r.n_active_again for r in later] == [0, 0, 0]
    assert later[0].n_inactive == 5


def test_revival_is_of_nets_that_learn():
    active = np.ones((3, 3, 300), bool)
    active[1, :, :50] = False
    accuracy = np.array([0.9, 0.1, 0.9])
    finite = np.array([True, True, False])
    history = make_history(active, accuracy, finite, alphas=(0.0, 0.0, 0.0))
    rows = revival_rows([history], seed=0)
    assert {row.n_nets for row in rows} == {1}
    assert {row.n_inactive for row in rows} == {50}


def test_comparison_takes_the_relu_nets_that_lose_most_and_still_learn():
    """Rates 0.1, 0.5 and 2; at 2 the nets are dead as a whole and learn nothing."""
    cells = [(r, a) for r in (0.1, 0.5, 2.0) for a in (0.0, 0.1)]
    active = np.ones((2, len(cells), 300), bool)
    accuracy = np.full((2, len(cells)), 0.9)
    for i, (rate, alpha) in enumerate(cells):
        n_inactive = {0.1: 3, 0.5: 60, 2.0: 290}[rate] // (2 if alpha else 1)
        active[1, i, :n_inactive] = False
        accuracy[1, i] = {0.1: 0.95, 0.5: 0.85, 2.0: 0.1}[rate]
    histories = [
        History(m, [Cell(*cell, 0) for cell in cells], active, accuracy, accuracy > 0, 100)
        for m in (0.0, 0.9)
    ]
    nets = [row for history in histories for row in death_rows(history)]
    rows = comparison_rows(cell_rows(nets), nets)
    assert [row.momentum for row in rows] == [0.0] * 4 + [0.9] * 4
    assert [(r.setting, r.learning_rate, r.alpha) for r in rows[:4]] == [
        (BASELINE, 0.5, 0.0),
        ("smaller learning rate", 0.1, 0.0),
        ("leak of 0.1", 0.5, 0.1),
        ("both, leak of 0.1", 0.1, 0.1),
    ]
    assert rows[0].inactive_fraction == 0.2
    assert rows[1].accuracy_difference is None, "one seed has no interval"


def test_differences_are_paired_by_seed():
    active = np.ones((2, 6, 300), bool)
    active[1, :3, :30] = False
    accuracy = np.array([[0.0] * 6, [0.80, 0.85, 0.90, 0.82, 0.87, 0.92]])
    cells = [Cell(0.5, 0.0, s) for s in range(3)] + [Cell(0.1, 0.0, s) for s in range(3)]
    history = History(0.0, cells, active, accuracy, accuracy >= 0, 100)
    nets = death_rows(history)
    baseline, smaller = comparison_rows(cell_rows(nets), nets)
    assert baseline.accuracy_difference is None
    assert smaller.accuracy_difference == pytest.approx(0.02)
    assert smaller.difference_ci95_low == pytest.approx(0.02, abs=1e-6), "every seed gains as much"


def test_no_comparison_without_dead_units():
    history = make_history(np.ones((2, 2, 300), bool), alphas=(0.0, 0.1))
    part = TrainingDeath.of([history], 100, 0)
    assert part.comparison == []
    assert "nothing to remedy" in answer_training_death(part)[0]


def test_answer_says_where_the_smallest_rate_is_not_the_safest_and_who_comes_back():
    active = np.ones((3, 3, 300), bool)
    active[1:, 0, :9] = False  # rate 0.01
    active[1:, 2, :30] = False  # rate 0.5, of which 10 come back
    active[2, 2, :10] = True
    history = make_history(active, alphas=(0.0,) * 3, rates=[0.01, 0.1, 0.5])
    part = TrainingDeath.of([history], 100, 0)
    first, too_small, revival = answer_training_death(part)
    assert first.startswith("At learning rate 0.5 and momentum 0, 6.7 % of the hidden units")
    assert "with a learning rate of 0.1 it is 0.0 % dead and 90.0 % right" in first
    assert "3.0 % are dead at 0.01 and 0.0 % at 0.1" in too_small
    assert "25.6 %" in revival, "10 of 39"
    assert "n = 39 units of 3 nets" in revival


def test_every_net_has_its_own_slope():
    layer = EnsembleLeakyReLU(np.array([0.0, 0.25]))
    inputs = keras.Variable(np.array([[[-2.0, 0.0, 3.0]], [[-2.0, 0.0, 3.0]]]))
    outputs = ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, [[[0, 0, 3]], [[-0.5, 0, 3]]])
