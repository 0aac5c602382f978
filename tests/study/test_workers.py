"""When a study starts worker processes by itself."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.study import InputError, _workers, load
from keras_leaky.study._checks import _count_products
from keras_leaky.study._workers import choose_workers
from tests.study.small_studies import FIT, TEST, X, Y, make_study, rows_without_times

RUN = {key: value for key, value in FIT.items() if key != "verbose"}


@pytest.fixture
def cheap_start(monkeypatch):
    """Two cores, and workers that start in no time, as far as the choice knows."""
    monkeypatch.setattr(_workers, "_SECONDS_TO_START", 0)
    monkeypatch.setattr(_workers, "count_threads", lambda: 2)


def choose(folder, x=X, y=Y, max_seconds=None, **kwargs):
    return choose_workers([make_study(folder).prepare(x, y, **{**RUN, **kwargs})], max_seconds)


def test_a_short_study_stays_in_this_process(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_workers, "count_threads", lambda: 2)
    n_workers, reason = choose(tmp_path / "run")
    assert n_workers == 0
    assert reason.startswith("about ")
    assert reason.endswith(" of training is too little for workers")
    make_study(tmp_path / "run", trials=1, seeds=1).run(X, Y, **RUN)
    assert "Trains in this process: about " in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "study.json").read_text())["workers"] == 0


def test_a_long_one_starts_a_process_a_core(tmp_path, monkeypatch):
    monkeypatch.setattr(_workers, "count_threads", lambda: 2)
    n_workers, reason = choose(tmp_path / "run", epochs=20_000)
    assert n_workers == 2
    assert reason.startswith("one process would train for about ")
    assert reason.endswith(" min")
    assert choose(tmp_path / "run", epochs=20_000, max_seconds=20)[0] == 0
    monkeypatch.setattr(_workers, "count_threads", lambda: 1)
    assert choose(tmp_path / "run", epochs=20_000) == (0, "one core")


class _Mine(keras.callbacks.Callback):
    pass


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"callbacks": [_Mine()]}, "the callback _Mine may need this process"),
        ({"callbacks": [keras.callbacks.EarlyStopping()]}, None),
        (
            {"x": tf.data.Dataset.from_tensor_slices((X, Y)).batch(30), "y": None},
            "the data or `build` cannot be pickled",
        ),
    ],
)
def test_what_needs_this_process_stays(tmp_path, cheap_start, given, reason):
    if "x" in given:
        given = {**given, "batch_size": None}
    n_workers, why = choose(tmp_path / "run", **given)
    assert (n_workers == 0) == (reason is not None)
    assert reason is None or why == reason


def test_the_choice_of_a_study_that_began_is_kept(tmp_path, cheap_start):
    make_study(tmp_path / "run", trials=1, finalists=1, seeds=1).run(X, Y, workers=0, **FIT)
    study = make_study(tmp_path / "run", trials=1, finalists=1, seeds=2)
    assert choose(tmp_path / "new")[0] == 2
    assert choose_workers([study.prepare(X, Y, **RUN)], None) == (0, "the study began this way")


@pytest.mark.soak
def test_a_study_that_is_resumed_keeps_its_choice(tmp_path, cheap_start, monkeypatch, capsys):
    chosen = make_study(tmp_path / "chosen").run(X, Y, test_data=TEST, **RUN)
    said = "Trains in 2 worker processes: one process would train for about "
    assert said in capsys.readouterr().out
    given = make_study(tmp_path / "given").run(X, Y, test_data=TEST, workers=1, verbose=0, **RUN)
    assert rows_without_times(chosen.trials) == rows_without_times(given.trials)
    monkeypatch.undo()
    make_study(tmp_path / "chosen", seeds=3).run(X, Y, test_data=TEST, **RUN)
    assert "Trains in 2 worker processes: the study began this way" in capsys.readouterr().out
    make_study(tmp_path / "given", seeds=3).run(X, Y, test_data=TEST, **RUN)
    assert "Trains in one worker process: the study began this way" in capsys.readouterr().out
    for name in ("chosen", "given"):
        assert load(tmp_path / name).arms["relu"].test.n == 3
    with pytest.raises(InputError, match="n_threads"):
        make_study(tmp_path / "chosen", seeds=4).run(X, Y, test_data=TEST, workers=0, **RUN)


def test_products_are_counted_at_every_place():
    layers = keras.layers
    inner = keras.Sequential([keras.Input((7, 7, 4)), layers.Conv2D(5, 1)])
    model = keras.Sequential(
        [
            keras.Input((14, 14, 3)),
            layers.Conv2D(4, 3, padding="same"),
            layers.MaxPooling2D(),
            inner,
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    expected = 14 * 14 * 9 * 3 * 4 + 7 * 7 * 4 * 5 + 7 * 7 * 5 * 10
    assert _count_products(model) == expected
    assert _count_products(keras.Sequential([layers.Dense(2)])) == 0  # not built
    assert np.isscalar(_count_products(model))
