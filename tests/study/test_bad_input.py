"""Mistakes of a user: one sentence before anything is trained, and nothing left behind."""

import keras
import numpy as np
import pytest

from keras_leaky.study import InputError, Study
from tests.study.small_studies import FIT, N_CLASSES, TEST, VALIDATION, X, Y, build, make_study


def _compiled(layers, hp, ask=True):
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(N_CLASSES)])
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log") if ask else 1e-3
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def ignores_rectifier(hp, rectifier):
    return _compiled([keras.layers.Dense(8, "relu")], hp)


def asks_for_no_rate(hp, rectifier):
    return _compiled([keras.layers.Dense(8), rectifier()], hp, ask=False)


def returns_nothing(hp, rectifier):
    _compiled([rectifier()], hp)


def does_not_compile(hp, rectifier):
    hp.Float("learning_rate", 1e-3, 1e-1)
    return keras.Sequential([keras.Input((4,)), rectifier(), keras.layers.Dense(N_CLASSES)])


def depends_on_the_arm(hp, rectifier):
    units = 8 if rectifier.name == "relu" else 9
    return _compiled([keras.layers.Dense(units), rectifier()], hp)


def has_two_outputs_too_few(hp, rectifier):
    model = build(hp, rectifier)
    net = keras.Sequential([keras.Input((4,)), rectifier(), keras.layers.Dense(1)])
    net.compile(model.optimizer.from_config(model.optimizer.get_config()), "mse")
    return net


def asks_for_too_much(hp, rectifier):
    hp.Float("learning_rate", 1e-3, 1e300, sampling="log")
    return _compiled([rectifier()], hp, ask=False)


def with_nan(x):
    x = x.copy()
    x[3, 1] = np.nan
    return x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (ignores_rectifier, r"must make its activations by `rectifier\(\)`"),
        (asks_for_no_rate, r"must ask for the learning rate: hp\.Float\('learning_rate'"),
        (returns_nothing, r"`build` must return a keras\.Model\. Received: None in arm 'relu'"),
        (does_not_compile, "`build` must return a compiled model"),
        (depends_on_the_arm, "must return the same net for every arm.*67.*75"),
        (
            asks_for_too_much,
            r"must ask `hp` for finite ranges.*learning_rate from 0\.001 to 1e\+300",
        ),
    ],
)
def test_a_build_that_cannot_be_studied(tmp_path, function, message):
    with pytest.raises(InputError, match=message):
        make_study(tmp_path / "run", function).run(X, Y, **FIT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("x", "y", "changed", "message"),
    [
        (with_nan(X), Y, {}, "`x` must be finite. Received: 1 values that are NaN"),
        (X[:0], Y[:0], {}, "`x` must hold at least one example"),
        (X.astype(object), Y, {}, "`x` must hold numbers or strings. Received: objects, the fir"),
        (X, Y[:-1], {}, "`x` and `y` must have the same length. Received: 120 and 119"),
        (X, Y, {"validation_data": None}, "`validation_data`, or a `validation_split`"),
        (
            X,
            Y,
            {"validation_data": (VALIDATION[0], VALIDATION[1][:9])},
            "arrays of the same length",
        ),
        (X, Y, {"test_data": (X, Y)}, "`test_data` must hold examples that are not in `x`"),
        (
            X,
            Y,
            {"test_data": VALIDATION},
            "`test_data` .* not in `validation_data`",
        ),
        (None, None, {}, "`x` must hold the training data. Received: x=None"),
        (
            X,
            np.minimum(Y, 1),
            {},
            "`validation_data` must have only labels that `y` has too.*2, which",
        ),
        (X, Y + 5, {}, "cannot be evaluated on the first examples"),
        (X[:, :3], Y, {}, "cannot be evaluated on the first examples"),
        (X, Y, {"epochs": 0}, "`epochs` must be an int of at least 1. Received: epochs=0"),
        (X, Y, {"workers": -1}, "`workers` must be 'auto' or an int >= 0"),
        (X, Y, {"max_seconds": 0}, "`max_seconds` must be above 0"),
        (X, Y, {"epoch": 3}, "must get only arguments of keras.Model.fit. Received: epoch"),
    ],
)
def test_data_and_arguments_that_are_wrong(tmp_path, x, y, changed, message):
    study = make_study(tmp_path / "run")
    with pytest.raises(InputError, match=message.replace(". R", r"\. R")):
        study.run(x, y, **{**FIT, **changed})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"objective": "accuracy"}, "name begins with val_.*try 'val_accuracy'"),
        ({"objective": "val_what"}, "if its name does not tell the direction"),
        ({"objective": 3}, "`objective` must be the name of a metric"),
        ({"trials": 0}, "`trials` must be an int of at least 1. Received: trials=0"),
        ({"seeds": 2.0}, "`seeds` must be an int of at least 1"),
        ({"executions": True}, "`executions` must be an int of at least 1"),
        ({"seed": -1}, r"`seed` must be an int in \[0, 2\*\*32\)"),
        ({"tuner": "best"}, "`tuner` must be one of halving, random, bayesian, hyperband, grid"),
        ({"tuner": "hyperband"}, "`trials` must be left out with hyperband"),
    ],
)
def test_arguments_of_a_study_that_are_wrong(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        make_study(tmp_path / "run", **changed)
    assert not (tmp_path / "run").exists()


def test_an_objective_that_is_not_logged(tmp_path):
    message = "must be a metric that `fit` logs: val_accuracy, val_loss"
    with pytest.raises(InputError, match=message):
        make_study(tmp_path / "run", objective="val_auc").run(X, Y, **FIT)


def test_a_model_in_the_place_of_a_function(tmp_path):
    with pytest.raises(InputError, match=r"use Study\.from_model"):
        Study(keras.Sequential([]), arms=[], directory=tmp_path)


def test_a_folder_that_holds_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"must be new, empty, or hold a study.*other files"):
        make_study(tmp_path)
    with pytest.raises(InputError, match="must be a folder"):
        make_study(tmp_path / "thesis.tex")
    with pytest.raises(InputError, match="must be new, empty"):
        make_study(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="`directory` "):
        make_study(tmp_path / "file" / "run").run(X, Y, **FIT)


def test_a_path_that_utf8_cannot_write():
    with pytest.raises(InputError, match="must be a path in UTF-8"):
        make_study("run\udcff")


def test_a_damaged_study_is_told_in_a_sentence(tmp_path):
    make_study(tmp_path / "run", trials=1, finalists=1, seeds=1).run(X, Y, **FIT)
    path = tmp_path / "run" / "study.json"
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))
    with pytest.raises(InputError, match="no second copy, so this study cannot be resumed"):
        make_study(tmp_path / "run")


def test_a_few_rows_that_test_and_training_share_are_a_note(tmp_path):
    test = np.concatenate([TEST[0], X[:2]]), np.concatenate([TEST[1], Y[:2]])
    plan = make_study(tmp_path / "run").plan(X, Y, test_data=test, **FIT)
    assert plan.notes == ["2 of 62 rows of `test_data` are in `x` too."]


def test_a_plan_trains_and_writes_nothing(tmp_path):
    plan = make_study(tmp_path / "run", arms=["leaky_relu", "selu"]).plan(X, Y, **FIT)
    assert plan.n_trainings == 3 * (3 + 2 * 2 + 2)
    text = str(plan)
    assert "alpha 0.001 to 0.5 (log), learning_rate 0.001 to 0.1 (log)" in text
    assert "In all: 27 trainings, 54 epochs." in text
    assert not (tmp_path / "run").exists()
