"""The search of an arm, and the traps of KerasTuner that it has to get round."""

import dataclasses
import sys

import keras_tuner
import numpy as np
import pytest

from keras_leaky.tuning import BayesianOptimizationOracle
from recipes.common.errors import RunError
from recipes.common.oracles import make_oracle, n_trials_and_epochs
from recipes.common.run_folder import RunFolder, TrialRow
from recipes.common.search import best_trial
from recipes.common.seeds import RETRAIN_STREAM, derive_seed
from recipes.common.space import Axis, arms
from tests.recipes.arm_searches import CONFIG, make_options, results, run_arm, search, smooth


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
def test_every_tuner_searches_for_real(tuner, data, tmp_path):
    n = None if tuner == "hyperband" else 4
    options = make_options(tuner=tuner, trials=n, epochs=3 if tuner == "hyperband" else 1)
    # Without test images: a search that looked at them would not get far.
    unseen = dataclasses.replace(data, x_test=None, y_test=None)
    run = run_arm(options, unseen, tmp_path / "run")
    n_trials, n_epochs = n_trials_and_epochs(arms(options)[0], options.epochs or 0)
    assert len(run.trials) == n_trials == (4 if n else 6)
    assert len(run.epochs) == n_epochs
    assert {row.status for row in run.trials} == {"COMPLETED"}
    assert all(1e-3 <= (row.alpha or 0) <= 0.5 for row in run.trials)
    assert all(1e-4 <= row.learning_rate <= 0.1 for row in run.trials)
    assert (run.search / "leaky_relu" / "oracle.json").exists()


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
def test_resume_equals_an_undisturbed_search(tuner, data, tmp_path, fake_training):
    """Also for Bayesian search, whose random state KerasTuner does not save."""
    calls = fake_training(smooth)
    hyperband = tuner == "hyperband"
    options = make_options(tuner=tuner, trials=None if hyperband else 9, epochs=9)
    whole = run_arm(options, data, tmp_path / "whole")
    n_calls = len(calls)
    for kept in (1, 8):
        path = tmp_path / f"kept-{kept}"
        run = RunFolder.create(path, CONFIG, overwrite=False)
        for row in whole.trials[:kept]:
            run.add_trial(row, [], {})
        run.write_tables()
        assert results(run_arm(options, data, path)) == results(whole)
        n_calls += len(whole.trials) - kept
        assert len(calls) == n_calls, "a finished trial was trained again"


def test_seed_0_is_a_seed(data, tmp_path, fake_training):
    fake_training(smooth)
    runs = [
        results(run_arm(make_options(seed=seed), data, tmp_path / name))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert all(derive_seed(seed, stream) > 0 for seed in range(50) for stream in range(3))


def test_all_trials_share_the_seed_that_no_retraining_uses(data, tmp_path, fake_training):
    calls = fake_training(smooth)
    run_arm(make_options(trials=5), data, tmp_path / "run")
    assert len({seed for _, seed, _ in calls}) == 1
    retraining_seeds = {derive_seed(0, RETRAIN_STREAM, i) for i in range(1000)}
    assert len(retraining_seeds) == 1000
    assert calls[0][1] not in retraining_seeds


def test_failures_in_a_row_do_not_end_the_search(data, tmp_path, fake_training):
    fake_training(lambda alpha, rate, seed: None if rate < 3e-3 else 0.5 + alpha / 10)
    run = run_arm(make_options(trials=12, seed=0), data, tmp_path / "run")
    statuses = [row.status for row in run.trials]
    assert len(statuses) == 12
    assert "FAILED FAILED FAILED FAILED" in " ".join(statuses)
    for row in run.trials:
        if row.status == "FAILED":
            assert (row.score, row.best_epoch) == (None, None)
            assert row.reason == "training loss became nan in epoch 1"
    assert best_trial(run, "leaky_relu").status == "COMPLETED"


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
def test_failed_trials_do_not_shrink_the_budget(tuner, data, tmp_path, fake_training):
    """Also of Hyperband, where KerasTuner gives a failed trial's promotion to nobody."""
    calls = fake_training(
        lambda alpha, rate, seed: None if rate > 5e-3 else smooth(alpha, rate, seed)
    )
    options = make_options(tuner=tuner, trials=None if tuner == "hyperband" else 9, epochs=9)
    for index, arm in enumerate(arms(options)):
        run = run_arm(options, data, tmp_path / "run", index)
        rows = [row for row in run.trials if row.arm == arm.activation]
        assert len(rows) == n_trials_and_epochs(arm, 9)[0]
        assert "FAILED" in {row.status for row in rows}
        assert best_trial(run, arm.activation).learning_rate <= 5e-3
    if tuner == "hyperband":
        longest = [point for point, _, n_epochs in calls if n_epochs == 9]
        assert len(longest) == 2 * 6, "six of each arm get all epochs"


def test_every_trial_failing_is_one_sentence(data, tmp_path, fake_training):
    fake_training(lambda *_: None)
    with pytest.raises(RunError, match="All 5 trials of leaky_relu failed; the first: training"):
        run_arm(make_options(trials=5), data, tmp_path / "run")


def test_failed_trial_is_never_best(tmp_path):
    run = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    rows = [
        TrialRow("relu", "0", "FAILED", None, 0.1, 1, None, None, 1.0, "nan"),
        TrialRow("relu", "1", "COMPLETED", None, 0.01, 1, 0.1, 1, 1.0, ""),
        TrialRow("relu", "2", "COMPLETED", None, 0.02, 1, 0.1, 1, 1.0, ""),
        TrialRow("elu", "0", "COMPLETED", 1.0, 0.02, 1, 0.9, 1, 1.0, ""),
    ]
    for row in rows:
        run.add_trial(row, [], {})
    run.write_tables()
    assert best_trial(run, "relu") == rows[1]


def test_a_bug_keeps_its_traceback(data, tmp_path, fake_training):
    """KerasTuner would turn it into failed trials."""

    def broken(*_):
        raise ZeroDivisionError("a bug")

    fake_training(broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_arm(make_options(), data, tmp_path / "run")


def test_search_does_not_need_tensorboard(data, tmp_path, monkeypatch):
    """KerasTuner's own run_trial imports it, and without it every trial fails."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    run = run_arm(make_options(trials=1), data, tmp_path / "run")
    assert run.trials[0].status == "COMPLETED"


def test_score_is_the_best_epoch_of_the_mean_over_executions(data, tmp_path):
    options = make_options(executions=2, epochs=3, trials=1, learning_rate_range=(0.01, 0.02))
    run = run_arm(options, data, tmp_path / "run")
    (row,) = run.trials
    seeds = list(dict.fromkeys(epoch.seed for epoch in run.epochs))
    assert len(seeds) == 2
    assert row.seed == seeds[0]
    curves = [[e.val_accuracy for e in run.epochs if e.seed == seed] for seed in seeds]
    mean = np.mean(curves, axis=0)
    assert row.score == mean.max()
    assert row.best_epoch == int(np.argmax(mean)) + 1


def test_grid_has_both_ends_and_every_combination(data, tmp_path, fake_training):
    fake_training(smooth)
    options = make_options(tuner="grid", trials=11)
    run = run_arm(options, data, tmp_path / "run")
    run = run_arm(options, data, tmp_path / "run", index=1)
    leaky = [row for row in run.trials if row.arm == "leaky_relu"]
    assert len({(row.alpha, row.learning_rate) for row in leaky}) == len(leaky) == 9
    assert {row.alpha for row in leaky} == set(Axis(1e-3, 0.5, log=True).grid(3))
    relu = [row.learning_rate for row in run.trials if row.arm == "relu"]
    assert sorted(relu) == pytest.approx(np.geomspace(1e-4, 0.1, 9))
    assert len(relu) == 9, "ReLU has the same budget"


def test_promoted_hyperband_trial_starts_again(data, tmp_path, fake_training):
    calls = fake_training(smooth)
    options = make_options(tuner="hyperband", trials=None, epochs=9)
    run = run_arm(options, data, tmp_path / "run")
    assert (len(calls), sum(n for _, _, n in calls)) == n_trials_and_epochs(arms(options)[0], 9)
    assert {n for _, _, n in calls} == {1, 3, 9}
    points = [point for point, _, n in calls if n == 9]
    assert any(
        points.count(point) == 1 and (point in [p for p, _, n in calls if n == 3])
        for point in points
    )
    assert len(run.trials) == len(calls)


def test_spread_trials_cover_the_range_and_are_the_same_for_every_arm(
    data, tmp_path, fake_training
):
    fake_training(smooth)
    points = {}
    for n in (6, 12):
        for i, arm in enumerate(arms(make_options(trials=n))):
            arm = dataclasses.replace(arm, tuner="spread")
            path = tmp_path / f"{n}-{i}"
            run = RunFolder.create(path, CONFIG, overwrite=False)
            search(arm, make_options(), data, run)
            points[n, i] = [(row.alpha, row.learning_rate) for row in run.trials]
    rates = [learning_rate for _, learning_rate in points[6, 0]]
    assert [learning_rate for _, learning_rate in points[6, 1]] == rates
    assert points[12, 0][:6] == points[6, 0], "more trials leave the first as they are"
    # Six parts of three decades; independent draws would fill them all in 1.5 % of cases.
    assert np.diff(np.log10([1e-4, *sorted(rates), 0.1])).max() < 2 * 3 / 6
    for n in (6, 12):
        alphas = np.log(np.array([alpha for alpha, _ in points[n, 0]]) / 1e-3) / np.log(500)
        assert np.diff([0, *sorted(alphas), 1]).max() < 2.5 / n


def test_versions_that_propose_other_trials_are_refused(data, tmp_path, fake_training):
    fake_training(smooth)
    options = make_options()
    whole = run_arm(options, data, tmp_path / "a")
    run = RunFolder.create(tmp_path / "b", CONFIG, overwrite=False)
    run.add_trial(dataclasses.replace(whole.trials[0], alpha=0.123), [], {})
    run.write_tables()
    with pytest.raises(RunError, match="other versions of the libraries draw other trials"):
        run_arm(options, data, tmp_path / "b")


def test_oracles_are_kerastuners():
    arm = arms(make_options(tuner="grid", trials=4))[0]
    oracles = keras_tuner.oracles
    for kind, cls in {
        "random": oracles.RandomSearchOracle,
        "bayesian": BayesianOptimizationOracle,
        "grid": oracles.GridSearchOracle,
        "hyperband": oracles.HyperbandOracle,
    }.items():
        assert isinstance(make_oracle(dataclasses.replace(arm, tuner=kind), 0, 4), cls)
