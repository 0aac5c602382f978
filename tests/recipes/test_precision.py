import dataclasses

import pytest

from recipes.common import precision
from recipes.common.data import DATASETS, load, split
from recipes.common.options import resolve
from recipes.common.search_options import MnistOptions
from recipes.common.space import arms

OPTIONS = resolve(MnistOptions(model="mlp", batch_size=50))
ARM = arms(OPTIONS)[0]


@pytest.fixture(scope="module")
def data():
    return split(load(DATASETS["mnist"], "synthetic", None), 100)


def test_what_was_asked_for_is_taken(data):
    for name in ("float32", "mixed_bfloat16"):
        asked = dataclasses.replace(OPTIONS, precision=name)
        assert precision.choose_precision(asked, data, ARM) == (asked, "as asked for")


def test_float32_where_bfloat16_is_not_native(data, monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: False)
    options, reason = precision.choose_precision(OPTIONS, data, ARM)
    assert options.precision == "float32"
    assert "does not multiply bfloat16" in reason


def test_float32_where_the_machines_are_not_known(data):
    far = dataclasses.replace(OPTIONS, scheduler="tls://10.0.0.1:8786")
    options, reason = precision.choose_precision(far, data, ARM)
    assert options.precision == "float32"
    assert "workers on other machines are not measured" in reason


@pytest.mark.parametrize(
    ("bfloat16", "chosen"),
    [(0.005, "mixed_bfloat16"), (0.0099, "float32"), (0.02, "float32")],
)
def test_bfloat16_only_where_it_is_clearly_faster(data, monkeypatch, bfloat16, chosen):
    # Other work on the machine slowed two of the turns down.
    seconds = {"float32": [0.01, 0.01, 0.01, 0.05, 0.01]}
    seconds["mixed_bfloat16"] = [bfloat16, bfloat16, bfloat16, 5 * bfloat16, 4 * bfloat16]
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "measure_step_seconds", lambda *_: seconds)
    options, reason = precision.choose_precision(OPTIONS, data, ARM)
    assert options.precision == chosen
    assert f"{1000 * bfloat16:.1f} ms in mixed_bfloat16 and 10.0 ms in float32" in reason


def test_both_precisions_are_measured(data):
    seconds = precision.measure_step_seconds(OPTIONS, data, ARM)
    assert set(seconds) == {"float32", "mixed_bfloat16"}
    assert min(map(min, seconds.values())) > 0
