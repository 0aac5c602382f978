"""A study from its arguments to its outcome."""

import errno
import json
import logging
import math
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_leaky
from keras_leaky.storage import WriteError
from keras_leaky.study import Arm, InputError, StudyFailedError, _running, load, run_studies
from keras_leaky.study._checks import FitData, chance_accuracy
from keras_leaky.study._retraining import ArmRetraining
from keras_leaky.study._searching import ArmSearch
from tests.study.small_studies import (
    FIT,
    N_CLASSES,
    TEST,
    VALIDATION,
    X,
    Y,
    build,
    make_study,
    rows_without_times,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that ran undisturbed, and its outcome."""
    study = make_study(tmp_path_factory.mktemp("study") / "run", arms=["leaky_relu", "prelu=0.1"])
    return study, study.run(X, Y, test_data=TEST, **FIT)


def test_what_a_finished_study_holds(finished):
    study, outcome = finished
    assert outcome.is_finished
    assert list(outcome.arms) == ["relu", "leaky_relu", "prelu=0.1"]
    assert list(outcome.differences) == ["leaky_relu", "prelu=0.1"]
    assert len(outcome.trials) == 9
    assert [row.status for row in outcome.trials] == ["COMPLETED"] * 9
    # Two finalists with two seeds, then two final retrainings, of three arms.
    assert len(outcome.retrainings) == 3 * (2 * 2 + 2)
    assert len(outcome.epochs) == 2 * (9 + 18)
    assert {row.layer for row in outcome.dead_units if row.arm == "relu"} == {"re_lu"}
    for arm in outcome.arms.values():
        assert arm.test.n == arm.validation.n == 2
        assert arm.test.ci95 is None  # below five seeds
        assert 0 <= arm.inactive_fraction <= 1
    names = {path.name for path in study.directory.iterdir()}
    assert names >= {
        *("study.json", "environment.json", "search", "retrainings", "trials.csv", "epochs.csv"),
        *("retrainings.csv", "dead_units.csv", "summary.json", "best.keras", "report.html"),
        "plots",
    }


def test_all_arms_see_the_same_rates_and_seeds(finished):
    _, outcome = finished
    rates = {
        name: [row.learning_rate for row in outcome.trials if row.arm == name]
        for name in outcome.arms
    }
    assert rates["relu"] == rates["leaky_relu"] == rates["prelu=0.1"]
    assert len({row.seed for row in outcome.trials}) == 1
    seeds = {"search": {row.seed for row in outcome.trials}}
    for stage in ("finalist", "final"):
        of_arm = [
            [row.seed for row in outcome.retrainings if (row.arm, row.stage) == (name, stage)]
            for name in outcome.arms
        ]
        assert set(of_arm[0]) == set(of_arm[1]) == set(of_arm[2])
        seeds[stage] = set(of_arm[0])
    assert not seeds["search"] & seeds["finalist"]
    assert not seeds["final"] & (seeds["search"] | seeds["finalist"])


def test_the_finalist_with_the_best_mean_is_chosen_and_tested(finished):
    _, outcome = finished
    for name, arm in outcome.arms.items():
        rows = [row for row in outcome.retrainings if row.arm == name]
        means = {}
        for row in rows:
            if row.stage == "finalist":
                means.setdefault(row.trial_id, []).append(row.val_score)
        assert arm.best.trial_id == max(means, key=lambda trial: np.mean(means[trial]))
        finals = [row for row in rows if row.stage == "final"]
        assert {row.trial_id for row in finals} == {arm.best.trial_id}
        assert arm.test.mean == pytest.approx(np.mean([row.test_score for row in finals]))
        assert all(row.test_score is None for row in rows if row.stage == "finalist")
        for row in finals:  # a whole number of examples
            assert row.test_score == np.mean(row.test_examples.astype("float64"))
            assert len(row.test_examples) == len(TEST[1])


def test_best_keras_is_the_best_retraining_of_the_arm_that_is_recommended(finished):
    _, outcome = finished
    model = outcome.best_model()
    predictions = np.asarray(model(VALIDATION[0])).argmax(-1)
    finals = [
        row for row in outcome.retrainings if (row.arm, row.stage) == (outcome.recommended, "final")
    ]
    best = max(row.val_score for row in finals)
    assert (predictions == VALIDATION[1]).mean() == pytest.approx(best)


def test_summary_json_says_what_the_outcome_says(finished):
    study, outcome = finished
    summary = json.loads((study.directory / "summary.json").read_text())
    assert summary["verdict"] == outcome.verdict
    assert (summary["n_trials"], summary["n_failed"], summary["n_test_looks"]) == (9, 0, 1)
    assert [arm["arm"] for arm in summary["arms"]] == list(outcome.arms)
    assert summary["arms"][0]["is_baseline"]
    assert summary["arms"][1]["difference"]["n"] == 2
    assert set(summary["arms"][1]["best"]) == {"trial_id", "hyperparameters", "score"}


def test_load_gives_the_outcome_back(finished):
    study, outcome = finished
    loaded = load(study.directory)
    assert loaded.verdict == outcome.verdict
    assert loaded.arms == outcome.arms
    assert loaded.differences == outcome.differences
    assert list(loaded.trials) == list(outcome.trials)
    assert len(loaded.trials.to_pandas()) == 9
    assert loaded.verdict in repr(loaded)
    assert len(repr(loaded)) < 500
    with pytest.raises(InputError, match=r"holds no study: there is no study\.json"):
        load(study.directory.parent)


def test_a_finished_study_trains_nothing_again(finished, monkeypatch):
    study, outcome = finished
    monkeypatch.setattr(ArmSearch, "perform", None)
    monkeypatch.setattr(ArmRetraining, "perform", None)
    again = make_study(study.directory, arms=["leaky_relu", "prelu=0.1"])
    assert again.is_resumed
    outcome_again = again.run(X, Y, test_data=TEST, **FIT)
    assert outcome_again.verdict == outcome.verdict
    assert outcome_again.n_test_looks == 1


class _Stop(BaseException):
    """As if the process ended."""


def _stop(*_):
    raise _Stop


@pytest.mark.parametrize("n_done", [pytest.param(0, marks=pytest.mark.soak), 5, 13])
def test_an_interrupted_study_ends_as_an_undisturbed_one(finished, tmp_path, monkeypatch, n_done):
    whole, outcome = finished
    count = iter(range(100))
    with monkeypatch.context() as patch:
        for kind in (ArmSearch, ArmRetraining):
            record = kind.record

            def stop(self, job, finished, record=record):
                if next(count) == n_done:
                    raise _Stop
                record(self, job, finished)

            patch.setattr(kind, "record", stop)
        with pytest.raises(_Stop):
            make_study(tmp_path / "run", arms=["leaky_relu", "prelu=0.1"]).run(
                X, Y, test_data=TEST, **FIT
            )
    so_far = load(tmp_path / "run")
    assert not so_far.is_finished
    assert len(so_far.trials) + len(so_far.retrainings) == n_done
    study = make_study(tmp_path / "run", arms=["leaky_relu", "prelu=0.1"])
    resumed = study.run(X, Y, test_data=TEST, **FIT)
    for name in ("trials", "retrainings", "dead_units"):
        expected, received = getattr(outcome, name), getattr(resumed, name)
        assert rows_without_times(received) == rows_without_times(expected)
    assert resumed.verdict == outcome.verdict
    a, b = (s.directory / "best.keras" for s in (whole, study))
    for one, other in zip(
        *(keras.saving.load_model(path).get_weights() for path in (a, b)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_the_accuracy_of_the_most_common_class_is_known():
    y = np.array([0, 0, 0, 1, 2])
    one_hot = np.eye(3)[y]
    for labels in (y, y[:, None], one_hot):
        assert chance_accuracy(FitData(X, Y, None, (X[:5], labels), 0.0, None)) == 0.6
    assert chance_accuracy(FitData(X[:5], y, None, None, 0.4, None)) == 0.5
    data_set = tf.data.Dataset.from_tensor_slices((X, Y))
    assert chance_accuracy(FitData(X, Y, None, data_set, 0.0, None)) is None


def test_a_look_at_the_test_data_counts_once_though_its_run_was_killed(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("keras_leaky.study._running._write_state", _stop)
        with pytest.raises(_Stop):
            make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    assert make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT).n_test_looks == 1
    next((tmp_path / "run" / "retrainings" / "relu").glob("final-*")).unlink()
    assert make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT).n_test_looks == 1


def test_a_record_in_the_place_of_another_is_not_taken_for_it(tmp_path):
    outcome = make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    folder = tmp_path / "run" / "retrainings"
    stray = next(p for p in (folder / "leaky_relu").glob("*.json"))
    target = next(p for p in (folder / "relu").glob("*.json"))
    target.write_bytes(stray.read_bytes())
    assert len(load(tmp_path / "run").retrainings) == len(outcome.retrainings) - 1
    again = make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    assert rows_without_times(again.retrainings) == rows_without_times(outcome.retrainings)
    assert target.with_name(f"{target.name}.damaged").exists()


def test_folders_in_the_place_of_files_are_set_aside(tmp_path):
    outcome = make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    names = ("environment.json", "trials.csv", "best.keras", "report.html")
    names += ("retrainings/relu/best.keras", "search/relu/trial_0/build_config.json")
    for name in names:
        (tmp_path / "run" / name).unlink()
        (tmp_path / "run" / name).mkdir()
    again = make_study(tmp_path / "run").run(X, Y, test_data=TEST, **FIT)
    assert rows_without_times(again.trials) == rows_without_times(outcome.trials)
    assert again.verdict == outcome.verdict
    for name in names:
        assert (tmp_path / "run" / name).is_file()
        assert (tmp_path / "run" / f"{name}.damaged").is_dir()


def test_more_trials_seeds_and_arms_are_added(tmp_path):
    make_study(tmp_path / "run", trials=2).run(X, Y, test_data=TEST, **FIT)
    more = {"trials": 3, "seeds": 3, "arms": ["leaky_relu", "elu"]}
    outcome = make_study(tmp_path / "run", **more).run(X, Y, test_data=TEST, **FIT)
    assert len(outcome.trials) == 9
    assert all(arm.test.n == 3 for arm in outcome.arms.values())
    assert outcome.n_test_looks == 2  # the page says so
    fresh = make_study(tmp_path / "fresh", **more).run(X, Y, test_data=TEST, **FIT)
    assert rows_without_times(outcome.trials) == rows_without_times(fresh.trials)
    assert outcome.arms["leaky_relu"].test == fresh.arms["leaky_relu"].test


def test_another_study_is_not_resumed(tmp_path):
    make_study(tmp_path / "run").run(X, Y, **FIT)

    def wide(hp, rectifier):
        model = build(hp, rectifier)
        model.optimizer.beta_1 = 0.5
        return model

    for changed, message in (
        ({"seed": 8}, "seed: the study has 7, this run asks for 8"),
        ({"finalists": 1}, "finalists: the study has 2"),
        ({"objective": "val_loss"}, "objective.name: the study has val_accuracy"),
        ({"trials": 2}, "`trials` must not be fewer than the study"),
        ({"seeds": 1}, "`seeds` must not be fewer than the study"),
        ({"arms": ["elu"]}, "arms.leaky_relu: the study has"),
        ({"arms": ["leaky_relu=0.2", Arm("leaky_relu", (0.1, 0.2))]}, "arms.leaky_relu"),
    ):
        with pytest.raises(InputError, match=message):
            make_study(tmp_path / "run", **changed)
    with pytest.raises(InputError, match=r"models\.relu: the study has"):
        make_study(tmp_path / "run", wide).run(X, Y, **FIT)
    with pytest.raises(InputError, match=r"data\.x: the study has"):
        make_study(tmp_path / "run").run(X + 1, Y, **FIT)
    with pytest.raises(InputError, match=r"fit\.epochs: the study has 2, this run asks for 3"):
        make_study(tmp_path / "run").run(X, Y, **{**FIT, "epochs": 3})
    assert len(load(tmp_path / "run").trials) == 6  # nothing was lost


def test_overwrite_begins_again(tmp_path):
    make_study(tmp_path / "run", trials=1).run(X, Y, **FIT)
    study = make_study(tmp_path / "run", trials=1, seed=9, overwrite=True)
    assert not study.is_resumed
    assert len(study.run(X, Y, **FIT).trials) == 2
    with pytest.raises(InputError, match="seed: the study has 9"):
        make_study(tmp_path / "run", trials=1)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    from keras_leaky import storage

    with (
        storage.folder_lock(tmp_path / "run"),
        pytest.raises(InputError, match=r"`directory` must not be in use.*process"),
    ):
        make_study(tmp_path / "run").run(X, Y, **FIT)


@pytest.mark.parametrize("tuner", ["bayesian", "hyperband", "grid"])
def test_other_tuners_search_the_same_rates_first(tmp_path, tuner):
    trials = {"hyperband": None, "grid": 4, "bayesian": 4}[tuner]
    study = make_study(tmp_path / "run", tuner=tuner, trials=trials, finalists=1, seeds=1)
    outcome = study.run(X, Y, **{**FIT, "epochs": 3})
    of_arms = [
        [row.learning_rate for row in outcome.trials if row.arm == arm][:3] for arm in outcome.arms
    ]
    if tuner == "grid":
        assert sorted(of_arms[0]) == pytest.approx([1e-3, 1e-1])
        assert len(outcome.trials) == 2 + 4
    else:
        assert of_arms[0] == of_arms[1]
    assert study.plan(X, Y, **{**FIT, "epochs": 3}).n_trainings == len(outcome.trials) + 2


def test_a_tuner_of_ones_own_proposes(tmp_path):
    oracle = keras_tuner.oracles.RandomSearchOracle
    study = make_study(tmp_path / "run", tuner=oracle, finalists=1, seeds=1)
    assert len(study.run(X, Y, **FIT).trials) == 6
    bad = make_study(tmp_path / "bad", tuner=lambda **kwargs: None)
    with pytest.raises(InputError, match=r"`tuner` must return a keras_tuner\.Oracle"):
        bad.run(X, Y, **FIT)


def test_a_regression_with_a_metric_that_is_to_fall(tmp_path):
    def regress(hp, rectifier):
        layers = [keras.Input((4,)), keras.layers.Dense(8), rectifier(), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
        return model

    study = make_study(tmp_path / "run", regress, objective="val_mae")
    y = X[:, 0] * 2
    outcome = study.run(
        X, y, validation_split=0.25, test_data=(TEST[0], TEST[0][:, 0] * 2), epochs=2, verbose=0
    )
    assert outcome.metric.direction == "min"
    for name, arm in outcome.arms.items():
        scores = {row.trial_id: row.score for row in outcome.trials if row.arm == name}
        assert arm.best.score in sorted(scores.values())[:2]  # of the finalists
    model = outcome.best_model()
    errors = abs(np.asarray(model(TEST[0]))[:, 0] - TEST[0][:, 0] * 2)
    finals = [r for r in outcome.retrainings if r.stage == "final" and r.arm == outcome.recommended]
    assert any(row.test_score == pytest.approx(errors.mean(), rel=1e-5) for row in finals)


def test_several_inputs_weights_of_classes_and_data_sets(tmp_path):
    tf = pytest.importorskip("tensorflow")

    def two_inputs(hp, rectifier):
        a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        x = rectifier()(keras.layers.Dense(4)(keras.layers.Concatenate()([a, b])))
        model = keras.Model({"a": a, "b": b}, keras.layers.Dense(N_CLASSES)(x))
        model.compile(
            keras.optimizers.SGD(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    def halves(x):
        return {"a": x[:, :2], "b": x[:, 2:]}

    few = {"trials": 1, "finalists": 1, "seeds": 1}
    outcome = make_study(tmp_path / "arrays", two_inputs, **few).run(
        halves(X),
        Y,
        validation_data=(halves(VALIDATION[0]), VALIDATION[1]),
        test_data=(halves(TEST[0]), TEST[1]),
        class_weight={0: 1.0, 1: 2.0, 2: 1.0},
        epochs=1,
        verbose=0,
    )
    assert outcome.arms["leaky_relu"].test.n == 1

    def batches(x, y):
        return tf.data.Dataset.from_tensor_slices((halves(x), y)).batch(30)

    outcome = make_study(tmp_path / "datasets", two_inputs, **few).run(
        batches(X, Y),
        validation_data=batches(*VALIDATION),
        test_data=batches(*TEST),
        epochs=1,
        verbose=0,
    )
    assert outcome.arms["leaky_relu"].test.n == 1
    assert outcome.dead_units[0].n_samples == len(VALIDATION[1])


def test_tables_and_lists_are_what_their_arrays_are(tmp_path):
    """Data as scikit-learn's users have them; a list is a tuple, as in `fit`."""
    few = {"trials": 1, "finalists": 1, "seeds": 1}
    given = {"epochs": 1, "batch_size": 30, "verbose": 0}

    def as_tables(x, y):
        return [pd.DataFrame(x, columns=list("abcd")), pd.Series(y)]

    tables = make_study(tmp_path / "tables", **few).run(
        *as_tables(X, Y),
        validation_data=as_tables(*VALIDATION),
        test_data=as_tables(*TEST),
        **given,
    )
    arrays = make_study(tmp_path / "arrays", **few).run(
        X, Y, validation_data=VALIDATION, test_data=TEST, **given
    )
    assert rows_without_times(tables.trials) == rows_without_times(arrays.trials)
    assert rows_without_times(tables.retrainings) == rows_without_times(arrays.retrainings)


def test_an_arm_that_always_diverges_is_left_out(tmp_path):
    def explode(hp, rectifier):
        model = build(hp, rectifier)
        if rectifier.name == "elu":
            model.optimizer.learning_rate = 1e30
        return model

    study = make_study(tmp_path / "run", explode, arms=["elu", "leaky_relu"], trials=2)
    outcome = study.run(X, Y, **FIT)
    assert {row.status for row in outcome.trials if row.arm == "elu"} == {"DIVERGED"}
    assert outcome.arms["elu"].best is None
    assert "none of 2 trials has a score" in outcome.arms["elu"].failure
    assert list(outcome.differences) == ["leaky_relu"]
    assert "ELU" in outcome.verdict

    def explode_all(hp, rectifier):
        model = build(hp, rectifier)
        model.optimizer.learning_rate = 1e30
        return model

    with pytest.raises(StudyFailedError, match="No arm has a result"):
        make_study(tmp_path / "all", explode_all, trials=2).run(X, Y, **FIT)


def test_a_time_limit_gives_all_arms_the_same_number_of_trials(tmp_path):
    study = make_study(tmp_path / "run", trials=50, finalists=1, seeds=1)
    outcome = study.run(X, Y, max_seconds=0.01, **FIT)
    counts = {name: sum(row.arm == name for row in outcome.trials) for name in outcome.arms}
    assert counts["relu"] == counts["leaky_relu"] < 50
    assert outcome.arms["leaky_relu"].validation.n == 1
    assert any("time limit" in note for note in outcome.notes)
    again = make_study(tmp_path / "run", trials=50, finalists=1, seeds=1)
    assert again.is_resumed


SCRIPT = """
import sys
import numpy as np
sys.path.insert(0, {root!r})
from tests.study.small_studies import FIT, X, Y
import keras
from keras_leaky import Study

class Scale(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs

def build(hp, rectifier):
    layers = [keras.Input((4,)), Scale(), keras.layers.Dense(8), rectifier(),
              keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(
        keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
    )
    return model

study = Study(build, arms=["elu"], trials=2, finalists=1, seeds=1, directory=sys.argv[1])
print(study.run(X, Y, workers=2, **FIT).arms["elu"].validation.n)
open(sys.argv[1] + "/ran", "a").write("once ")
"""


@pytest.mark.soak  # tests/study/test_command_line.py has a script of its kind
@pytest.mark.slow
def test_workers_need_no_guard_in_the_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(root=str(ROOT)))
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines()[-1] == "1"
    assert (tmp_path / "run" / "ran").read_text() == "once "


def test_several_nets_share_lanes_and_a_page(tmp_path):
    studies = {
        name: make_study(tmp_path / name, trials=1, finalists=1, seeds=2) for name in ("a", "b")
    }
    outcomes = run_studies(studies, X, Y, directory=tmp_path, title="Two", **FIT)
    assert list(outcomes) == ["a", "b"]
    assert (tmp_path / "report.html").exists()
    title, loaded = keras_leaky.study.load_all(tmp_path)
    assert (title, list(loaded)) == ("Two", ["a", "b"])
    assert loaded["a"].verdict == outcomes["a"].verdict
    with pytest.raises(InputError, match="must have their directories in"):
        run_studies(studies, X, Y, directory=tmp_path / "other", **FIT)


def test_what_the_progress_says(tmp_path, capsys):
    outcome = make_study(tmp_path / "run", trials=2).run(X, Y, **{**FIT, "verbose": 1})
    told = capsys.readouterr().out
    assert "[ 1/16] relu 0  learning rate 0." in told
    assert "[16/16]" in told
    assert "left" in told
    assert outcome.verdict.split(".")[0] in " ".join(told.split())
    assert told.strip().splitlines()[-1] == f"Page: {outcome.page.resolve()}"


def test_silence_is_silent(tmp_path, capfd, caplog):
    with caplog.at_level(logging.WARNING):
        make_study(tmp_path / "run", trials=1, finalists=1, seeds=1).run(X, Y, **FIT)
    assert capfd.readouterr().out == ""
    assert not caplog.records


def test_a_lambda_layer_leaves_no_model_but_an_outcome(tmp_path, caplog):
    def unsavable(hp, rectifier):
        class Own(keras.layers.Layer):  # whose constructor needs what its config lacks
            def __init__(self, secret):
                super().__init__()

            def call(self, inputs):
                return inputs

        layers = [keras.Input((4,)), Own(1), keras.layers.Dense(8), rectifier()]
        model = keras.Sequential([*layers, keras.layers.Dense(N_CLASSES)])
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        model.compile(
            keras.optimizers.Adam(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    study = make_study(tmp_path / "run", unsavable, trials=1, finalists=1, seeds=1)
    outcome = study.run(X, Y, **FIT)
    assert outcome.arms["relu"].validation.n == 1


def test_the_model_of_a_point_can_be_built(finished):
    study, outcome = finished
    best = outcome.arms["leaky_relu"].best.hyperparameters
    model = study.build_model("leaky_relu", best)
    assert model.layers[1].negative_slope == best["alpha"]
    assert float(model.optimizer.learning_rate) == pytest.approx(best["learning_rate"])
    with pytest.raises(InputError, match="`arm` must be one of 'relu', 'leaky_relu'"):
        study.build_model("elu", best)


def test_scores_are_those_of_keras(tmp_path):
    """A trial's score is what `fit` on the same model gives."""
    from keras_leaky.tuning import Trainer

    study = make_study(tmp_path / "run", trials=1, finalists=1, seeds=1)
    outcome = study.run(X, Y, **FIT)
    row = outcome.trials[1]
    assert row.arm == "leaky_relu"
    hp = keras_tuner.HyperParameters()
    hp.values = {"alpha": row.alpha, "learning_rate": row.learning_rate}
    from keras_leaky.study.arms import ArmModel

    trainer = Trainer()
    model = trainer.build(lambda: ArmModel(build, Arm("leaky_relu")).build(hp), row.seed)
    _, history = trainer.fit(model, X, Y, seed=row.seed, **FIT)
    assert max(history.history["val_accuracy"]) == row.score
    assert not math.isnan(row.score)


def test_a_full_disk_for_temporary_files_ends_the_study_and_resumes(tmp_path, monkeypatch):
    def save(self, path, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    study = make_study(tmp_path / "run", trials=1, finalists=1, seeds=1)
    with monkeypatch.context() as full:
        full.setattr(keras.Model, "save", save)
        with pytest.raises(WriteError) as raised:
            study.run(X, Y, **FIT)
    assert raised.value.is_disk_full
    assert raised.value.filename.startswith("the temporary folder")
    assert make_study(tmp_path / "run", trials=1, finalists=1, seeds=1).run(X, Y, **FIT).recommended


def test_a_folder_that_is_deleted_meanwhile_is_said(tmp_path, monkeypatch):
    run_all = _running._run_all

    def run_and_delete(*arguments):
        run_all(*arguments)
        shutil.rmtree(tmp_path / "run")

    monkeypatch.setattr(_running, "_run_all", run_and_delete)
    study = make_study(tmp_path / "run", trials=1, finalists=1, seeds=1)
    with pytest.raises(StudyFailedError, match="was deleted or moved while the study ran"):
        study.run(X, Y, **FIT)
