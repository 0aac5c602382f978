"""`compiled_fit` against `model.fit` on the same batches in the same order."""

import dataclasses
import inspect
import logging

import keras
import numpy as np
import pytest

from keras_leaky.layers import LeakyReLU
from keras_leaky.tuning._engine.compiled_fit import build_metrics, compiled_fit
from keras_leaky.tuning._engine.coverage import reason_for_fit
from keras_leaky.tuning._engine.device_data import DeviceData
from keras_leaky.tuning._engine.fit_arguments import FitArguments
from keras_leaky.tuning._engine.programs import ProgramCache, epochs_module

pytestmark = pytest.mark.skipif(epochs_module() is None, reason="needs TensorFlow or JAX")
SEED = 5
N_SAMPLES = 70  # and a smaller last batch
BATCH_SIZE = 16
layers = keras.layers


def make_data(n_samples=N_SAMPLES):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n_samples, 8, 8, 3)).astype("uint8")
    return x, rng.integers(0, 3, n_samples)


def make_model(optimizer=None, middle=(), regularizer=None, jit_compile="auto"):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3), dtype="uint8"),
            layers.Rescaling(1 / 255),
            *(make() for make in middle),
            layers.Conv2D(4, 3, kernel_regularizer=regularizer),
            LeakyReLU(0.1),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        weighted_metrics=["sparse_categorical_crossentropy"],
        jit_compile=jit_compile,
    )
    return model


class Ordered(keras.utils.PyDataset):
    """The batches that `compiled_fit` makes, for `fit`."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays, self.epoch = arrays, -1  # Keras ends an epoch before the first

    def __len__(self):
        return -(-len(self.arrays[0]) // BATCH_SIZE)

    def __getitem__(self, i):
        order = np.random.default_rng([SEED, max(0, self.epoch)]).permutation(len(self.arrays[0]))
        numbers = order[i * BATCH_SIZE : (i + 1) * BATCH_SIZE]
        return tuple(array[numbers] for array in self.arrays)

    def on_epoch_end(self):
        self.epoch += 1


def run_compiled(model, *args, **kwargs):
    arguments = FitArguments.of(args, {**kwargs, "verbose": 0})
    program = ProgramCache(2).find(model)
    assert reason_for_fit(model, arguments) is None
    data = DeviceData(epochs_module())
    assert build_metrics(model, arguments, data) is None
    return compiled_fit(program, arguments, data, [SEED]).history


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "clipped": lambda: keras.optimizers.Adam(0.01, clipnorm=0.1),
    "globally clipped": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.1),
    "averaged": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9),
    "accumulating": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    "scheduled": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.0, 8, warmup_target=0.1, warmup_steps=3)
    ),
}
MIDDLES = {
    "plain": (),
    "batch norm": (layers.BatchNormalization,),
    "dropout": (lambda: layers.Dropout(0.3),),
    "augmented": (layers.RandomFlip, lambda: layers.RandomTranslation(0.2, 0.2)),
}
MIDDLES["all"] = (layers.RandomFlip, *MIDDLES["batch norm"], *MIDDLES["dropout"])
# Together in one net in CI, and one by one in the soak.
ALONE = [(name, "plain") for name in ("sgd", "adam", "adamw")]
ALONE += [("adam", name) for name in ("batch norm", "dropout", "augmented")]
CASES = [(name, "plain") for name in OPTIMIZERS if (name, "plain") not in ALONE]
CASES += [("adamw", "all"), *(pytest.param(*case, marks=pytest.mark.soak) for case in ALONE)]


@pytest.mark.parametrize(("optimizer", "middle"), CASES)
def test_two_epochs_equal_fit(optimizer, middle):
    compare_with_fit(OPTIMIZERS[optimizer], MIDDLES[middle])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of the JAX backend")
@pytest.mark.parametrize("middle", ["plain", "batch norm", "augmented"])
def test_a_call_a_step_equals_fit_as_well(middle, monkeypatch):
    """As for convolutions that are slow in a loop on a CPU."""
    monkeypatch.setattr(
        "keras_leaky.tuning._engine.epochs_jax.is_fast_in_loop", lambda trace: False
    )
    compare_with_fit(OPTIMIZERS["adam"], MIDDLES[middle])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles always")
def test_steps_in_xla_equal_those_of_fit_and_autograph_says_nothing(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    compare_with_fit(OPTIMIZERS["adam"], MIDDLES["batch norm"], jit_compile=True)
    assert not [record for record in caplog.records if "AutoGraph" in record.getMessage()]


@pytest.mark.parametrize("weights", ["class_weight", "sample_weight"])
def test_two_epochs_with_weights_equal_fit(weights):
    _, y = make_data()
    class_weight = {0: 0.5, 2: 3.0}
    sample_weight = np.array([class_weight.get(label, 1.0) for label in y], "float32")
    given = {"class_weight": class_weight, "sample_weight": sample_weight}[weights]
    compare_with_fit(OPTIMIZERS["sgd"], (), sample_weight, **{weights: given})


def compare_with_fit(make_optimizer, middle, *sample_weights, jit_compile="auto", **weights):
    x, y = make_data()
    validation = make_data(20)
    model = make_model(make_optimizer(), middle, "l2", jit_compile)
    batches = Ordered(x, y, *sample_weights)
    expected = model.fit(batches, epochs=2, validation_data=validation, shuffle=False, verbose=0)
    compiled = make_model(make_optimizer(), middle, "l2", jit_compile)
    history = run_compiled(
        compiled, x, y, epochs=2, batch_size=BATCH_SIZE, validation_data=validation, **weights
    )

    assert history.keys() == expected.history.keys()
    for name, values in expected.history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    for ours, theirs in zip(compiled.variables, model.variables, strict=True):
        ours, theirs = map(keras.ops.convert_to_numpy, (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_one_epoch_of_fewer_steps_equals_fit():
    x, y = make_data()
    kwargs = {"batch_size": BATCH_SIZE, "steps_per_epoch": 2, "shuffle": False}
    expected, seen = make_model(), make_model()
    expected.fit(x, y, verbose=0, **kwargs)
    run_compiled(seen, x, y, **kwargs)
    assert int(seen.optimizer.iterations) == 2
    for one, other in zip(seen.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_validation_split_takes_the_last_samples_as_fit_does():
    x, y = make_data()
    kwargs = {"epochs": 1, "batch_size": BATCH_SIZE, "validation_split": 0.25, "shuffle": False}
    expected = make_model().fit(x, y, verbose=0, **kwargs).history
    history = run_compiled(make_model(), x, y, **kwargs)
    assert history["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-5)


def test_validation_data_may_be_inputs_alone():
    x, y = make_data()
    arguments = FitArguments.of((x, y), {"validation_data": x})
    validation = DeviceData(epochs_module()).place(arguments)[1]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(validation[0]), x)
    assert validation[1:] == (None, None)


def test_every_epoch_has_an_order_of_its_own():
    orders = []

    model = make_model()
    program = ProgramCache(2).find(model)
    program.forget_recompiled()
    program.train_epoch = lambda data, order, batch_size: orders.append(order)
    arguments = FitArguments.of(make_data(), {"epochs": 3, "verbose": 0})
    data = DeviceData(epochs_module())
    assert build_metrics(model, arguments, data) is None
    compiled_fit(program, arguments, data, [SEED])
    first = orders[:]
    compiled_fit(program, arguments, data, [SEED])
    compiled_fit(program, arguments, data, [SEED + 1])
    assert len({tuple(order) for order in first}) == 3
    np.testing.assert_array_equal(first, orders[3:6])
    assert not np.array_equal(first, orders[6:])
    assert all(sorted(order) == list(range(N_SAMPLES)) for order in orders)


def test_callbacks_see_what_fit_shows_them():
    x, y = make_data()

    class Recorder(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.calls = []

        def on_train_begin(self, logs=None):
            self.calls.append("train_begin")

        def on_epoch_begin(self, epoch, logs=None):
            self.calls.append(f"epoch_begin {epoch} of {self.params['epochs']}")

        def on_test_begin(self, logs=None):
            self.calls.append("test_begin")

        def on_test_end(self, logs=None):
            self.calls.append(("test_end", sorted(logs or {})))

        def on_epoch_end(self, epoch, logs=None):
            self.calls.append((f"epoch_end {epoch}", sorted(logs or {})))
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            self.calls.append(("train_end", sorted(logs or {})))

    kwargs = {"epochs": 5, "batch_size": BATCH_SIZE, "validation_data": make_data(20)}
    expected, seen = Recorder(), Recorder()
    make_model().fit(x, y, callbacks=[expected], verbose=0, **kwargs)
    run_compiled(make_model(), x, y, callbacks=[seen], **kwargs)
    assert seen.calls == expected.calls


def test_all_arguments_of_fit_are_known():
    known = {"self", *(field.name for field in dataclasses.fields(FitArguments))}
    assert known == set(inspect.signature(keras.Model.fit).parameters)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("`steps_per_epoch` is given", {"steps_per_epoch": 2, "epochs": 2}),
        ("`steps_per_epoch` is given", {"steps_per_epoch": N_SAMPLES}),
        ("`steps_per_epoch` is given", {"steps_per_epoch": 1.5}),
        ("the data are not arrays", {"x": [[1.0], [2.0]]}),
        ("`validation_freq` is [1, 3]", {"validation_freq": [1, 3]}),
        ("`batch_size` is -1", {"batch_size": -1}),
        ("arrays are empty or differ in length", {"y": np.zeros(3)}),
        ("arrays are empty or differ in length", {"x": np.zeros((0, 8, 8, 3)), "y": np.zeros(0)}),
        ("`validation_split` leaves no training data", {"validation_split": 1.0}),
        (
            "only `fit` covers these sample or class weights",
            {"sample_weight": np.ones(N_SAMPLES), "class_weight": {0: 2.0}},
        ),
        ("ModelCheckpoint has `on_train_batch_end`", {"checkpoint": 5}),
        ("LambdaCallback has `on_train_batch_end`", {"hook": True}),
        ("TensorBoard has `on_train_batch_begin`", {"tensorboard": True}),
    ],
)
def test_what_is_not_covered_has_a_reason(reason, change, tmp_path):
    x, y = make_data()
    callbacks = keras.callbacks
    kwargs = {"x": x, "y": y, **change}
    if kwargs.pop("checkpoint", None):
        kwargs["callbacks"] = [callbacks.ModelCheckpoint(tmp_path / "a.keras", save_freq=5)]
    if kwargs.pop("hook", None):
        kwargs["callbacks"] = [callbacks.LambdaCallback(on_train_batch_end=print)]
    if kwargs.pop("tensorboard", None):
        kwargs["callbacks"] = [callbacks.TensorBoard(tmp_path)]
    assert reason_for_fit(make_model(), FitArguments.of((), kwargs)) == reason


def test_callbacks_of_keras_without_hooks_for_batches_are_covered(tmp_path):
    x, y = make_data()
    given = [
        keras.callbacks.EarlyStopping(),
        keras.callbacks.ReduceLROnPlateau(),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"),
        keras.callbacks.LambdaCallback(on_epoch_end=print),
    ]
    assert reason_for_fit(make_model(), FitArguments.of((x, y), {"callbacks": given})) is None


def test_a_train_step_of_its_own_is_left_to_fit():
    class Model(keras.Model):
        def train_step(self, *args):
            return super().train_step(*args)

    inputs = keras.Input((2,))
    model = Model(inputs, layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    arguments = FitArguments.of((np.zeros((4, 2)), np.zeros(4)), {})
    assert reason_for_fit(model, arguments) == "the model has its own `train_step`"
