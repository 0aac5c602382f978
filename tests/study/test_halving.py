"""Studies that train many points briefly and the best of them in full."""

import csv
import json
from collections import Counter

import pytest

from keras_leaky.study import load
from keras_leaky.study._proposals import count_rungs, count_trials, describe_rungs
from keras_leaky.study.importance import importance, to_optuna
from tests.study.small_studies import FIT, TEST, X, Y, make_study, rows_without_times

# 24 steps an epoch, so 216 in full and 24 in the first rung.
FIT = {**FIT, "batch_size": 5, "epochs": 9}
SIZES = [20, 7, 5]


def make_halving(directory, **kwargs):
    return make_study(directory, **{"trials": 20, "tuner": "halving", **kwargs})


@pytest.fixture(autouse=True, scope="module")
def slow_net():
    """As if a step of the tiny net took a second, so that it is worth to train it briefly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_leaky.study._estimates.SECONDS_A_STEP", 1.0)
        patch.setattr("keras_leaky.study._workers._SECONDS_TO_START", float("inf"))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("halving")
    return make_halving(path / "run").run(X, Y, test_data=TEST, **FIT)


def test_a_point_has_one_row_of_its_longest_training(finished):
    for arm in finished.arms:
        rows = [row for row in finished.trials if row.arm == arm]
        assert Counter(row.training_fraction for row in rows) == {1 / 9: 13, 1 / 3: 2, 1: 5}
        assert Counter(row.status for row in rows) == {"STOPPED": 15, "COMPLETED": 5}
        assert len({row.learning_rate for row in rows}) == len(rows)
        for row in rows:
            assert (row.status == "STOPPED") == (row.training_fraction < 1)
            assert row.epochs == {1 / 9: 1, 1 / 3: 1 + 3, 1: 1 + 3 + 9}[row.training_fraction]
        left_out = [row for row in rows if row.training_fraction == 1 / 9]
        told = [row.reason.removesuffix(" of 20 with 1/9 of the steps") for row in left_out]
        assert all(8 <= int(text.removeprefix("number ")) <= 20 or "7" in text for text in told)
        assert sorted(left_out, key=lambda row: -row.score) == sorted(
            left_out, key=lambda row: int(row.reason.split()[1])
        )


def test_the_choice_is_among_the_points_that_were_trained_in_full(finished):
    full = {(r.arm, r.trial_id) for r in finished.trials if r.status == "COMPLETED"}
    assert {(row.arm, row.trial_id) for row in finished.retrainings} <= full
    for arm in finished.arms.values():
        assert (arm.name, arm.best.trial_id) in full


def test_all_arms_try_the_same_rates_briefly(finished):
    rates = {
        arm: sorted(row.learning_rate for row in finished.trials if row.arm == arm)
        for arm in finished.arms
    }
    assert rates["relu"] == rates["leaky_relu"]


def test_tables_summary_and_page_tell_it(finished):
    summary = json.loads((finished.directory / "summary.json").read_text())
    assert (summary["n_trials"], summary["n_stopped"], summary["n_failed"]) == (40, 30, 0)
    with (finished.directory / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-2:] == ["training_fraction", "reason"]
    page = finished.page.read_text()
    assert "20 with 1/9 of the steps, 7 with 1/3 of the steps, 5 in full" in page
    assert "ended early" not in page


def test_the_order_of_all_points_tells_what_matters(finished):
    arm = finished.arms["leaky_relu"]
    shares = importance(arm, finished.trials, finished.metric)
    assert set(shares) == {"alpha", "learning_rate"}
    assert sum(shares.values()) == pytest.approx(1)
    states = Counter(trial.state.name for trial in to_optuna(finished).trials)
    assert states == {"PRUNED": 30, "COMPLETE": 10}


def test_it_is_resumed_and_does_not_depend_on_workers(finished, tmp_path, monkeypatch):
    from keras_leaky.study import _searching

    record, n_done = _searching.ArmSearch.record, 0

    def stop(self, job, done):
        nonlocal n_done
        record(self, job, done)
        n_done += 1
        if n_done in (9, 24):  # in the first rung, and where the second begins to end
            raise KeyboardInterrupt

    monkeypatch.setattr(_searching.ArmSearch, "record", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            make_halving(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    outcome = make_halving(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    assert rows_without_times(outcome.trials) == rows_without_times(finished.trials)
    assert rows_without_times(outcome.retrainings) == rows_without_times(finished.retrainings)


@pytest.mark.soak  # tests/tuning/test_successive_halving.py has the same for the tuner
def test_the_number_of_workers_changes_nothing(tmp_path):
    found = [
        make_halving(tmp_path / str(n), finalists=1, seeds=1).run(X, Y, workers=n, **FIT)
        for n in (1, 2)
    ]
    assert rows_without_times(found[0].trials) == rows_without_times(found[1].trials)


@pytest.mark.soak  # as above
def test_more_points_join_the_first_rung(finished, tmp_path):
    make_halving(tmp_path / "run", seeds=1).run(X, Y, **FIT)
    before = load(tmp_path / "run")
    after = make_halving(tmp_path / "run", seeds=1, trials=30).run(X, Y, **FIT)
    rows = [row for row in after.trials if row.arm == "relu"]
    assert len(rows) == 30
    assert sum(row.training_fraction > 1 / 9 for row in rows) >= 10
    old = {row.learning_rate for row in before.trials if row.status == "COMPLETED"}
    assert old <= {row.learning_rate for row in after.trials if row.status == "COMPLETED"}


def test_a_time_limit_leaves_points_to_choose_from(tmp_path):
    outcome = make_halving(tmp_path / "run", seeds=1).run(X, Y, max_seconds=0.1, **FIT)
    assert all(arm.best is not None for arm in outcome.arms.values())
    assert any("time limit" in note for note in outcome.notes)


def test_the_plan_says_what_each_rung_trains(tmp_path):
    plan = make_halving(tmp_path / "run").plan(X, Y, **FIT)
    assert "20 with 1/9 of the steps, 7 with 1/3 of the steps, 5 in full" in str(plan)
    n_search = 2 * sum(SIZES)
    assert plan.n_trainings == n_search + 2 * (2 * 2 + 2)


@pytest.mark.parametrize(
    ("trials", "epochs", "n_steps", "n_rungs"),
    [
        (20, 9, 20, 3),
        (20, 9, 19, 2),
        (20, 1, 59, 1),
        (20, 27, None, 3),
        (20, 9, None, 3),
        (20, 8, None, 2),
        (50, 2, 270, 3),
        (9, 9, 100, 1),  # saves too little
        (1, 9, 100, 1),
    ],
)
def test_how_many_rungs_there_are(trials, epochs, n_steps, n_rungs):
    assert count_rungs(trials, epochs, n_steps, 5, None) == n_rungs


@pytest.mark.parametrize(("epoch_seconds", "n_rungs"), [(0.1, 1), (1.0, 3)])
def test_trainings_of_a_moment_are_not_made_shorter(epoch_seconds, n_rungs):
    assert count_rungs(20, 2, 100, 5, epoch_seconds) == n_rungs


def test_the_work_is_counted_in_full_epochs():
    assert describe_rungs(20, 3, 5) == [(20, 1 / 9), (7, 1 / 3), (5, 1)]
    n_trainings, n_epochs = count_trials("halving", 20, 9, None, 3, 5)
    assert n_trainings == 32
    assert n_epochs == pytest.approx(20 + 21 + 45)


def test_short_studies_train_every_point_in_full(tmp_path):
    outcome = make_halving(tmp_path / "run", trials=3, seeds=1).run(X, Y, **FIT)
    assert {row.status for row in outcome.trials} == {"COMPLETED"}
    with (outcome.directory / "trials.csv").open() as file:
        assert "training_fraction" not in next(csv.reader(file))
