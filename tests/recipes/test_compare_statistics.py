import numpy as np
import pytest
from scipy import stats

from recipes.common.comparing.statistics import Difference, compare, direction, holm
from recipes.common.comparing.summary import make_verdict

RELU = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97]


def test_difference_is_paired_by_seed():
    steps = np.array([1, 2, 3, 4, -1, 0, 2, 1]) / 100
    result = compare(np.add(RELU, steps).tolist(), RELU)
    assert result.mean == pytest.approx(0.015)
    assert result.n == 8
    assert result.win_fraction == (6 + 0.5) / 8  # one tie
    assert result.p_value == pytest.approx(stats.ttest_rel(np.add(RELU, steps), RELU).pvalue)
    low, high = result.ci95
    assert -0.01 <= low < 0.015 < high <= 0.04


def test_interval_is_that_of_the_mean_and_always_the_same():
    """Of many pairs it is the mean -+ 1.96 standard errors; the bootstrap knows no formula."""
    rng = np.random.default_rng(1)
    ours, baseline = rng.normal(0.9, 0.01, 400).tolist(), rng.normal(0.9, 0.01, 400).tolist()
    result = compare(ours, baseline)
    pairs = np.subtract(ours, baseline)
    error = pairs.std(ddof=1) / 20
    expected = [pairs.mean() - 1.96 * error, pairs.mean() + 1.96 * error]
    assert result.ci95 == pytest.approx(expected, abs=0.1 * error)
    assert compare(ours, baseline) == result


def test_one_seed_has_neither_interval_nor_p_value():
    assert compare([0.9], [0.8]) == Difference(pytest.approx(0.1), None, 1, 1.0, None)


def test_equal_differences_have_no_spread_to_judge_by():
    result = compare([0.5 + 1 / 360, 0.6 + 1 / 360], [0.5, 0.6])
    assert (result.ci95, result.p_value, result.win_fraction) == (None, None, 1.0)
    assert direction(result, None) == 0
    assert compare([0.5, 0.6], [0.5, 0.6]).win_fraction == 0.5


@pytest.mark.parametrize(("ours", "baseline"), [([], []), ([0.9], [0.9, 0.8])])
def test_differences_need_pairs(ours, baseline):
    with pytest.raises(ValueError, match="must hold one number a seed each"):
        compare(ours, baseline)


def test_holm_by_hand():
    # Sorted: 0.01 * 4, 0.02 * 3, then max(0.06, 0.03 * 2), then max(0.06, 0.04 * 1).
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_test_that_could_not_be_made_counts_among_the_arms():
    assert holm([0.02, None]) == [0.04, None]


def test_holm_keeps_the_family_wise_error():
    """Of 2,000 comparisons of 9 arms that do not differ, 5 % find one all the same."""
    rng = np.random.default_rng(0)
    n = 2000
    samples = rng.normal(size=(n, 9, 8)) - rng.normal(size=(n, 1, 8))  # one baseline for all
    p_values = stats.ttest_1samp(samples, 0, axis=-1).pvalue
    assert np.mean(p_values.min(axis=1) < 0.05) > 0.15
    found = np.mean([min(holm(row.tolist())) < 0.05 for row in p_values])
    assert found < 0.05 + 3 * (0.05 * 0.95 / n) ** 0.5


@pytest.mark.parametrize(
    ("ci95", "p_holm", "expected"),
    [
        ((0.01, 0.02), 0.01, 1),
        ((-0.02, -0.01), 0.01, -1),
        ((0.01, 0.02), 0.05, 0),
        ((-0.01, 0.02), 0.01, 0),
        (None, None, 0),
    ],
)
def test_interval_and_p_value_both_have_to_claim_it(ci95, p_holm, expected):
    assert direction(Difference(0.0, ci95, 8, 1.0, p_holm), p_holm) == expected


def net(title, *differences, n=8):
    arms = [{"title": "ReLU", "difference": None}]
    for name, mean, sign in differences:
        arms.append({"title": name, "difference": {"mean": mean, "direction": sign, "n": n}})
    return {"title": title, "arms": arms}


def test_verdict_names_only_what_is_beyond_doubt():
    nets = [
        net("shallow", ("A", 0.004, 0), ("B", 0.003, 1), ("C", 0.002, 1)),
        net("deep", ("A", -0.005, -1), ("B", 0.003, 0), ("C", 0.002, 0)),
    ]
    setting = "8 paired seeds, Holm's correction over the 3 comparisons with ReLU in a net"
    assert make_verdict(nets) == (
        "shallow: better than ReLU are B (+0.30) and C (+0.20); deep: worse than ReLU is A "
        "(-0.50); the other 3 of 6 comparisons: no difference that 8 seeds can show "
        f"({setting}; differences in points)."
    )
    assert make_verdict([net("deep", ("A", 0.1, 0))]).startswith(
        "No difference that 8 seeds can show in any net"
    )
    assert "the other" not in make_verdict([net("deep", ("A", 0.1, 1))])


def test_verdict_of_one_seed_or_one_arm_claims_nothing():
    assert "One seed has no interval" in make_verdict([net("deep", ("A", 0.1, 0), n=1)])
    assert "nothing to compare" in make_verdict([net("deep")])
