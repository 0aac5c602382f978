import numpy as np
import pytest
from scipy import stats

from recipes.common.statistics import paired_difference, summarize, verdict


def test_summary_is_students_interval():
    values = [0.98, 0.97, 0.985, 0.99, 0.975]
    result = summarize(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert result.ci95 == pytest.approx((expected.low, expected.high))
    assert result.std == pytest.approx(np.std(values, ddof=1))
    assert result.n == 5


def test_difference_is_paired():
    baseline = [0.90, 0.95, 0.80, 0.85]
    ours = [value + 0.01 for value in baseline]
    result = paired_difference(ours, baseline)
    assert result.mean == pytest.approx(0.01)
    assert result.std == pytest.approx(0, abs=1e-12)  # unpaired, the spread would be 0.06


def test_difference_needs_pairs():
    with pytest.raises(ValueError, match="shorter"):
        paired_difference([0.9, 0.8], [0.9])


def test_one_value_has_no_interval():
    result = summarize([0.5])
    assert (result.mean, result.std, result.n, result.ci95) == (0.5, None, 1, None)


def test_nothing_to_summarize_is_refused():
    with pytest.raises(ValueError, match="at least one number"):
        summarize([])


@pytest.mark.parametrize(
    ("ours", "word"),
    [([0.95, 0.96, 0.955], "helps"), ([0.85, 0.86, 0.855], "hurts"), ([0.91, 0.89, 0.905], None)],
)
def test_verdict_follows_the_interval(ours, word):
    baseline = [0.90, 0.90, 0.90]
    text = verdict(
        "leaky_relu", summarize(ours), summarize(baseline), paired_difference(ours, baseline)
    )
    assert [w for w in ("helps", "hurts") if w in text] == ([word] if word else [])
    assert ("No difference that 3 seeds can show" in text) == (word is None)


def test_verdict_of_equal_differences_claims_nothing():
    ours, baseline = [0.5 + 1 / 360, 0.6 + 1 / 360], [0.5, 0.6]
    text = verdict("elu", summarize(ours), summarize(baseline), paired_difference(ours, baseline))
    assert "no spread to judge it by" in text
    assert "helps" not in text


def test_verdict_of_one_seed_claims_nothing():
    text = verdict("elu", summarize([1.0]), summarize([0.1]), paired_difference([1.0], [0.1]))
    assert "one seed has no interval" in text
    assert "helps" not in text
