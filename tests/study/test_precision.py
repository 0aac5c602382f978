import keras
import numpy as np
import pytest

from keras_leaky.study import precision
from keras_leaky.study.precision import choose_precision

X = np.random.default_rng(0).normal(size=(100, 4)).astype("float32")
Y = np.arange(100) % 3


def make_build(name):
    def build(hp, rectifier):
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(8, dtype=name),
            rectifier(dtype=name),
            keras.layers.Dense(3, dtype="float32"),
        ]
        model = keras.Sequential(layers)
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate), loss)
        return model

    return build


def choose(asked="auto", is_remote=False):
    return choose_precision(asked, make_build, X, Y, batch_size=50, is_remote=is_remote)


def test_what_was_asked_for_is_taken():
    for name in ("float32", "mixed_bfloat16"):
        assert choose(name) == (name, "as asked for")


def test_float32_where_bfloat16_is_not_native(monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    name, reason = choose()
    assert name == "float32"
    assert "does not multiply bfloat16" in reason


def test_float32_where_the_machines_are_not_known():
    name, reason = choose(is_remote=True)
    assert name == "float32"
    assert "workers on other machines are not measured" in reason


@pytest.mark.parametrize(
    ("bfloat16", "chosen"),
    [(0.005, "mixed_bfloat16"), (0.0099, "float32"), (0.02, "float32")],
)
def test_bfloat16_only_where_it_is_clearly_faster(monkeypatch, bfloat16, chosen):
    # Other work on the machine slowed two of the turns down.
    seconds = {"float32": [0.01, 0.01, 0.01, 0.05, 0.01]}
    seconds["mixed_bfloat16"] = [bfloat16, bfloat16, bfloat16, 5 * bfloat16, 4 * bfloat16]
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "measure_step_seconds", lambda *_: seconds)
    name, reason = choose()
    assert name == chosen
    assert f"{1000 * bfloat16:.1f} ms in mixed_bfloat16 and 10.0 ms in float32" in reason


def test_both_precisions_are_measured():
    seconds = precision.measure_step_seconds(make_build, X, Y, 50)
    assert set(seconds) == {"float32", "mixed_bfloat16"}
    assert min(map(min, seconds.values())) > 0
