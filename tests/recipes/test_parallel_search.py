"""Searches of which several trials run at a time, and end in any order."""

import contextlib
import dataclasses
import random

import pytest

from recipes.common.oracles import n_trials_and_epochs
from recipes.common.run_folder import RunFolder
from recipes.common.space import arms
from recipes.common.work import Workplace, perform
from tests.recipes.arm_searches import CONFIG, make_options, results, search, smooth

# scikit-learn, of a fit to the scores of a few points.
pytestmark = pytest.mark.filterwarnings("ignore:The optimal value found for dimension")


class Stopped(Exception):
    """The process was killed."""


class AnyOrder:
    """`n` lanes in this process, whose jobs end in a random order."""

    def __init__(self, place, n, seed, stop_after=None):
        self.place, self.n, self.stop_after = place, n, stop_after
        self.random = random.Random(seed)
        self.jobs = []

    def has_room(self):
        return len(self.jobs) < self.n

    def start(self, job):
        self.jobs.append(job)

    def wait(self):
        if self.stop_after == 0:
            raise Stopped
        if self.stop_after is not None:
            self.stop_after -= 1
        job = self.jobs.pop(self.random.randrange(len(self.jobs)))
        return [(job, perform(self.place, vars(job)), [])]


def run(options, data, path, n, seed, stop_after=None):
    arm = arms(options)[0]
    folder = (
        RunFolder.open(path) if path.exists() else RunFolder.create(path, CONFIG, overwrite=False)
    )
    lanes = AnyOrder(Workplace(options, data, {arm.name: arm}), n, seed, stop_after)
    search(arm, options, data, folder, lanes)
    return RunFolder.open(path)


@pytest.mark.parametrize("tuner", ["random", "grid"])
def test_any_number_of_lanes_and_order_of_ends_gives_the_same_trials(
    tuner, data, tmp_path, fake_training
):
    fake_training(smooth)
    options = make_options(tuner=tuner, trials=9)
    one = run(options, data, tmp_path / "one", 1, 0)
    assert len(one.trials) == 9
    for n, seed in ((2, 1), (4, 2), (64, 3)):
        many = run(options, data, tmp_path / str(n), n, seed)
        assert results(many) == results(one)
        assert many.epochs == one.epochs


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid", "hyperband"])
@pytest.mark.parametrize("seed", range(3))
def test_a_parallel_search_that_is_killed_runs_no_finished_trial_twice(
    tuner, seed, data, tmp_path, fake_training
):
    """Also where what is proposed depends on which trials have ended."""
    calls = fake_training(lambda a, rate, _: None if rate > 0.05 else smooth(a, rate, 0))
    options = make_options(tuner=tuner, trials=None if tuner == "hyperband" else 12, epochs=9)
    path, n_before, kept = tmp_path / "run", 0, []
    for stop_after, n_lanes in ((2 + seed, 4), (3, 2), (0, 3), (None, 5)):
        with contextlib.suppress(Stopped):
            run(options, data, path, n_lanes, seed, stop_after)
        rows = results(RunFolder.open(path))
        assert set(kept) <= set(rows)
        assert len(calls) - n_before == len(rows) - len(kept)
        kept, n_before = rows, len(calls)
    assert len(kept) == n_trials_and_epochs(arms(options)[0], 9)[0]
    if tuner == "hyperband":
        assert sum(n for _, _, n in calls) == n_trials_and_epochs(arms(options)[0], 9)[1]


@pytest.mark.parametrize("tuner", ["bayesian", "hyperband"])
def test_a_lost_record_is_made_again_before_what_depended_on_it(
    tuner, data, tmp_path, fake_training
):
    fake_training(smooth)
    options = make_options(tuner=tuner, trials=None if tuner == "hyperband" else 12, epochs=9)
    whole = run(options, data, tmp_path / "run", 3, 1)
    for lost in ("0000", "0004", "0011"):
        (tmp_path / "run/search/leaky_relu" / f"trial_{lost}" / "trial.json").unlink()
        again = run(options, data, tmp_path / "run", 2, 5)
        assert results(again) == results(whole)


def test_what_became_of_workers_is_in_the_reason(data, tmp_path, fake_training):
    fake_training(lambda a, rate, _: None if rate > 0.01 else 0.5)

    class Losing(AnyOrder):
        def wait(self):
            return [(job, found, ["worker tcp://1 was killed"]) for job, found, _ in super().wait()]

    options = make_options(trials=12)
    arm = arms(options)[0]
    folder = RunFolder.create(tmp_path / "run", CONFIG, overwrite=False)
    search(arm, options, data, folder, Losing(Workplace(options, data, {arm.name: arm}), 2, 0))
    assert {(row.status, row.reason) for row in folder.trials} == {
        ("COMPLETED", "worker tcp://1 was killed"),
        ("FAILED", "training loss became nan in epoch 1; worker tcp://1 was killed"),
    }
    assert dataclasses.replace(folder.trials[0]) == RunFolder.open(tmp_path / "run").trials[0]
