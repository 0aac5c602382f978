"""What a worker does of a trial gives what the tuner gives, on the other side of a pickle."""

import pickle

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky import tuning
from keras_leaky.tuning._engine.executions import (
    Builder,
    CopiedCallbacks,
    build_and_fit,
    run_executions,
)
from keras_leaky.tuning._engine.seeding import derive_seed
from keras_leaky.tuning._engine.trial_callbacks import SaveBestEpoch
from keras_leaky.tuning.trainer import Trainer

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
OBJECTIVE = keras_tuner.Objective("val_loss", "min")


def build(hp):
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


class WithOwnFit(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [8, 16]), **kwargs)


def search(tuner, **kwargs):
    kwargs = {"epochs": 2, **kwargs}
    tuner.search(X, X[:, 0], validation_split=0.25, verbose=0, **kwargs)


def on_a_worker(tuner, trial, **kwargs):
    """The executions of a trial as a process without the tuner runs them."""
    values = trial.hyperparameters.values
    parent = values.get("tuner/trial_id")
    start = tuner._project.read_checkpoint(parent) if parent else None
    builder = Builder(tuner.hypermodel, tuner.optimizer, tuner.loss, tuner.metrics, start)
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = {**values}
    for parameter in trial.hyperparameters.space:
        hyperparameters.merge([parameter])
    hyperparameters.values = {**values}
    sent = pickle.loads(pickle.dumps((builder, hyperparameters, CopiedCallbacks([]))))
    builder, hyperparameters, callbacks = sent
    executions = run(builder, hyperparameters, callbacks, tuner, **kwargs)
    return pickle.loads(pickle.dumps(executions))


def run(builder, hyperparameters, callbacks, tuner=None, n_executions=1, **kwargs):
    trainer = Trainer()
    kwargs = {"validation_split": 0.25, "verbose": 0, "epochs": 2, **kwargs}

    def train(execution, callbacks):
        return build_and_fit(
            trainer,
            builder,
            builder.hypermodel,
            hyperparameters,
            (X, X[:, 0]),
            {**kwargs, "callbacks": callbacks},
            objective=OBJECTIVE,
            seed=derive_seed(tuner.oracle.seed if tuner else 1, execution),
        )

    return run_executions(
        train,
        hyperparameters,
        callbacks=callbacks,
        objective=OBJECTIVE,
        n_executions=tuner.executions_per_trial if tuner else n_executions,
    )


def check_same(tuner, trial, executions):
    assert executions.failure is None
    assert len(executions.results) == tuner.executions_per_trial
    best = [min(result.history["val_loss"]) for result in executions.results]
    assert np.mean(best) == trial.score
    values = executions.hyperparameters.values
    assert {**trial.hyperparameters.values, **values} == trial.hyperparameters.values
    model = tuner.load_model(trial)
    known = model.get_weights()
    executions.checkpoint.load_into(model)
    for ours, theirs in zip(model.get_weights(), known, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("hypermodel", [build, WithOwnFit()], ids=["function", "own fit"])
def test_a_worker_finds_what_the_tuner_finds(hypermodel, tmp_path):
    tuner = tuning.RandomSearch(
        hypermodel,
        OBJECTIVE,
        max_trials=2,
        seed=1,
        executions_per_trial=2,
        loss="mae",
        directory=tmp_path,
    )
    search(tuner)
    for trial in tuner.oracle.trials.values():
        check_same(tuner, trial, on_a_worker(tuner, trial))
        assert tuner.load_model(trial).loss == "mae"


def test_a_worker_goes_on_with_a_trial_of_hyperband(tmp_path):
    tuner = tuning.Hyperband(build, OBJECTIVE, max_epochs=3, seed=1, directory=tmp_path)
    search(tuner)
    trials = tuner.oracle.trials.values()
    promoted = [t for t in trials if "tuner/trial_id" in t.hyperparameters.values]
    assert promoted
    for trial in promoted:
        values = trial.hyperparameters.values
        epochs = {"epochs": values["tuner/epochs"], "initial_epoch": values["tuner/initial_epoch"]}
        check_same(tuner, trial, on_a_worker(tuner, trial, **epochs))


def test_the_best_step_is_the_best_epoch(tmp_path):
    tuner = tuning.RandomSearch(build, OBJECTIVE, max_trials=2, seed=1, directory=tmp_path)
    search(tuner, epochs=4)
    for trial in tuner.oracle.trials.values():
        (result,) = on_a_worker(tuner, trial, epochs=4).results
        assert trial.best_step == int(np.argmin(result.history["val_loss"]))


def test_a_divergence_is_told_without_a_checkpoint(tmp_path):
    tuner = tuning.RandomSearch(build, OBJECTIVE, max_trials=1, seed=1, directory=tmp_path)
    trial = tuner.oracle.create_trial("tuner0")
    trial.hyperparameters.values["learning_rate"] = 1e30
    executions = on_a_worker(tuner, trial)
    assert executions.failure.startswith("The validation loss became ")
    assert (executions.results, executions.checkpoint) == ([], None)


def test_an_epoch_with_a_broken_loss_is_never_the_best():
    best = SaveBestEpoch(keras_tuner.Objective("val_accuracy", "max"))
    best.set_model(build(keras_tuner.HyperParameters()))
    best.on_epoch_end(0, {"loss": 1.0, "val_loss": float("nan"), "val_accuracy": 0.9})
    assert best.restore() is None
    best.on_epoch_end(1, {"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5})
    best.on_epoch_end(2, {"loss": float("inf"), "val_loss": 1.0, "val_accuracy": 0.8})
    assert best.failure is None
    assert best._value == 0.5


def test_callbacks_are_copied_for_every_execution():
    class Counting(keras.callbacks.Callback):
        n_epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.n_epochs += 1

    given, used = Counting(), []
    copied = CopiedCallbacks([given])

    def callbacks(execution):
        used.extend(copied(execution))
        return used[-1:]

    run(Builder(WithOwnFit()), keras_tuner.HyperParameters(), callbacks, n_executions=2)
    assert [callback.n_epochs for callback in used] == [2, 2]
    assert given.n_epochs == 0


def test_every_execution_has_a_seed_of_its_own():
    seeds = [derive_seed(seed, execution) for seed in (0, 1) for execution in range(10)]
    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**31 for seed in seeds)
