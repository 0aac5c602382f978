"""Reading the arguments of layers."""

import math
import numbers
from typing import Any

import numpy as np


def as_number(value: Any) -> float:
    """`value` as a Python float, or NaN if it is not one real number.

    Comparisons with NaN are false, so a range check written in the accepting form refuses
    booleans, strings, None and NaN alike.
    """
    if isinstance(value, dict):
        value = np.array(_value_of_array(value), dtype=object)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # an int beyond all floats, which every range refuses
            return math.inf
    return math.nan


def _value_of_array(config):
    """The value of a config that stands for an array, or None.

    Keras 2 wrote any array as `{"type": "ndarray", "value": 0.3}`, and until 2.0.5 the slope of
    LeakyReLU was one (https://github.com/keras-team/keras/pull/7010). Since 2.12 an array is
    `{"class_name": "__numpy__", "config": {"value": [0.3], "dtype": "float32"}}`. No version of
    Keras writes `__ndarray__`; JSON encoders for NumPy do, as the key of the value or as the type.
    """
    if "__ndarray__" in config:
        return config["__ndarray__"]
    kind = config.get("class_name", config.get("type"))
    if kind not in ("ndarray", "__ndarray__", "__numpy__"):
        return None
    inner = config.get("config", config)
    return inner.get("value") if isinstance(inner, dict) else inner
