"""ReusingTuner as a user of KerasTuner meets it."""

import inspect
import json
import logging

import keras
import keras_tuner
import numpy as np
import pytest

import keras_leaky
from keras_leaky import tuning

layers = keras.layers
TUNERS = ("RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch")


def make_data(n_samples=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_samples, 6)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64")


def build(hp):
    alpha = hp.Choice("alpha", [0.01, 0.1, 0.3])
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5),
            keras_leaky.layers.LeakyReLU(alpha),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def run(tuner, y=None, **kwargs):
    x, labels = make_data()
    y = labels if y is None else y
    tuner.search(x, y, **{"epochs": 2, "validation_split": 0.25, "verbose": 0, **kwargs})
    return list(tuner.oracle.trials.values())


@pytest.mark.parametrize("name", TUNERS)
def test_arguments_are_those_of_kerastuner(name):
    ours, theirs = getattr(tuning, name), getattr(keras_tuner, name)
    parameters = [
        [(one.name, one.default, one.kind) for one in inspect.signature(tuner).parameters.values()]
        for tuner in (ours, theirs)
    ]
    assert parameters[0] == parameters[1]
    assert issubclass(ours, theirs)


@pytest.mark.parametrize("name", TUNERS)
def test_each_tuner_searches(name, tmp_path):
    limit = {"max_epochs": 3} if name == "Hyperband" else {"max_trials": 3}
    tuner = getattr(tuning, name)(build, "val_accuracy", seed=1, directory=tmp_path, **limit)
    trials = run(tuner)
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert len(tuner._trainer._programs._programs) == 1
    x, y = make_data()
    model = tuner.get_best_models()[0]
    assert len(model.weights) == 4  # no slope in a variable
    best = max(trial.score for trial in trials)
    assert model.evaluate(x[48:], y[48:], verbose=0)[1] == pytest.approx(best)


# As KerasTuner's guide "Getting started with KerasTuner" has it, but for the import and the sizes.
GUIDE = """
import keras
import numpy as np
from keras import layers
{import_}

def build_model(hp):
    model = keras.Sequential()
    model.add(layers.Flatten())
    model.add(
        layers.Dense(
            units=hp.Int("units", min_value=32, max_value=64, step=32),
            activation=hp.Choice("activation", ["relu", "tanh"]),
        )
    )
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model

build_model(keras_tuner.HyperParameters())
tuner = {class_}(
    hypermodel=build_model,
    objective="val_accuracy",
    max_trials=3,
    executions_per_trial=2,
    overwrite=True,
    directory=folder,
    project_name="helloworld",
)
tuner.search_space_summary()
rng = np.random.default_rng(0)
x = rng.random((80, 28, 28, 1)).astype("float32")
y = keras.utils.to_categorical(rng.integers(0, 10, 80), 10)
tuner.search(x[:60], y[:60], epochs=2, validation_data=(x[60:], y[60:]))
models = tuner.get_best_models(num_models=2)
best_model = models[0]
best_model.summary()
tuner.results_summary()
best_hps = tuner.get_best_hyperparameters(5)
model = build_model(best_hps[0])
model.fit(x=x, y=y, epochs=1)
"""


def test_the_script_of_kerastuners_guide_runs_with_another_import(tmp_path, capsys):
    import_ = "import keras_tuner\nimport keras_leaky.tuning"
    script = GUIDE.format(import_=import_, class_="keras_leaky.tuning.RandomSearch")
    variables = {"folder": str(tmp_path)}
    exec(compile(script, "guide", "exec"), variables)
    assert len(variables["best_hps"]) == 3
    output = capsys.readouterr().out
    assert "Results summary" in output
    assert "Trial 3 Complete" in output
    assert (tmp_path / "helloworld" / "oracle.json").exists()


def test_hyperparameters_of_structure_share_programs_where_they_can(tmp_path):
    def build_wide(hp):
        hp.Choice("nothing", [1, 2])
        width = hp.Choice("width", [3, 5])
        return keras_tuner_model(width, hp.Float("rate", 0.01, 0.1))

    def keras_tuner_model(width, rate):
        model = keras.Sequential([keras.Input((6,)), layers.Dense(width), layers.Dense(2)])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    tuner = tuning.RandomSearch(build_wide, "loss", max_trials=8, seed=1, directory=tmp_path)
    run(tuner, y=np.zeros((64, 2)))
    assert len(tuner._trainer._programs._programs) == 2


def test_a_fit_of_ones_own_is_honoured(tmp_path, caplog):
    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

    tuner = tuning.RandomSearch(Model(), "val_accuracy", max_trials=4, seed=1, directory=tmp_path)
    with caplog.at_level(logging.WARNING, "keras_leaky"):
        trials = run(tuner)
    assert {trial.hyperparameters.values["batch_size"] for trial in trials} == {16, 32}
    assert len(tuner._trainer._programs._programs) == 1
    assert not caplog.text  # its `model.fit` is one call an epoch too


def test_a_training_loop_of_ones_own_gets_new_models(tmp_path):
    """As in KerasTuner's guide "Tune hyperparameters in your custom training loop"."""
    models = []

    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            width = hp.Int("width", 2, 4)
            inputs = keras.Input((6,))
            return keras.Model(inputs, layers.Dense(1)(layers.Dense(width)(inputs)))

        def fit(self, hp, model, x, y, **kwargs):
            models.append(model)
            rate = hp.Float("rate", 0.1, 0.2)
            for callback in kwargs["callbacks"]:
                callback.set_model(model)
            for callback in kwargs["callbacks"]:
                callback.on_epoch_end(0, {"val_loss": rate})
            return rate

    tuner = tuning.RandomSearch(Model(), "val_loss", max_trials=3, seed=1, directory=tmp_path)
    trials = run(tuner)
    assert len({id(model) for model in models}) == 3
    for trial in trials:
        assert trial.score == trial.hyperparameters.values["rate"]


def test_a_model_that_is_not_compiled_is_told_by_fit(tmp_path):
    def build_uncompiled(hp):
        hp.Float("rate", 0.1, 0.2)
        return keras.Sequential([keras.Input((6,)), layers.Dense(1)])

    tuner = tuning.RandomSearch(build_uncompiled, "val_loss", max_trials=5, directory=tmp_path)
    with pytest.raises(RuntimeError, match=r"(?s)3 trials in a row failed.*You must call `compile"):
        run(tuner)


def test_several_inputs_and_outputs(tmp_path, caplog):
    def build_two(hp):
        rate = hp.Float("rate", 0.01, 0.1)
        a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
        x = keras_leaky.layers.LeakyReLU(rate)(layers.Concatenate()([a, b]))
        outputs = {"c": layers.Dense(1, name="c")(x), "d": layers.Dense(1, name="d")(x)}
        model = keras.Model({"a": a, "b": b}, outputs)
        model.compile(keras.optimizers.SGD(rate), {"c": "mse", "d": "mae"}, metrics={"c": ["mae"]})
        return model

    x, _ = make_data()
    tuner = tuning.RandomSearch(build_two, "val_loss", max_trials=3, seed=1, directory=tmp_path)
    data = {"a": x, "b": 2 * x}, {"c": x[:, :1], "d": x[:, 1:2]}
    tuner.search(*data, validation_data=data, epochs=2, verbose=0)
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 3
    assert len(tuner._trainer._programs._programs) == 1
    assert tuner.oracle.trials["0"].metrics.exists("val_c_mae")


def test_a_fit_that_compiles_anew_gets_a_program_of_its_own(tmp_path):
    class Model(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            assert isinstance(model.optimizer, keras.optimizers.Adam)
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model.fit(*args, **kwargs)

    tuner = tuning.RandomSearch(Model(), "val_accuracy", max_trials=3, seed=1, directory=tmp_path)
    assert [trial.status for trial in run(tuner)] == ["COMPLETED"] * 3


def test_a_reason_for_fit_is_told_once(tmp_path, caplog):
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    tuner = tuning.RandomSearch(build, "val_accuracy", max_trials=3, seed=1, directory=tmp_path)
    with caplog.at_level(logging.WARNING, "keras_leaky"):
        run(tuner, callbacks=[callback])
    is_torch = keras.backend.backend() == "torch"
    reason = "the backend is torch" if is_torch else "LambdaCallback has `on_train_batch_end`"
    assert caplog.text.count(f"because {reason}") == 1


def test_trials_that_diverge_fail_with_a_reason_and_do_not_end_the_search(tmp_path):
    def build_divergent(hp):
        model = build(hp)
        model.optimizer.learning_rate = 1e30 if hp.Int("n", 0, 9) else 0.01
        return model

    tuner = tuning.GridSearch(build_divergent, "val_loss", max_trials=6, directory=tmp_path)
    tuner.oracle.hyperparameters.Fixed("alpha", 0.1)
    tuner.oracle.hyperparameters.Fixed("learning_rate", 0.1)
    trials = run(tuner)
    failed = [trial for trial in trials if trial.status == "FAILED"]
    assert len(trials) == 6
    assert len(failed) == 5
    for trial in failed:
        assert trial.message.startswith("The training loss became ")
        assert trial.score is None
    assert len(tuner.get_best_hyperparameters(6)) == 1
    folder = tmp_path / "untitled_project" / f"trial_{failed[0].trial_id}"
    assert json.loads((folder / "trial.json").read_text())["status"] == "FAILED"


def test_crashes_in_a_row_end_the_search_with_the_reason(tmp_path):
    n_calls = 0

    def build_broken(hp):
        nonlocal n_calls
        n_calls += 1
        if n_calls > 1:  # the first is for the search space
            raise OSError("the disk is on fire")
        return build(hp)

    tuner = tuning.RandomSearch(build_broken, "val_loss", max_trials=6, directory=tmp_path)
    with pytest.raises(RuntimeError, match=r"(?s)3 trials in a row failed.*the disk is on fire"):
        run(tuner)


def test_crashes_that_are_not_in_a_row_do_not_end_the_search(tmp_path, monkeypatch):
    n_calls = 0

    def train(*args, **kwargs):
        nonlocal n_calls
        n_calls += 1
        if n_calls % 3:
            raise OSError("broken")
        return 0.5

    monkeypatch.setattr(tuning.ReusingTuner, "_build_and_fit_model", train)
    trials = run(tuning.RandomSearch(build, "val_loss", max_trials=6, directory=tmp_path))
    assert sorted(trial.status for trial in trials) == ["COMPLETED"] * 2 + ["FAILED"] * 4


def test_nothing_is_best_where_nothing_was_completed(tmp_path):
    tuner = tuning.RandomSearch(build, "val_accuracy", max_trials=2, directory=tmp_path)
    for method in (tuner.get_best_models, tuner.get_best_hyperparameters):
        with pytest.raises(ValueError, match=r"No trial was completed\. Call `search` first"):
            method()


def test_the_reason_why_nothing_was_completed_is_told(tmp_path):
    tuner = tuning.RandomSearch(build, "val_accuracy", max_trials=2, directory=tmp_path)
    x, y = make_data()
    tuner.search(np.full_like(x, np.nan, "float32"), y, validation_split=0.5, verbose=0)
    message = (
        r"No trial was completed\. The first one failed: The training loss became nan in epoch 1"
    )
    with pytest.raises(ValueError, match=message):
        tuner.get_best_models()


def test_a_project_is_resumed(tmp_path):
    kwargs = {"objective": "val_accuracy", "seed": 1, "directory": tmp_path}
    run(tuning.RandomSearch(build, max_trials=2, **kwargs))
    trials = run(tuning.RandomSearch(build, max_trials=4, **kwargs))
    assert sorted(trial.trial_id for trial in trials) == ["0", "1", "2", "3"]


def test_a_project_of_another_space_or_objective_is_refused(tmp_path):
    kwargs = {"max_trials": 2, "seed": 1, "directory": tmp_path}
    run(tuning.RandomSearch(build, "val_accuracy", **kwargs))

    def other(hp):
        hp.Choice("alpha", [0.5, 0.6])
        return build(hp)

    with pytest.raises(
        ValueError, match=r"The search space must be the one of .*Received: .*alpha"
    ):
        tuning.RandomSearch(other, "val_accuracy", **kwargs)
    with pytest.raises(
        ValueError, match=r"The objective must be the one of .*Received: \['min val_l"
    ):
        tuning.RandomSearch(build, "val_loss", **kwargs)
    tuning.RandomSearch(other, "val_loss", overwrite=True, **kwargs)


def test_a_build_that_returns_no_model_ends_the_search(tmp_path):
    tuner = tuning.RandomSearch(build, "val_accuracy", max_trials=2, directory=tmp_path)
    tuner.hypermodel.build = lambda hp: "model"
    with pytest.raises(
        keras_tuner.errors.FatalTypeError, match=r"must return a keras\.Model\. Rec"
    ):
        run(tuner)


@pytest.mark.parametrize("name", TUNERS)
def test_a_hypermodel_is_needed(name, tmp_path):
    with pytest.raises(
        ValueError, match=r"`hypermodel` must be a function .*Received: hypermodel=N"
    ):
        getattr(tuning, name)(objective="loss", directory=tmp_path)


def test_a_subclass_may_run_trials_of_its_own(tmp_path):
    class Tuner(tuning.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return trial.hyperparameters.Float("x", -1.0, 1.0) ** 2

    tuner = Tuner(objective=None, max_trials=3, seed=1, directory=tmp_path)
    tuner.search()
    assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}


def test_models_that_are_too_large_fail(tmp_path):
    tuner = tuning.RandomSearch(
        build, "val_accuracy", max_trials=2, directory=tmp_path, max_model_size=3
    )
    trials = run(tuner)
    assert {trial.status for trial in trials} == {"FAILED"}
    assert "The model has 47 parameters, more than `max_model_size`: 3" in trials[0].message


def test_hooks_of_a_subclass_are_called(tmp_path):
    calls = []

    class Tuner(tuning.RandomSearch):
        def on_epoch_begin(self, trial, model, epoch, logs=None):
            calls.append(("begin", epoch))

        def on_epoch_end(self, trial, model, epoch, logs=None):
            calls.append(("end", epoch, "val_accuracy" in logs))

    run(Tuner(build, "val_accuracy", max_trials=1, seed=1, directory=tmp_path))
    assert calls == [("begin", 0), ("end", 0, True), ("begin", 1), ("end", 1, True)]


def test_hooks_for_batches_of_a_subclass_are_called(tmp_path):
    batches = []

    class Tuner(tuning.RandomSearch):
        def on_batch_end(self, trial, model, batch, logs=None):
            batches.append(batch)

    run(Tuner(build, "val_accuracy", max_trials=1, seed=1, directory=tmp_path), batch_size=16)
    assert batches == [0, 1, 2] * 2


def test_early_stopping_ends_a_trial(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    epochs = []

    class Tuner(tuning.RandomSearch):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            epochs.append(epoch)

    tuner = Tuner(build, "val_accuracy", max_trials=2, seed=1, directory=tmp_path)
    run(tuner, epochs=5, callbacks=[Stop()])
    assert epochs == [0, 1] * 2


def test_models_without_an_input_are_built_for_the_data(tmp_path):
    def build_late(hp):
        rate = hp.Float("rate", 0.01, 0.1)
        model = keras.Sequential([layers.Dense(3), layers.Dense(2)])
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    tuner = tuning.RandomSearch(build_late, "val_loss", max_trials=3, seed=1, directory=tmp_path)
    run(tuner, y=np.zeros((64, 2)))
    assert len(tuner._trainer._programs._programs) == 1
    assert len(tuner.get_best_models()) == 1


def test_generators_go_through_fit(tmp_path, caplog):
    if keras.backend.backend() == "torch":
        pytest.skip("goes through fit there for another reason")
    x, y = make_data()

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return x[i * 16 : (i + 1) * 16], y[i * 16 : (i + 1) * 16]

    tuner = tuning.RandomSearch(build, "val_accuracy", max_trials=2, seed=1, directory=tmp_path)
    with caplog.at_level(logging.WARNING, "keras_leaky"):
        tuner.search(Batches(), validation_data=(x, y), epochs=2, verbose=0)
    assert "because the data are not arrays" in caplog.text
    assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}
