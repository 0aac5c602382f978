"""How much hyperparameters matter, and a study as Optuna's."""

import dataclasses
import math
import sys

import numpy as np
import optuna
import pytest

from keras_leaky.study.errors import InputError
from keras_leaky.study.importance import MIN_TRIALS, importance
from keras_leaky.study.rows import EpochRow
from tests.study.made_up_outcomes import ACCURACY, LEAKY, MAE, RELU, MadeUpArm, make_outcome

ELU = MadeUpArm("elu", "elu", alpha=(0.1, 2.0))


def make_arm_and_trials(n_trials=60, metric=ACCURACY, score=None):
    """The score is 1 - log10(rate)^2 / 16; alpha does nothing."""
    outcome = make_outcome(arms=(RELU, MadeUpArm("leaky_relu", n_trials=n_trials)), metric=metric)
    score = score or (lambda row: 1 - math.log10(row.learning_rate / 3e-3) ** 2 / 16)
    trials = [
        dataclasses.replace(row, status="COMPLETED", score=score(row), reason="")
        for row in outcome.trials
    ]
    return outcome.arms["leaky_relu"], trials


def test_the_learning_rate_that_alone_decides_matters_most():
    found = importance(*make_arm_and_trials(), ACCURACY)
    assert list(found) == ["learning_rate", "alpha"]  # the largest first
    assert sum(found.values()) == pytest.approx(1)
    assert found["learning_rate"] > 0.8


def test_less_is_better_for_an_error():
    arm, trials = make_arm_and_trials(metric=MAE, score=lambda row: abs(math.log(row.alpha or 1)))
    assert importance(arm, trials, MAE)["alpha"] > 0.7


def test_what_tells_the_best_from_the_others_matters():
    """Not what makes the worst."""
    arm, trials = make_arm_and_trials(
        metric=MAE,
        score=lambda row: (
            2 * max(math.log10(row.alpha or 1), -0.64) - max(math.log10(row.learning_rate), -1.6)
        ),
    )
    assert next(iter(importance(arm, trials, MAE))) == "learning_rate"


def test_a_longer_training_outranks_a_shorter_one():
    arm, trials = make_arm_and_trials()
    trials = [
        dataclasses.replace(row, training_fraction=1 / 9, score=1 + row.alpha) if i % 2 else row
        for i, row in enumerate(row for row in trials if row.arm == "leaky_relu")
    ]
    assert next(iter(importance(arm, trials, ACCURACY))) == "learning_rate"


def test_what_cannot_be_told():
    arm, trials = make_arm_and_trials()
    few = [row for row in trials if row.arm == "relu"]
    few += [row for row in trials if row.arm == "leaky_relu"][: MIN_TRIALS - 1]
    assert importance(arm, few, ACCURACY) == {}
    assert importance(*make_arm_and_trials(MIN_TRIALS), ACCURACY)
    failed = [dataclasses.replace(row, status="DIVERGED", score=None) for row in trials]
    assert importance(arm, failed, ACCURACY) == {}
    assert importance(*make_arm_and_trials(score=lambda row: 0.5), ACCURACY) == {}
    one = [dataclasses.replace(row, alpha=None) for row in trials]
    assert importance(arm, one, ACCURACY) == {}


def test_other_hyperparameters_count():
    arm, trials = make_arm_and_trials()
    rng = np.random.default_rng(0)
    chosen = [(rng.choice(["adam", "sgd"]).item(), int(rng.integers(8, 64))) for _ in trials]
    trials = [
        dataclasses.replace(
            row,
            hyperparameters={"optimizer": optimizer, "units": units},
            score=0.9 if optimizer == "adam" else 0.1 + units / 1000,
        )
        for row, (optimizer, units) in zip(trials, chosen, strict=True)
    ]
    found = importance(arm, trials, ACCURACY)
    assert set(found) == {"learning_rate", "alpha", "optimizer", "units"}
    assert max(found, key=found.get) == "optimizer"


@pytest.fixture
def outcome():
    outcome = make_outcome(arms=(RELU, LEAKY, ELU))
    epochs = [
        EpochRow("search", "relu", "0000", 0, i, {"val_accuracy": 0.1 * i, "loss": 1.0})
        for i in (1, 2)
    ]
    epochs.append(EpochRow("search", "relu", "0000", 0, 3, {"val_accuracy": math.nan}))
    return dataclasses.replace(outcome, epochs=[*outcome.epochs, *epochs])


def test_a_study_of_optuna(outcome):
    study = outcome.to_optuna()
    assert len(study.trials) == len(outcome.trials) == 60
    assert study.study_name == outcome.title
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.best_value == max(r.score for r in outcome.trials if r.status == "COMPLETED")
    for trial, row in zip(study.trials, outcome.trials, strict=True):
        assert trial.params["arm"] == row.arm
        assert trial.params["learning_rate"] == row.learning_rate
        assert trial.params.get("alpha") == row.alpha
        assert trial.user_attrs["trial_id"] == row.trial_id
    states = {
        row.status: trial.state.name
        for trial, row in zip(study.trials, outcome.trials, strict=True)
    }
    assert states == {"COMPLETED": "COMPLETE", "STOPPED": "PRUNED", "DIVERGED": "FAIL"}
    assert study.trials[0].intermediate_values == {1: 0.1, 2: 0.2}
    assert study.user_attrs["verdict"] == outcome.verdict


def test_a_study_in_a_file_for_the_dashboard(outcome, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    outcome = dataclasses.replace(outcome, trials=outcome.trials[::4])  # SQLite is slow
    outcome.to_optuna(storage)
    study = optuna.load_study(study_name=outcome.title, storage=storage)
    assert len(study.trials) == len(outcome.trials)
    assert optuna.importance.get_param_importances(study)  # what the dashboard draws
    with pytest.raises(InputError, match="holds a study called 'Made up' already"):
        outcome.to_optuna(storage)


def test_less_is_better_in_optuna_too():
    study = make_outcome(metric=MAE).to_optuna()
    assert study.direction == optuna.study.StudyDirection.MINIMIZE


def test_without_optuna(outcome, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install .keras_leaky\[study\]"):
        outcome.to_optuna()
    with pytest.raises(InputError, match="Optuna is not installed"):
        importance(*make_arm_and_trials(), ACCURACY)


def test_optuna_stays_as_talkative_as_it_was(outcome, capfd):
    before = optuna.logging.get_verbosity()
    outcome.to_optuna()
    importance(*make_arm_and_trials(), ACCURACY)
    assert optuna.logging.get_verbosity() == before
    assert "created" not in capfd.readouterr().err
