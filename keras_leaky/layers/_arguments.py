"""Reading the arguments of layers."""

import math
import numbers

import numpy as np


def as_number(value):
    """`value` as a Python float, or NaN where it is not one real number.

    Comparisons with NaN are false, so a range check written in the accepting form refuses
    booleans, strings, None and NaN alike.
    """
    if isinstance(value, dict) and value.get("type") == "ndarray":  # so Keras 2.2 saved it
        value = value.get("value")
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    return math.nan
