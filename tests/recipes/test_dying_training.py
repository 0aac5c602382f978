"""Units that die while nets learn: states, revival, and the remedies side by side."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from recipes import datasets
from recipes.dying_relu.answers import answer_training_death
from recipes.dying_relu.dead_units import (
    BASELINE,
    LAYERS,
    TrainingDeath,
    cell_rows,
    comparison_rows,
    death_rows,
    revival_rows,
)
from recipes.dying_relu.draws import draw_rectifier
from recipes.dying_relu.ensemble import EnsembleLeakyReLU, build_ensemble
from recipes.dying_relu.training_death import Cell, History, _Watch, train_ensemble


@pytest.fixture(scope="module")
def data():
    return datasets.split(datasets.load("mnist", "synthetic"), 320)


def make_history(active, accuracy=0.9, finite=True, alphas=(0.0,), rates=None, n_seeds=10):
    """A history of nets with 300 units; `active` is of shape (epochs + 1, nets, 300)."""
    shape = active.shape[:2]
    rates = rates or [0.1] * len(alphas)
    return History(
        0.0,
        [
            Cell(rate, alpha, i % n_seeds)
            for i, (rate, alpha) in enumerate(zip(rates, alphas, strict=True))
        ],
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
    assert rows[1].accuracy_difference == pytest.approx(0.1)
    assert rows[1].difference_ci95_low is None, "one seed has no interval"


def part_of(histories):
    nets = [row for history in histories for row in death_rows(history)]
    return TrainingDeath(nets, revival_rows(histories, seed=0), "784-10", 1000, 100, 100)


@pytest.mark.parametrize("n_seeds", [4, 5])
def test_differences_are_paired_by_seed(n_seeds):
    active = np.ones((2, 2 * n_seeds, 300), bool)
    active[1, :n_seeds, :30] = False
    base = np.array([0.80, 0.85, 0.90, 0.70, 0.60])[:n_seeds]
    gain = np.array([0.01, 0.02, 0.03, 0.02, 0.02])[:n_seeds]
    accuracy = np.tile(np.concatenate([base, base + gain]), (2, 1))
    cells = [Cell(rate, 0.0, seed) for rate in (0.5, 0.1) for seed in range(n_seeds)]
    part = part_of([History(0.0, cells, active, accuracy, accuracy >= 0, 100)])
    baseline, smaller = part.comparison
    assert baseline.accuracy_difference is None
    assert smaller.accuracy_difference == pytest.approx(0.02)
    sentences = answer_training_death(part)
    if n_seeds < 5:
        assert smaller.difference_ci95_low is smaller.difference_ci95_high is None
        (only,) = sentences
        assert only.startswith("Too few nets for an answer: n = 4 at each setting")
        return
    half_width = 2.776445 * gain.std(ddof=1) / 5**0.5
    assert smaller.difference_ci95_low == pytest.approx(0.02 - half_width, abs=1e-6)
    assert smaller.difference_ci95_high == pytest.approx(0.02 + half_width, abs=1e-6)
    assert sentences[0].startswith("10.0 % of the hidden units of ReLU nets are dead")
    assert "0.0 % of the units are dead, and the accuracy is 79.0 %: +2.0 points" in sentences[1]
    assert "(95 % interval +1.1 to +2.9, n = 5 pairs)" in sentences[1]


def test_remedy_under_which_most_nets_diverge_is_not_judged():
    active = np.ones((2, 10, 300), bool)
    active[1, :5, :30] = False
    finite = np.ones((2, 10), bool)
    finite[1, 6:] = False
    cells = [Cell(0.5, alpha, seed) for alpha in (0.0, 0.1) for seed in range(5)]
    accuracy = np.full((2, 10), 0.9)
    _, leak, _ = answer_training_death(part_of([History(0.0, cells, active, accuracy, finite, 9)]))
    assert leak.startswith("A leak of 0.1 instead: 4 of 5 nets diverge.")
    assert leak.endswith("With n = 1 that is too few nets to compare.")


def test_no_comparison_without_dead_units():
    alphas = (0.0,) * 5 + (0.1,) * 5
    part = part_of([make_history(np.ones((2, 10, 300), bool), alphas=alphas, n_seeds=5)])
    assert part.comparison == []
    assert "lose no units" in answer_training_death(part)[0]


def test_answer_says_where_the_smallest_rate_is_not_the_safest_and_who_comes_back():
    active = np.ones((3, 15, 300), bool)
    active[1:, :5, :9] = False  # rate 0.01
    active[1:, 10:, :30] = False  # rate 0.5, of which 10 come back
    active[2, 10:, :10] = True
    rates = [0.01] * 5 + [0.1] * 5 + [0.5] * 5
    part = part_of([make_history(active, alphas=(0.0,) * 15, rates=rates, n_seeds=5)])
    first, remedy, too_small, revival = answer_training_death(part)
    assert first.startswith("6.7 % of the hidden units of ReLU nets are dead after training at")
    assert "at learning rate 0.5 with momentum 0." in first
    assert remedy.startswith("A learning rate of 0.1 instead: 0.0 % of the units are dead, and")
    assert "3.0 % of the units are dead at 0.01, and 0.0 % at 0.1" in too_small
    assert "25.6 %" in revival, "10 of 39"
    assert "n = 195 units of 15 nets" in revival


def test_every_net_has_its_own_slope():
    layer = EnsembleLeakyReLU(np.array([0.0, 0.25]))
    inputs = keras.Variable(np.array([[[-2.0, 0.0, 3.0]], [[-2.0, 0.0, 3.0]]]))
    outputs = ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(outputs, [[[0, 0, 3]], [[-0.5, 0, 3]]])
