"""The contract of every layer, on every backend: arguments, shape, and a float64 reference."""

import keras
import numpy as np
import pytest

from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from keras_leaky.rectifiers import TABLE


def linear(slope):
    """Float64 value, first and second derivative of a rectifier with a straight negative side."""

    def reference(x, layer):
        a = slope if slope is not None else as_float64(layer.alpha)
        return negative_side(x, a * x, a, 0.0)

    return reference


def exponential(alpha, width=1.0, scale=1.0):
    def reference(x, layer):
        z = np.minimum(x, 0) / width
        first = alpha / width * np.exp(z)
        return negative_side(x, alpha * np.expm1(z), first, first / width, scale)

    return reference


def negative_side(x, value, first, second, scale=1.0):
    positive = x > 0
    return (
        np.where(positive, scale * x, value),
        np.where(positive, scale, first),
        np.where(positive, 0.0, second),
    )


SPREAD = keras.initializers.RandomUniform(-0.5, 1.5, seed=3)

# (class, non-default kwargs, input shape without batch, float64 NumPy reference)
CONTRACT = [
    (LeakyReLU, {"negative_slope": 0.2}, (5, 3), linear(0.2)),
    (LeakyReLU, {"negative_slope": 0.0}, (4,), linear(0.0)),
    (LeakyReLU, {"negative_slope": -1.0}, (4,), linear(-1.0)),
    (LeakyReLU, {"negative_slope": 1.5}, (2, 3, 2), linear(1.5)),
    (PReLU, {"alpha_initializer": 0.1}, (7,), linear(None)),
    (PReLU, {"alpha_initializer": SPREAD}, (4, 3, 5), linear(None)),
    (PReLU, {"alpha_initializer": SPREAD, "shared_axes": None}, (4, 3), linear(None)),
    (PReLU, {"alpha_initializer": SPREAD, "shared_axes": "all"}, (4, 3), linear(None)),
    (PReLU, {"alpha_initializer": SPREAD, "shared_axes": [-1, 2]}, (4, 3, 5), linear(None)),
    (
        PReLU,
        {
            "alpha_initializer": "ones",
            "alpha_regularizer": keras.regularizers.L2(0.1),
            "alpha_constraint": keras.constraints.NonNeg(),
            "shared_axes": 1,
        },
        (4, 3),
        linear(None),
    ),
    (ELU, {"alpha": 0.5}, (5, 3), exponential(0.5)),
    (ELU, {"alpha": 2.0}, (4,), exponential(2.0)),
    (ELU, {"alpha": 0.0}, (4,), exponential(0.0)),
    (ELU, {"alpha": 1.0}, (5, 3), exponential(1.0)),
    (CELU, {"alpha": 0.5}, (5, 3), exponential(0.5, 0.5)),
    (CELU, {"alpha": 2.0}, (4,), exponential(2.0, 2.0)),
    (SELU, {}, (5, 3), exponential(1.7580993408473766, scale=1.0507009873554805)),
    (RReLU, {"lower": 0.1, "upper": 0.3, "seed": 3}, (5, 3), linear(0.2)),
    (RReLU, {"lower": 0.25, "upper": 0.25}, (4,), linear(0.25)),
]
IDS = [
    f"{cls.__name__}-{'-'.join(str(v) if np.isscalar(v) else k for k, v in kwargs.items())}-{i}"
    for i, (cls, kwargs, _, _) in enumerate(CONTRACT)
]
every_layer = pytest.mark.parametrize(("cls", "kwargs", "shape", "reference"), CONTRACT, ids=IDS)
_LAST = {row[0]: i for i, row in enumerate(CONTRACT)}
# The other rows are in the soak.
one_row_of_each_class = pytest.mark.parametrize(
    ("cls", "kwargs", "shape", "reference"),
    [
        pytest.param(*row, id=name, marks=[] if i in _LAST.values() else pytest.mark.soak)
        for i, (row, name) in enumerate(zip(CONTRACT, IDS, strict=True))
    ],
)

# Four units in the last place: the roundings of the parameter, of expm1 and of the product.
TOLERANCE = {
    "float16": 4 * 2.0**-10,
    "bfloat16": 4 * 2.0**-7,
    "float32": 4 * 2.0**-23,
    "float64": 4 * 2.0**-52,
}


# Their derivative vanishes, so it cannot be as exact as a slope is.
SATURATING = {entry.layer for entry in TABLE.values() if entry.can_die}


def make_input(shape, batch=6, dtype="float32"):
    """Both signs, exact zeros, and magnitudes from tiny to where ELU has saturated."""
    x = np.random.default_rng(0).normal(size=(batch, *shape)) * 3
    flat = x.reshape(-1)
    flat[::5] = 0.0
    flat[1::7] *= 1e-3
    flat[2::11] *= 10
    return keras.ops.convert_to_tensor(x.astype("float32"), dtype=dtype)


def as_float64(tensor):
    return keras.ops.convert_to_numpy(tensor).astype("float64")
