"""The kind of fault: two objects of Keras that differ in one argument share a compiled program.

A config may leave an argument out, as `Huber`'s does, so nothing here asks for one.
"""

import warnings

import keras
import numpy as np
import pytest

from keras_leaky.tuning import Trainer
from keras_leaky.tuning._engine.new_session import in_new_session
from keras_leaky.tuning._engine.programs import build_optimizer
from keras_leaky.tuning._engine.structure import structure_of
from tests.tuning.keras_arguments import GROUPS, OTHERS, arguments, classes, make

# No value by itself: it needs another argument beside it.
NOT_ALONE = {
    ("Bidirectional", "backward_layer"),
    ("Discretization", "bin_boundaries"),  # in the place of `num_bins`
    ("Embedding", "weights"),  # the number of a variable
    ("Normalization", "mean"),
    ("Normalization", "variance"),
    ("STFTSpectrogram", "fft_length"),
}


def compiling_with(group, part):
    """Arguments for `compile`, with the part where it belongs, if it belongs there."""
    parts = {
        "schedules": lambda: {"optimizer": keras.optimizers.SGD(part)},
        "optimizers": lambda: {"optimizer": part},
        "losses": lambda: {"loss": part},
        "metrics": lambda: {"metrics": [part]},
    }
    return {"optimizer": "sgd", "loss": "mse", **parts.get(group, dict)()}


def model_with(group, part):
    dense = keras.layers.Dense(1)
    if group == "regularizers":
        dense.kernel_regularizer = part
    elif group == "constraints":
        dense.kernel_constraint = part
    elif group == "layers":
        dense.part = part
    model = keras.Sequential([keras.Input((4,)), dense])
    model.compile(**compiling_with(group, part))
    build_optimizer(model)
    return model


def structure_with(group, cls, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return in_new_session(lambda: structure_of(model_with(group, make(cls, **given))))


@pytest.mark.parametrize(
    ("group", "step"),
    [(group, 8 if group == "layers" else 1) for group in GROUPS]
    + [pytest.param("layers", 1, marks=pytest.mark.soak)],
)
def test_every_argument_is_compared(group, step):
    """Of every class, or of every eighth."""
    missed, n_compared = [], 0
    for cls in classes(group)[::step]:
        if cls.__name__ == "MultiOptimizer":
            continue  # needs a model to map its variables
        first = structure_with(group, cls)
        if first is None:
            continue  # never shares a program
        assert first == structure_with(group, cls), cls
        for argument in arguments(cls):
            if _differs_with_some_value(group, cls, argument, first):
                n_compared += 1
            else:
                missed.append((cls.__name__, argument))
    assert set(missed) <= NOT_ALONE
    assert n_compared >= 4


def _differs_with_some_value(group, cls, argument, first):
    for value in OTHERS:
        try:
            other = structure_with(group, cls, **{argument: value})
        except Exception:  # not a value for this argument
            continue
        if other != first:
            return True
    return False


def test_arguments_that_stand_in_twos():
    def different(cls, some, others):
        return structure_with("layers", cls, **some) != structure_with("layers", cls, **others)

    layers = keras.layers
    assert different(layers.Normalization, *({"mean": m, "variance": 1.0} for m in (0.0, 0.5)))
    assert different(layers.Normalization, *({"mean": 0.0, "variance": v} for v in (1.0, 0.5)))
    lengths = ({"frame_length": 8, "fft_length": n} for n in (8, 16))
    assert different(layers.STFTSpectrogram, *lengths)

    def backward(units):
        return {"backward_layer": lambda: layers.LSTM(2, go_backwards=True, dropout=units)}

    assert different(layers.Bidirectional, backward(0.1), backward(0.2))


SHAPES = [(4,), (4, 3), (6, 6, 3), (4, 4, 4, 2)]


def history_with(trainer, group, cls, shape, given):
    """Losses and metrics of a short training of a model with such a part."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.05, 0.95, (24, *shape)).astype("float32")
    y = np.eye(3, dtype="float32")[rng.integers(0, 3, 24)]

    def build():
        part = make(cls, **given)
        if group in ("layers", "regularizers", "constraints"):
            name = {"regularizers": "kernel_regularizer", "constraints": "kernel_constraint"}
            middle = part if group == "layers" else keras.layers.Dense(4, **{name[group]: part})
        else:
            middle = keras.layers.Dense(4)
        last = [keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
        model = keras.Sequential([keras.Input(shape), middle, *last])
        model.compile(**compiling_with(group, part))
        return model

    arguments = {"epochs": 2, "batch_size": 8, "verbose": 0}
    return trainer.train(trainer.build(build, 1), x, y, seed=1, **arguments)[1].history


@pytest.mark.soak
@pytest.mark.parametrize("group", GROUPS)
def test_every_pair_trained_one_after_the_other(group):
    """A used program against a fresh one, for every argument that some net here can have."""
    wrong, n_pairs = [], 0
    for cls in classes(group):
        for shape in SHAPES:
            trained = list(_pairs(group, cls, shape))
            if trained:
                break
        n_pairs += len(trained)
        wrong += [(cls.__name__, argument) for argument, is_equal in trained if not is_equal]
    print(f"{group}: {n_pairs} pairs trained, wrong: {wrong}")
    assert not wrong
    assert n_pairs >= 4


def _pairs(group, cls, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            history_with(Trainer(), group, cls, shape, {})
        except Exception:  # not for data of this shape
            return
        for argument in arguments(cls):
            for value in OTHERS:
                given = {argument: value}
                try:
                    if structure_with(group, cls, **given) == structure_with(group, cls):
                        continue
                    fresh = history_with(Trainer(), group, cls, shape, given)
                except Exception:  # not a value for this argument
                    continue
                trainer = Trainer()
                history_with(trainer, group, cls, shape, {})
                used = history_with(trainer, group, cls, shape, given)
                yield argument, _are_equal(used, fresh)
                break


def _are_equal(some, others):
    return some.keys() == others.keys() and all(
        np.array_equal(some[name], others[name], equal_nan=True) for name in some
    )
