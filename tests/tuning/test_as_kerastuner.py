"""What subclasses and HyperModels of KerasTuner's users do, here and in KerasTuner."""

import gc
import inspect
import logging
import re

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky import tuning

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1]


@pytest.fixture(scope="module", autouse=True)
def no_cleaning():
    """KerasTuner does it before each trial, which takes most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *args: 0)
        patch.setattr(keras.backend, "clear_session", lambda: None)
        yield


def build(hp):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Choice("width", [2, 3]))])
    model.add(keras.layers.Dense(1))
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.01, 0.1])), "mse")
    return model


def search(tuner, **kwargs):
    kwargs = {"validation_split": 0.25, "epochs": 2, "verbose": 0, **kwargs}
    tuner.search(X, Y, **kwargs)
    return tuner


# Every method of keras_tuner.Tuner that its documentation, or AutoKeras, has a subclass override.
METHODS = (
    *("on_search_begin", "on_search_end", "pre_create_trial", "on_trial_begin", "on_trial_end"),
    *("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end", "run_trial"),
    *("_build_and_fit_model", "_build_hypermodel", "_try_build", "_override_compile_args"),
    *("_deepcopy_callbacks", "_configure_tensorboard_dir", "_populate_initial_space"),
    *("load_model", "get_best_models", "results_summary", "search_space_summary"),
)


def recording(cls, methods):
    """A subclass that overrides `methods`, and the list to which it adds their calls."""
    calls = []

    def override(name):
        def method(self, *args, **kwargs):
            bound = inspect.signature(getattr(cls, name)).bind(self, *args, **kwargs)
            arguments = () if name == "load_model" else bound.arguments.values()  # which is best
            calls.append((name, *map(summary, arguments)))
            return getattr(cls, name)(self, *args, **kwargs)

        return method

    return type("Mine", (cls,), {name: override(name) for name in methods}), calls


def summary(value):
    """What an argument of a hook is, without what differs between two searches."""
    if isinstance(value, keras_tuner.engine.trial.Trial):
        return "trial", value.trial_id
    if isinstance(value, keras_tuner.HyperParameters):
        names = sorted(value.values)  # without Hyperband's, which not every best trial has
        return "hyperparameters", *(name for name in names if not name.startswith("tuner/"))
    if isinstance(value, dict):  # logs, or arguments of `fit`
        return sorted(value)
    return value if isinstance(value, int) else type(value).__name__.replace("Functional", "Model")


def calls_of(package, name, methods, folder):
    cls, calls = recording(getattr(package, name), methods)
    limits = {
        "RandomSearch": {"max_trials": 2, "executions_per_trial": 2},
        "Hyperband": {"max_epochs": 2, "factor": 2},
    }
    tuner = cls(build, "val_loss", seed=1, directory=folder, **limits[name])
    tuner.search_space_summary()
    search(tuner)
    tuner.get_best_models()
    tuner.results_summary()
    return [
        [re.sub("Mine|RandomSearch|Hyperband", "tuner", str(part)) for part in call]
        for call in calls
    ]


@pytest.fixture(scope="module")
def calls_in_kerastuner(tmp_path_factory):
    return {
        name: calls_of(keras_tuner, name, METHODS, tmp_path_factory.mktemp(name))
        for name in ("RandomSearch", "Hyperband")
    }


@pytest.mark.parametrize("name", ["RandomSearch", "Hyperband"])
def test_what_a_subclass_overrides_is_called_as_in_kerastuner(name, calls_in_kerastuner, tmp_path):
    """The kind: a method that a subclass overrides, and that nobody calls."""
    known = calls_in_kerastuner[name]
    assert {call[0] for call in known} == set(METHODS)
    assert calls_of(tuning, name, METHODS, tmp_path) == known


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_is_overridden_alone_is_called_as_well(method, calls_in_kerastuner, tmp_path):
    known = [call for call in calls_in_kerastuner["RandomSearch"] if call[0] == method]
    assert calls_of(tuning, "RandomSearch", [method], tmp_path) == known


def test_a_checkpoint_is_where_a_subclass_looks_for_it(tmp_path):
    class Tuner(tuning.RandomSearch):
        def get_trial_dir(self, trial_id):
            folder = tmp_path / f"elsewhere_{trial_id}"
            folder.mkdir(exist_ok=True)
            return str(folder)

    tuner = search(Tuner(build, "val_loss", max_trials=2, seed=1, directory=tmp_path))
    loss = tuner.get_best_models()[0].evaluate(X[48:], Y[48:], verbose=0)
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score)


def test_autokeras_way_of_training_is_scored_and_saved(tmp_path):
    """It builds the model by itself, changes the data, and calls `fit` of the model."""

    class Tuner(tuning.RandomSearch):
        def _build_and_fit_model(self, trial, *args, **kwargs):
            model = self._try_build(trial.hyperparameters)
            kwargs["batch_size"] = 8
            return model.fit(*args, **kwargs)

    tuner = search(Tuner(build, "val_loss", max_trials=2, seed=1, directory=tmp_path))
    loss = tuner.get_best_models()[0].evaluate(X[48:], Y[48:], verbose=0)
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score)


class KFold(keras_tuner.HyperModel):
    """The score of k models, none of which is the one that was built."""

    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, x, y, callbacks, **kwargs):
        scores = []
        for fold in range(2):
            fresh = keras.models.clone_model(model)
            fresh.compile("sgd", "mse")
            fresh.fit(x[fold::2], y[fold::2], verbose=0)
            scores.append(fresh.evaluate(x[1 - fold :: 2], y[1 - fold :: 2], verbose=0))
        return float(np.mean(scores))


class WithoutCallbacks(KFold):
    def fit(self, hp, model, x, y, callbacks, **kwargs):
        model.fit(x, y, verbose=0)
        return {"val_loss": 1.0}


class Unbuilt(KFold):
    def build(self, hp):
        hp.Choice("width", [2, 3])
        return keras.Sequential([keras.layers.Dense(1)])


@pytest.mark.parametrize("hypermodel", [KFold, WithoutCallbacks, Unbuilt])
@pytest.mark.parametrize("package", [keras_tuner, tuning])
def test_a_model_of_which_no_epoch_was_seen_is_not_handed_out(package, hypermodel, tmp_path):
    """The kind: weights that are not those of the score. KerasTuner refuses as well."""
    if package is keras_tuner and hypermodel is Unbuilt:
        pytest.skip("KerasTuner cannot read the build config of a model that was never built")
    tuner = package.RandomSearch(hypermodel(), "val_loss", max_trials=2, seed=1, directory=tmp_path)
    search(tuner)
    assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
    assert tuner.get_best_hyperparameters()
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        tuner.get_best_models()
    if package is tuning:
        assert re.search(
            r"Trial \d has a score but no weights.*pass its `callba", str(caught.value)
        )


def test_hyperband_without_weights_to_go_on_with_ends_with_the_reason(tmp_path):
    tuner = tuning.Hyperband(
        WithoutCallbacks(), "val_loss", max_epochs=2, factor=2, seed=1, directory=tmp_path
    )
    with pytest.raises(keras_tuner.errors.FatalError, match="has a score but no weights"):
        search(tuner)


def test_the_callbacks_of_kfold_give_the_best_epoch_of_all_folds(tmp_path):
    class WithCallbacks(KFold):
        def fit(self, hp, model, x, y, callbacks, **kwargs):
            losses = []
            for _ in range(2):
                fresh = keras.models.clone_model(model)
                fresh.compile("sgd", "mse")
                history = fresh.fit(
                    x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=callbacks
                )
                losses += history.history["val_loss"]
            return min(losses)

    tuner = tuning.RandomSearch(
        WithCallbacks(), "val_loss", max_trials=2, seed=1, directory=tmp_path
    )
    search(tuner)
    loss = tuner.get_best_models()[0].evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score)


def history_by_hand(hp, model, *args, **kwargs):
    history = keras.callbacks.History()
    history.history = {"val_loss": [3.0, 1.0, 2.0]}
    return history


def history_of_fit(hp, model, *args, **kwargs):
    return model.fit(*args, **kwargs)


@pytest.mark.parametrize("is_attribute", [True, False])
def test_a_fit_may_return_a_history_made_by_hand_and_be_an_attribute(is_attribute, tmp_path):
    hypermodel = KFold()
    if is_attribute:
        hypermodel.fit = history_by_hand
    else:
        hypermodel = type("Mine", (KFold,), {"fit": lambda self, *a, **k: history_by_hand(*a)})()
    tuner = tuning.RandomSearch(hypermodel, "val_loss", max_trials=2, seed=1, directory=tmp_path)
    trials = search(tuner).oracle.trials.values()
    assert [(trial.score, trial.best_step) for trial in trials] == [(1.0, 1)] * 2


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("a", r"return value of HyperModel\.fit\(\) to be one of float, dict"),
        (None, r"return value of HyperModel\.fit\(\) is None"),
        ({"loss": 1.0}, r"dictionary from HyperModel\.fit\(\) to have the specified objective"),
    ],
)
def test_a_wrong_result_is_blamed_on_the_fit_that_returned_it(result, message, tmp_path):
    hypermodel = KFold()
    hypermodel.fit = lambda hp, model, *args, **kwargs: result
    tuner = tuning.RandomSearch(hypermodel, "val_loss", max_trials=2, seed=1, directory=tmp_path)
    with pytest.raises(keras_tuner.errors.FatalError, match=message):
        search(tuner)


@pytest.mark.parametrize("oracle", [None, "random", keras_tuner.oracles.RandomSearchOracle])
def test_an_oracle_that_is_none_is_refused(oracle, tmp_path):
    with pytest.raises(ValueError, match=r"Expected `oracle` argument.*Received: oracle="):
        tuning.ReusingTuner(oracle, build, directory=tmp_path)


LOGGED = "which is loss, val_loss: name one of these"
OBJECTIVES = {
    "val_accuracy": rf"{LOGGED}\. Received: objective='val_accuracy'",
    "val_los": rf"{LOGGED}\. Received: objective='val_los'",
    None: rf"{LOGGED}\. Received: objective=None",
    "val_loss": r"is loss: give `search` a `validation_split` or `validation_data`, or name one",
    ("val_loss", "val_mae"): rf"{LOGGED}\. Received: objective='val_mae'",
}


def objective_of(name):
    if isinstance(name, tuple):
        return [objective_of(one) for one in name]
    return name and keras_tuner.Objective(name, "min")


@pytest.mark.parametrize("fit", [None, history_of_fit])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_that_is_not_logged_ends_the_search_at_once(name, fit, tmp_path):
    """The kind: what no trial can give. One sentence that says what there is, not three crashes."""
    if name is None and fit:
        pytest.skip("KerasTuner says what a HyperModel.fit has to return then")
    n_built = 0

    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            nonlocal n_built
            n_built += 1
            return build(hp)

    hypermodel = Model()
    if fit:
        hypermodel.fit = fit
    arguments = {"max_trials": 5, "seed": 1, "directory": tmp_path}
    tuner = tuning.RandomSearch(hypermodel, objective_of(name), **arguments)
    before = n_built
    kwargs = {"validation_split": 0.0} if name == "val_loss" else {}
    with pytest.raises(keras_tuner.errors.FatalValueError, match=OBJECTIVES[name]) as caught:
        search(tuner, **kwargs)
    assert "\n" not in str(caught.value)
    assert n_built == before + 1


def test_a_project_without_results_may_go_on_with_another_objective(tmp_path):
    arguments = {"max_trials": 2, "seed": 1, "directory": tmp_path}
    with pytest.raises(keras_tuner.errors.FatalValueError, match=r"name one of these"):
        search(tuning.RandomSearch(build, "val_accuracy", **arguments))
    tuner = search(tuning.RandomSearch(build, "val_loss", **arguments))
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 2


def data_as(kind):
    if kind == "arrays":
        return X, Y
    if kind == "tensors":
        return keras.ops.convert_to_tensor(X), keras.ops.convert_to_tensor(Y)
    return {"a": X[:, :2], "b": X[:, 2:]}, [Y]


@pytest.mark.parametrize("kind", ["arrays", "tensors", "nested"])
def test_other_data_for_a_project_are_told(kind, tmp_path, caplog, monkeypatch):
    """Also in one process, and by every search from then on: its trials saw both."""
    monkeypatch.setattr(tuning.ReusingTuner, "_build_and_fit_model", lambda *args, **kwargs: 1.0)
    x, y = data_as(kind)
    last = np.arange(len(X))[:, None] == len(X) - 1
    changed = keras.tree.map_structure(lambda a: a * (1 + last.astype("float32")), x)

    def warnings_of(n_trials, *args, **kwargs):
        caplog.clear()
        tuner = tuning.RandomSearch(
            build, "val_loss", max_trials=n_trials, seed=1, directory=tmp_path
        )
        tuner.search(*args, verbose=0, **kwargs)
        return caplog.text

    with caplog.at_level(logging.WARNING, "keras_leaky"):
        assert warnings_of(1, x, y) == ""
        assert warnings_of(2, y=y, x=x) == ""  # the same, by name
        assert "trained on other data" in (text := warnings_of(3, changed, y))
        assert text.rstrip().endswith("Changed: `x`")
        assert "Changed: `x`" in warnings_of(3, x, y)
        shorter = keras.tree.map_structure(lambda a: a[:9], (x, y))
        assert "Changed: `x`, `y`" in warnings_of(4, *shorter)


@pytest.mark.parametrize("kind", ["data set", "generator", "function", "strings"])
def test_data_that_cannot_be_compared_are_not_told(kind, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(tuning.ReusingTuner, "_build_and_fit_model", lambda *args, **kwargs: 1.0)

    class Data(keras.utils.PyDataset):
        def __getitem__(self, index):
            return X, Y

    make = {
        "data set": Data,
        "generator": lambda: iter([(X, Y)]),
        "function": lambda: lambda: X,
        "strings": lambda: np.array([["a", object()]], dtype=object),
    }[kind]
    with caplog.at_level(logging.WARNING, "keras_leaky"):
        for n_trials in (1, 2):
            tuner = tuning.RandomSearch(
                build, "val_loss", max_trials=n_trials, seed=1, directory=tmp_path
            )
            tuner.search(make(), verbose=0)
    assert caplog.text == ""


def test_a_project_from_before_data_were_kept_goes_on_in_silence(tmp_path, caplog):
    search(keras_tuner.RandomSearch(build, "val_loss", max_trials=1, seed=1, directory=tmp_path))
    with caplog.at_level(logging.WARNING, "keras_leaky"):
        tuner = tuning.RandomSearch(build, "val_loss", max_trials=2, seed=1, directory=tmp_path)
        assert len(search(tuner, epochs=1).oracle.trials) == 2
    assert "data" not in caplog.text
