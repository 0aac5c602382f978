"""The statistics of a study against SciPy, statsmodels, numbers by hand, and simulations."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from keras_leaky.study.outcome import Difference, Metric
from keras_leaky.study.rows import RetrainingRow
from keras_leaky.study.statistics import compare, compare_arms, correct, summarize
from tests.study.made_up_outcomes import ACCURACY, MAE

SCORES = [0.971, 0.974, 0.969, 0.975, 0.970]
OTHERS = [0.970, 0.970, 0.968, 0.972, 0.971]


def test_summary_by_hand():
    found = summarize([1.0, 2.0, 3.0, 4.0, 5.0], is_fraction=False)
    half = 2.7764451 * np.sqrt(2.5 / 5)
    assert (found.mean, found.n) == (3.0, 5)
    assert found.std == pytest.approx(np.sqrt(2.5))
    assert found.ci95 == pytest.approx((3 - half, 3 + half))


def test_fractions_stay_fractions():
    scores = [0.999, 1.0, 0.98, 1.0, 0.97]
    assert summarize(scores, is_fraction=True).ci95[1] == 1.0
    assert summarize(scores, is_fraction=False).ci95[1] > 1.0
    assert summarize([0.0, 0.1, 0.0, 0.0, 0.0], is_fraction=True).ci95[0] == 0.0


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_seeds_have_no_interval(n):
    found = summarize(SCORES[:n], is_fraction=True)
    assert found.ci95 is None
    assert (found.std is None) == (n == 1)
    difference = compare(SCORES[:n], OTHERS[:n])
    assert difference.n == n
    assert (difference.ci95, difference.ci95_examples, difference.p_value) == (None, None, None)


def test_no_spread_has_no_interval():
    assert summarize([0.9] * 5, is_fraction=True).ci95 is None


def test_nothing_to_summarize():
    with pytest.raises(ValueError, match=r"`values` .* Received: values=\[\]"):
        summarize([], is_fraction=True)


def test_difference_is_that_of_statsmodels():
    found = compare(SCORES, OTHERS)
    expected = DescrStatsW(np.subtract(SCORES, OTHERS))
    assert found.mean == pytest.approx(expected.mean)
    assert found.ci95 == pytest.approx(expected.tconfint_mean())
    assert found.p_value == pytest.approx(expected.ttest_mean()[1])
    assert (found.n, found.win_fraction, found.ci95_examples) == (5, 0.8, None)
    assert (found.p_holm, found.direction) == (None, 0)


@pytest.mark.parametrize(("direction", "won"), [("max", 0.7), ("min", 0.3)])
def test_ties_count_half(direction, won):
    found = compare([1.0, 2.0, 3.0, 4.0, 5.0], [0.0, 1.0, 3.0, 3.0, 6.0], direction=direction)
    assert found.win_fraction == pytest.approx(won)


@pytest.mark.parametrize("lost", [None, float("nan"), float("inf")])
def test_pairs_without_a_value_are_left_out(lost):
    scores, others = [*SCORES, 0.5, lost], [*OTHERS, lost, 0.5]
    rng = np.random.default_rng(0)
    examples = [rng.random((7, 50)) < 0.9 for _ in range(2)]
    rows = [list(a) for a in examples]
    rows[0][6] = rows[1][5] = None
    expected = compare(SCORES, OTHERS, examples[0][:5], examples[1][:5])
    assert expected.ci95_examples is not None
    assert compare(scores, others, *rows) == expected


def test_equal_differences_of_float32_metrics_have_no_spread():
    n_right = np.array([9700, 9801, 9655, 9712, 9733])
    ours, baseline = np.float32((n_right + 20) / 10_000), np.float32(n_right / 10_000)
    assert np.ptp(ours - baseline) > 0  # the rounding of float32
    found = compare(ours.tolist(), baseline.tolist())
    assert (found.ci95, found.p_value, found.win_fraction) == (None, None, 1.0)
    assert correct({"a": found}, ACCURACY)["a"].direction == 0


def test_one_image_of_a_million_is_a_spread():
    ours = [0.900001, 0.9, 0.9, 0.9, 0.9]
    assert compare(ours, [0.8] * 5).ci95 is not None


def test_numbers_of_seeds_that_differ():
    with pytest.raises(ValueError, match="Received: 5 and 4 numbers"):
        compare(SCORES, OTHERS[:4])
    with pytest.raises(ValueError, match="at least one seed"):
        compare([None, 0.5], [0.5, None])


def test_examples_that_differ():
    a, b = np.ones((5, 10)), np.zeros((5, 10))
    with pytest.raises(ValueError, match=r"rows of \[9, 10\] examples"):
        compare(SCORES, OTHERS, a, b[:, :9])
    with pytest.raises(ValueError, match="Received: 5 and 4 rows"):
        compare(SCORES, OTHERS, a, b[:4])


def test_examples_without_values_have_no_interval():
    a, b = np.ones((5, 10)), np.zeros((5, 10))
    assert compare(SCORES, OTHERS, a, None).ci95_examples is None
    assert compare(SCORES, OTHERS, [*a[:4], None], b).ci95_examples is None
    assert compare(SCORES, OTHERS, a[:, :0], b[:, :0]).ci95_examples is None


@pytest.mark.parametrize("n_examples", [300, 3000])
def test_bootstrap_resamples_seeds_and_examples(n_examples):
    """Its width is that of the variance of a mean over two crossed samples."""
    rng = np.random.default_rng(3)
    n_seeds = 12
    differences = (
        rng.normal(0.02, 0.01, (n_seeds, 1))
        + rng.normal(0, 0.1, (1, n_examples))
        + rng.normal(0, 0.3, (n_seeds, n_examples))
    )
    scores = differences.mean(axis=1)
    zeros = np.zeros_like(differences)
    found = compare(scores, [0.0] * n_seeds, differences, zeros)
    # Owen, 2007: each of the two parts has the variance of its own means, noise counted in both.
    variance = scores.var() / n_seeds + differences.mean(axis=0).var() / n_examples
    variance += (differences - differences.mean(0) - scores[:, None] + scores.mean()).var() / (
        n_seeds * n_examples
    )
    low, high = found.ci95_examples
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.08)
    assert (high + low) / 2 == pytest.approx(found.mean, abs=0.1 * (high - low))
    assert compare(scores, [0.0] * n_seeds, differences, zeros) == found  # the same resamples


def make_difference(p_value, ci95=(0.1, 0.2), ci95_examples=None):
    return Difference(0.15, ci95, ci95_examples, 5, 1.0, p_value, None, 0)


def test_holm_by_hand():
    p_values = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    found = correct({name: make_difference(p) for name, p in p_values.items()}, ACCURACY)
    expected = {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    assert {name: d.p_holm for name, d in found.items()} == pytest.approx(expected)
    assert {name: d.direction for name, d in found.items()} == {"a": 1, "b": 0, "c": 0, "d": 1}


def test_an_arm_that_could_not_be_tested_counts():
    found = correct({"a": make_difference(0.02), "b": make_difference(None, None)}, ACCURACY)
    assert found["a"].p_holm == pytest.approx(0.04)
    assert (found["b"].p_holm, found["b"].direction) == (None, 0)


def test_no_arm_to_correct():
    assert correct({}, ACCURACY) == {}


@pytest.mark.parametrize(
    ("metric", "ci95", "ci95_examples", "direction"),
    [
        (ACCURACY, (0.1, 0.2), (0.05, 0.3), 1),
        (ACCURACY, (0.1, 0.2), (-0.05, 0.3), 0),
        (ACCURACY, (-0.2, -0.1), (-0.3, -0.05), -1),
        (ACCURACY, (-0.2, -0.1), (0.1, 0.2), 0),
        (MAE, (0.1, 0.2), None, -1),
        (MAE, (-0.2, -0.1), None, 1),
        (MAE, (-0.1, 0.2), None, 0),
    ],
)
def test_direction_needs_both_intervals(metric, ci95, ci95_examples, direction):
    difference = make_difference(0.001, ci95, ci95_examples)
    assert correct({"a": difference}, metric)["a"].direction == direction
    not_shown = dataclasses.replace(difference, p_value=0.06)
    assert correct({"a": not_shown}, metric)["a"].direction == 0


def test_arms_are_paired_by_seed():
    rng = np.random.default_rng(0)
    draws = rng.permutation([("a", 1), ("relu", 0)] * 7).tolist()
    rows, scores = [], {"a": {}, "relu": {}}
    for arm, _ in draws:
        seed = len(scores[arm])
        scores[arm][seed] = rng.normal(0.9, 0.01)
        examples = rng.random(40) < 0.9
        row = RetrainingRow(
            arm, "0", "final", seed, 0.5, scores[arm][seed], 3, 1.0, "", test_examples=examples
        )
        rows += [row, dataclasses.replace(row, stage="finalist", test_score=None)]
    lost = dataclasses.replace(rows[0], seed=99)  # a seed that the other arm does not have
    broken = dataclasses.replace(rows[0], arm="b", test_score=None)
    found = compare_arms([*rows, lost, broken], ["relu", "a", "b"], "relu", ACCURACY, True)
    assert list(found) == ["a"]
    expected = [scores["a"][seed] - scores["relu"][seed] for seed in range(7)]
    assert found["a"].mean == pytest.approx(np.mean(expected))
    assert (found["a"].n, found["a"].p_holm) == (7, found["a"].p_value)
    assert found["a"].ci95_examples is not None
    by_validation = compare_arms(rows, ["a"], "relu", ACCURACY, False)
    assert (by_validation["a"].mean, by_validation["a"].ci95_examples) == (0.0, None)
    assert compare_arms([], ["relu", "a"], "relu", ACCURACY, True) == {}


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(1000):
        shared = rng.normal(0, 0.01, 5)
        ours, baseline = 0.003 + shared + rng.normal(0, 0.002, (2, 5)) * [[1], [3]]
        low, high = compare(ours, baseline - 0.003).ci95
        covered.append(low <= 0.003 <= high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.021)  # three standard errors


@pytest.fixture
def no_garbage_collection(monkeypatch):
    """statsmodels collects garbage at each correction, which takes longer than all the rest."""
    monkeypatch.setattr("gc.collect", lambda *_: 0)


@pytest.mark.usefixtures("no_garbage_collection")
def test_no_difference_is_seldom_taken_for_one():
    """Four arms like the baseline: any claim at all in at most 5 % of studies."""
    rng = np.random.default_rng(1)
    metric = Metric("val_accuracy", "accuracy", "max", True)
    helps, claims, n_seeds, n_studies = 0, 0, 5, 400
    for _ in range(n_studies):
        baseline = rng.normal(0.97, 0.002, n_seeds)
        arms = {str(i): rng.normal(0.97, 0.002, n_seeds) for i in range(4)}
        found = correct({name: compare(arm, baseline) for name, arm in arms.items()}, metric)
        helps += any(d.direction > 0 for d in found.values())
        claims += any(d.direction for d in found.values())
    assert helps <= 0.05 * n_studies
    assert stats.binom.sf(claims - 1, n_studies, 0.05) > 1e-3


@pytest.mark.usefixtures("no_garbage_collection")
def test_a_difference_is_seen():
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(100):
        baseline = rng.normal(0.97, 0.002, 5)
        ours = baseline + 0.01 + rng.normal(0, 0.002, 5)
        seen += correct({"a": compare(ours, baseline)}, ACCURACY)["a"].direction == 1
    assert seen > 90
