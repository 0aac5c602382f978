"""Numbers as arguments, in the forms in which files hold them."""

import math
import re

import numpy as np
import pytest

from keras_leaky.layers import ELU, LeakyReLU, PReLU
from keras_leaky.layers._arguments import as_number

NUMBERS = [
    0.25,
    np.float32(0.25),
    np.array(0.25),
    np.array([0.25]),
    np.array([[0.25]], "float32"),
    {"type": "ndarray", "value": 0.25},
    {"type": "ndarray", "value": [0.25]},
    {"type": "__ndarray__", "value": 0.25},
    {"class_name": "__ndarray__", "config": {"value": [0.25], "dtype": "float32"}},
    {"class_name": "__ndarray__", "config": 0.25},
    {"class_name": "__numpy__", "config": {"value": [0.25], "dtype": "float32"}},
    {"__ndarray__": 0.25, "dtype": "float32"},
    {"__ndarray__": [[0.25]], "dtype": "float32", "shape": [1, 1]},
]
OTHERS = [
    [0.25],
    np.array([0.25, 0.5]),
    np.array([]),
    np.array(True),
    np.array(["0.25"]),
    {},
    {"type": "ndarray"},
    {"type": "ndarray", "value": [0.25, 0.5]},
    {"type": "ndarray", "value": [[0.25], [0.5, 1]]},
    {"type": "ndarray", "value": True},
    {"type": "ndarray", "value": "0.25"},
    {"type": "list", "value": 0.25},
    {"class_name": "Constant", "config": {"value": 0.25}},
    {"class_name": "__ndarray__", "config": {"dtype": "float32"}},
    {"__ndarray__": {}, "dtype": "float32"},
]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_one_number_in_every_form(value):
    assert as_number(value) == 0.25
    assert type(as_number(value)) is float
    assert LeakyReLU(alpha=value).negative_slope == ELU(value).alpha == 0.25
    assert PReLU(value).alpha_initializer.value == 0.25


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_all_else_is_nan(value):
    assert math.isnan(as_number(value))


@pytest.mark.parametrize("slope", [0.2, 0.01, 0.3, None], ids=repr)
def test_slope_under_both_of_its_names_is_refused(slope):
    message = (
        "Layer 'leaky' must get `negative_slope` or `alpha`, not both: they mean the same. "
        f"Received: negative_slope={slope!r}, alpha=0.3"
    )
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        LeakyReLU(slope, alpha=0.3, name="leaky")


def test_slope_under_its_old_name_alone():
    assert (
        LeakyReLU(alpha=0.3).negative_slope == LeakyReLU.from_config({"alpha": 0.3}).negative_slope
    )
    message = r"`negative_slope` of layer .* Received: negative_slope=None$"
    with pytest.raises(ValueError, match=message):
        LeakyReLU(alpha=None)
