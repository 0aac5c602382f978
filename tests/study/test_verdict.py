"""What the verdict says, which arm it recommends, and which points are as good as the best."""

import dataclasses

import numpy as np
import pytest

from keras_leaky.study.good_points import find_good_points
from keras_leaky.study.outcome import ArmOutcome, Best, Difference, Metric, Range, Summary
from keras_leaky.study.rows import RetrainingRow, TrialRow
from keras_leaky.study.verdict import recommend
from keras_leaky.study.wording import Words, format_number, list_names
from tests.study.made_up_outcomes import ACCURACY, LEAKY, MAE, RELU, MadeUpArm, make_outcome


def make_trial(i, score, rate=0.01, alpha=None, arm="relu", status="COMPLETED", epochs=5):
    return TrialRow(arm, str(i), status, alpha, rate, {}, 0, score, 5, epochs, 1.0, "")


def make_final(seed, score, arm="relu", reason=""):
    return RetrainingRow(arm, "0", "final", seed, score, score, 5, 1.0, reason)


def make_arm(name="relu", title="ReLU", alpha=None, mean=0.97, rectifier="relu", **changes):
    space = {"learning_rate": Range(1e-4, 1e-1, "log")}
    point = {"learning_rate": 0.004}
    if alpha:
        space["alpha"] = Range(*alpha, "log")
        point["alpha"] = 0.1
    summary = Summary(mean, 0.002, 5, (mean - 0.002, mean + 0.002))
    values = {
        "name": name, "title": title, "rectifier": rectifier, "is_baseline": name == "relu",
        "color": "#555555", "space": space, "best": Best("0", point, mean), "validation": summary,
        "test": summary, "dead_fraction": None, "inactive_fraction": None, "epoch_seconds": 0.1,
    }  # fmt: skip
    return ArmOutcome(**{**values, **changes})


def make_leaky(**changes):
    return make_arm(
        **{
            "name": "leaky_relu", "title": "Leaky ReLU", "alpha": (0.01, 0.3),
            "rectifier": "leaky_relu", **changes,
        }
    )  # fmt: skip


def make_difference(mean=0.008, ci95=(0.005, 0.011), direction=1, n=5, ci95_examples=None):
    return Difference(mean, ci95, ci95_examples, n, 1.0, 0.001, 0.001, direction)


def say(arms, differences, trials=(), retrainings=None, metric=ACCURACY, has_test=True, **kwargs):
    if retrainings is None:
        retrainings = [make_final(i, 0.97, arm.name) for arm in arms for i in range(5)]
    arms = {arm.name: arm for arm in arms}
    return recommend(arms, differences, trials, retrainings, metric, has_test, **kwargs)


def test_nothing_is_recommended_where_nothing_was_learned():
    arms = [make_arm(mean=0.105), make_leaky(mean=0.11)]
    differences = {"leaky_relu": make_difference()}
    said, name = say(arms, differences, chance=0.10)
    assert name == "leaky_relu"
    assert said.startswith("No arm has learned anything: the best has 11.0 % on validation data")
    assert "most common class has 10.0 %" in said
    assert "Use " not in said
    assert say(arms, differences, chance=0.05)[0].startswith("Use ")


def test_an_arm_that_helps():
    said = say([make_arm(), make_leaky()], {"leaky_relu": make_difference()})
    assert said == (
        "Use Leaky ReLU with a negative slope near 0.1 and a learning rate near 0.004: +0.8 points "
        "of test accuracy (95 % interval 0.5 to 1.1, n = 5).",
        "leaky_relu",
    )


def test_an_arm_that_changes_nothing():
    """As the issue asks for it, with the range of points that are as good as the best."""
    rates = np.geomspace(1e-4, 1e-1, 25)
    trials = [
        make_trial(i, 0.97 if 0.006 <= rate <= 0.015 else 0.9, rate) for i, rate in enumerate(rates)
    ]
    chosen = next(row for row in trials if row.score == 0.97)
    relu = make_arm(best=Best(chosen.trial_id, {"learning_rate": chosen.learning_rate}, 0.97))
    retrainings = [make_final(i, 0.968 + 0.001 * (i % 3)) for i in range(5)]
    none = make_difference(0.0001, (-0.0006, 0.0008), 0)
    verdict, recommended = say([relu, make_leaky()], {"leaky_relu": none}, trials, retrainings)
    good = [rate for rate in rates if 0.006 <= rate <= 0.015]
    assert len(good) == 3
    assert verdict.startswith(
        f"Keep ReLU with a learning rate of {good[0]:.2g} to {good[-1]:.2g}. Leaky ReLU (negative "
        "slope 0.01 to 0.3) changes nothing that 5 seeds can show: gains above 0.08 points are "
        "ruled out."
    )
    assert recommended == "relu"


def test_the_wider_interval_says_what_is_ruled_out():
    none = make_difference(0.0001, (-0.0006, 0.0008), 0, ci95_examples=(-0.002, 0.00231))
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": none})
    assert "gains above 0.24 points are ruled out" in verdict  # rounded up


def test_all_gains_are_ruled_out():
    lower = make_difference(-0.002, (-0.004, -0.0001), 0)
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": lower})
    assert "can show: gains are ruled out." in verdict


def test_an_arm_that_hurts():
    worse = make_difference(-0.008, (-0.011, -0.005), -1)
    verdict, recommended = say([make_arm(), make_leaky()], {"leaky_relu": worse})
    assert verdict == (
        "Keep ReLU with a learning rate near 0.004. Leaky ReLU (negative slope 0.01 to 0.3) hurts: "
        "-0.8 points of test accuracy (95 % interval -1.1 to -0.5, n = 5)."
    )
    assert recommended == "relu"


def test_the_best_that_helps_on_validation_data_is_recommended():
    """Not the largest difference: that is on test data."""
    arms = [make_arm(), make_leaky(mean=0.975), make_arm("elu", "ELU", None, 0.976, "elu")]
    differences = {
        "leaky_relu": make_difference(0.02, (0.01, 0.03)),
        "elu": make_difference(),
    }
    verdict, recommended = say(arms, differences)
    assert recommended == "elu"
    assert verdict.startswith("Use ELU with a learning rate near 0.004: +0.8 points")
    assert "Leaky ReLU helps too." in verdict
    arms = [make_arm(mean=2.6), make_leaky(mean=2.4), make_arm("elu", "ELU", None, 2.5, "elu")]
    differences = dict.fromkeys(differences, make_difference(-0.12, (-0.16, -0.08)))
    assert say(arms, differences, metric=MAE)[1] == "leaky_relu"  # the lowest error


def test_an_arm_that_scores_higher_but_is_not_shown_to_help_is_not_recommended():
    none = make_difference(0.01, (-0.001, 0.02), 0)
    assert say([make_arm(), make_leaky(mean=0.99)], {"leaky_relu": none})[1] == "relu"


def test_many_arms():
    arms = [make_arm()]
    differences = {}
    for i in range(9):
        arms.append(make_arm(f"arm_{i}", f"Arm {i}", None, 0.97, None))
        differences[f"arm_{i}"] = make_difference(0.0, (-0.001, 0.001 + 0.0001 * i), 0)
    for i in (0, 1):
        differences[f"arm_{i}"] = make_difference(-0.02 - i, (-0.03 - i, -0.01 - i), -1)
    verdict, _ = say(arms, differences)
    assert verdict == (
        "Keep ReLU with a learning rate near 0.004. Arm 1 and Arm 0 hurt. The other 7 arms show no "
        "difference: gains above 0.18 points are ruled out."
    )


def test_a_metric_of_which_less_is_better():
    metric = Metric("val_mae", "mae", "min", False)
    better = make_difference(-0.12, (-0.16, -0.08), 1)
    verdict, recommended = say(
        [make_arm(mean=2.6), make_leaky(mean=2.5)], {"leaky_relu": better}, metric=metric
    )
    assert recommended == "leaky_relu"
    assert verdict.endswith("-0.12 in test MAE (95 % interval -0.16 to -0.08, n = 5).")
    assert "point" not in verdict
    none = make_difference(-0.002, (-0.0118, 0.1), 0)
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": none}, metric=metric)
    assert "drops of the test MAE by more than 0.012 are ruled out" in verdict


def test_an_interval_that_excludes_0_is_not_rounded_to_it():
    difference = make_difference(-23.0, (-45.2, -0.03), 1)
    assert Words(MAE, True).change(difference).endswith("(95 % interval -45.20 to -0.03, n = 5)")
    difference = make_difference(0.0101, (0.0002, 0.02), 1)
    assert "0.02 to 2.00" in Words(ACCURACY, True).change(difference)


def test_a_small_difference_beside_a_wide_interval_keeps_its_sign():
    difference = make_difference(-0.04, (-0.27, 0.19), 0)
    text = Words(MAE, True).change(difference)
    assert text.startswith("-0.04 ")
    assert "(95 % interval -0.27 to 0.19, n = 5)" in text


def test_few_seeds_claim_nothing():
    few = make_difference(0.4, None, 0, n=3)
    retrainings = [make_final(i, 0.97, arm) for arm in ("relu", "leaky_relu") for i in range(3)]
    verdict, recommended = say([make_arm(), make_leaky()], {"leaky_relu": few}, (), retrainings)
    assert verdict == (
        "Keep ReLU for now with a learning rate near 0.004. 3 seeds are too few for an interval: "
        "rerun with seeds=5 or more."
    )
    assert recommended == "relu"


def test_no_spread():
    flat = dataclasses.replace(make_difference(0.01, None, 0), p_value=None, p_holm=None)
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": flat})
    assert "Leaky ReLU: all seeds give the same difference" in verdict


def test_no_test_data():
    arguments = [make_arm(), make_leaky()], {"leaky_relu": make_difference()}
    verdict, _ = say(*arguments, has_test=False)
    assert "points of validation accuracy" in verdict
    assert "There are no test data: this rests on the validation data that also chose" in verdict
    assert "no test data" not in say(*arguments)[0]


def test_an_arm_that_diverges_more_often_is_not_recommended():
    retrainings = [make_final(i, 0.97, arm) for arm in ("relu", "leaky_relu") for i in range(6)]
    retrainings[-1] = make_final(5, None, "leaky_relu", "training loss became nan")
    helps = make_difference(n=5)
    verdict, recommended = say([make_arm(), make_leaky()], {"leaky_relu": helps}, (), retrainings)
    assert recommended == "relu"
    assert "Leaky ReLU is better where it trains, but more of its retrainings diverged" in verdict
    assert "1 of 6 retrainings of Leaky ReLU diverged without a score and are left out." in verdict


def test_finalists_that_diverge_do_not_count():
    retrainings = [make_final(i, 0.97, arm) for arm in ("relu", "leaky_relu") for i in range(5)]
    lost = make_final(9, None, "leaky_relu", "training loss became nan")
    retrainings.append(dataclasses.replace(lost, stage="finalist"))
    differences = {"leaky_relu": make_difference()}
    verdict, recommended = say([make_arm(), make_leaky()], differences, (), retrainings)
    assert recommended == "leaky_relu"
    assert "diverged" not in verdict


def test_seeds_lost_by_the_baseline():
    retrainings = [make_final(i, 0.97 if i else None) for i in range(5)]
    few = make_difference(0.01, None, 0, n=4)
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": few}, (), retrainings)
    assert "Only 4 of 5 seeds have a result in both arms" in verdict
    assert "1 of 5 retrainings of ReLU diverged without a score and are left out, too" in verdict
    assert "seeds=5" not in verdict


@pytest.mark.parametrize(
    ("arms", "expected", "recommended"),
    [
        ([make_arm()], "ReLU works best with a learning rate near 0.004. It was searched alone,",
         "relu"),
        ([make_arm(), make_leaky(best=None, validation=None, failure="every trial diverged")],
         "No other arm has a result to compare it with. Leaky ReLU has no result: every trial "
         "diverged.", "relu"),
        ([make_arm(best=None, validation=None, failure="it broke"), make_leaky()],
         "ReLU has no result to compare with. Leaky ReLU scores best with a negative slope near "
         "0.1 and a learning rate near 0.004. ReLU has no result: it broke.", "leaky_relu"),
        ([make_arm(best=None, validation=None, failure="it broke")],
         "No arm has a result. ReLU has no result: it broke.", None),
        ([make_arm(best=None, validation=None)], "No arm has a result yet.", None),
    ],
)  # fmt: skip
def test_without_a_comparison(arms, expected, recommended):
    said = say(arms, {})
    assert expected in said[0]
    assert said[1] == recommended


def test_an_unfinished_study_says_so():
    few = make_difference(0.01, None, 0, n=2)
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": few}, is_finished=False)
    assert "The study is not finished: run it again to resume it." in verdict
    assert "too few" not in verdict


def test_budgets_that_differ():
    trials = [make_trial(i, 0.9) for i in range(3)]
    trials += [make_trial(i, 0.9, arm="leaky_relu", alpha=0.1) for i in range(1200)]
    none = make_difference(0.0, (-0.001, 0.001), 0)
    verdict, _ = say([make_arm(), make_leaky()], {"leaky_relu": none}, trials)
    assert "Budgets differ: 3 trials for ReLU, 1,200 for Leaky ReLU." in verdict
    assert "Budgets" not in say([make_arm(), make_leaky()], {"leaky_relu": none}, trials[:0])[0]


def test_a_study_in_which_an_arm_helps_much():
    helps = make_outcome(arms=(RELU, MadeUpArm("leaky_relu", effect=0.01)), n_examples=20_000)
    assert helps.recommended == "leaky_relu"
    assert helps.verdict.startswith("Use Leaky ReLU with a negative slope of ")
    assert make_outcome(arms=(RELU, LEAKY), metric=MAE).recommended == "relu"


@pytest.mark.parametrize("sign", [1, -1])
def test_threshold_is_a_prediction_interval(sign):
    metric = ACCURACY if sign == 1 else MAE
    scores = [0.90, 0.91, 0.92, 0.93, 0.94]
    retrainings = [make_final(i, sign * score) for i, score in enumerate(scores)]
    found = find_good_points(make_arm(), [make_trial(0, sign * 0.95)], retrainings, metric)
    # Student's 80 % quantile with 4 degrees of freedom; std 0.0158, one more of 5.
    assert found.threshold == pytest.approx(sign * (0.92 - 0.940965 * 0.0158114 * np.sqrt(1.2)))
    assert found.trial_ids == {"0"}


def test_a_point_as_good_as_the_best_is_found_four_times_of_five():
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(500):
        retrainings = [make_final(i, score) for i, score in enumerate(rng.normal(0.9, 0.01, 5))]
        trials = [make_trial(0, 1.0), make_trial(1, rng.normal(0.9, 0.01), 0.02)]
        kept += "1" in find_good_points(make_arm(), trials, retrainings, ACCURACY).trial_ids
    assert kept / 500 == pytest.approx(0.8, abs=0.055)


def test_noise_of_few_retrainings_is_pooled():
    few = [make_final(i, 0.9 + 0.01 * i, arm) for arm in ("relu", "a", "b", "c") for i in (0, 1)]
    trials = [make_trial(0, 0.9)]
    found = find_good_points(make_arm(), trials, few, ACCURACY)
    pooled = 0.01 / np.sqrt(2)
    assert found.threshold == pytest.approx(0.905 - 0.940965 * pooled * np.sqrt(1.5))
    assert find_good_points(make_arm(), trials, few[:6], ACCURACY) is None


def test_retrainings_that_ended_early_are_no_noise():
    good = [make_final(i, 0.9 + 0.001 * i) for i in range(5)]
    broken = make_final(5, 0.1, reason="training loss became nan in epoch 3")
    trials = [make_trial(0, 0.9)]
    expected = find_good_points(make_arm(), trials, good, ACCURACY)
    assert find_good_points(make_arm(), trials, [*good, broken], ACCURACY) == expected


def test_a_stopped_trial_is_not_known_to_be_good():
    """Its score is that of a shorter training."""
    retrainings = [make_final(i, 0.9 + 0.001 * i) for i in range(5)]
    trials = [make_trial(0, 0.95), make_trial(1, 0.95, 0.02, status="STOPPED")]
    assert find_good_points(make_arm(), trials, retrainings, ACCURACY).trial_ids == {"0"}


def find_range(scores_and_points, chosen, alpha=None):
    """The box around trials with score 1 (good) and 0."""
    trials = [
        make_trial(i, score, rate, slope)
        for i, (score, rate, slope) in enumerate(scores_and_points)
    ]
    arm = make_arm(alpha=alpha, best=Best(str(chosen), {}, 1.0))
    retrainings = [make_final(i, 1.0) for i in range(5)]
    return find_good_points(arm, trials, retrainings, ACCURACY)


def test_a_lucky_trial_far_away_is_not_in_the_range():
    rates = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    scores = [1, 0, 0, 0, 0, 1, 1, 1, 0, 0]
    found = find_range([(s, r, None) for s, r in zip(scores, rates, strict=True)], chosen=6)
    assert (found.learning_rate, found.alpha) == ((6, 8), None)


def test_range_may_hold_an_unlucky_trial():
    rates = [1, 2, 3, 4, 5, 6]
    scores = [0, 1, 1, 0, 1, 1]
    found = find_range([(s, r, None) for s, r in zip(scores, rates, strict=True)], chosen=1)
    assert found.learning_rate == (2, 6)


def test_range_of_two_hyperparameters_is_a_box():
    points = [(a, r) for a in (0.01, 0.02, 0.05, 0.1, 0.3) for r in (1, 2, 3, 4, 5)]
    trials = [(float(a >= 0.05 and 2 <= r <= 4), r, a) for a, r in points]
    found = find_range(trials, chosen=points.index((0.1, 3)), alpha=(0.01, 0.3))
    assert found.alpha == (0.05, 0.3)
    assert found.learning_rate == (2, 4)


def test_a_point_that_is_alone_has_no_range():
    found = find_range([(0, 1, None), (1, 2, None), (0, 3, None)], chosen=1)
    assert (found.learning_rate, found.trial_ids) == (None, {"1"})


def test_a_chosen_trial_below_the_threshold_stays_in_the_box():
    trials = [(1, 1, None), (0, 2, None), (0, 3, None), (1, 4, None)]
    assert find_range(trials, chosen=1).learning_rate is None
    assert find_range([*trials, (1, 5, None)], chosen=1).learning_rate == (1, 5)


def test_without_noise_an_equal_score_is_as_good():
    assert np.mean([0.92] * 5) > 0.92  # the rounding of a sum
    retrainings = [make_final(i, 0.92) for i in range(5)]
    below = float(np.nextafter(np.float32(0.92), np.float32(0)))  # the rounding of a metric
    trials = [make_trial(0, 0.92), make_trial(1, 0.9199, 0.02), make_trial(2, below, 0.03)]
    assert find_good_points(make_arm(), trials, retrainings, ACCURACY).trial_ids == {"0", "2"}


def test_the_longest_training_of_a_point_counts():
    """Hyperband trains a point for a few epochs first."""
    rungs = [make_trial(0, 0.0, 2.0, epochs=1), make_trial(1, 1.0, 2.0), make_trial(2, 1.0, 3.0)]
    arm = make_arm(best=Best("1", {}, 1.0))
    retrainings = [make_final(i, 1.0) for i in range(5)]
    found = find_good_points(arm, rungs, retrainings, ACCURACY)
    assert found.learning_rate == (2.0, 3.0)
    assert found.trial_ids == {"1", "2"}
    again = make_trial(3, 1.0, 2.0, epochs=9)  # of the chosen point
    found = find_good_points(arm, [*rungs, again], retrainings, ACCURACY)
    assert found.learning_rate == (2.0, 3.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.004, "0.004"), (0.0123, "0.012"), (123.4, "120"), (1e-5, "0.00001"), (0.1, "0.1"),
     (3e-8, "3e-08"), (0.0, "0"), (1234567, "1.2e+06")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert format_number(value) == text


def test_lists_are_short():
    assert list_names(["a"]) == "a"
    assert list_names(["a", "b"]) == "a and b"
    assert list_names(["a", "b", "c", "d"]) == "a, b, c and d"
    assert list_names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


@pytest.mark.parametrize("bound", [0.00081, 0.0999, 1.0001e-5, 0.5, 0.00999])
def test_what_is_ruled_out_is_never_rounded_down(bound):
    text = Words(ACCURACY, True).ruled_out([make_difference(0.0, (-1.0, bound), 0)])
    shown = float(text.split()[2])
    assert 100 * bound <= shown * (1 + 1e-6) <= 110 * bound
