"""The slope of a layer: a constant, or a variable inside `variable_slopes()`."""

import contextlib
import contextvars
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_leaky.layers._rectifier import Rectifier

__all__ = ["variable_slopes"]

# What to do instead of assigning one of them.
NEW_LAYER = (
    "Make a new layer, or replace the layers of a model with `keras_leaky.replace_activations`."
)

_wants_variables = contextvars.ContextVar("keras_leaky_variable_slopes", default=False)


@contextlib.contextmanager
def variable_slopes() -> Iterator[None]:
    """Layers made inside keep their slope in a non-trainable variable.

    The slope, bound or saturation value of `LeakyReLU`, `RReLU`, `ELU` and `CELU` can then be
    assigned without compiling the model again. `PReLU` has its weight; `SELU` has nothing to set.
    The variable is among `layer.variables`, but files do not store it: they hold the config, with
    the number that the layer was made with.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import LeakyReLU
    >>> from keras_leaky.layers.slope import variable_slopes
    >>> with variable_slopes():
    ...     layer = LeakyReLU(0.5)
    >>> np.asarray(layer(np.array([-2.0])))
    array([-1.], dtype=float32)
    >>> _ = layer.variables[0].assign(0.25)
    >>> np.asarray(layer(np.array([-2.0])))
    array([-0.5], dtype=float32)
    """
    token = _wants_variables.set(True)
    try:
        yield
    finally:
        _wants_variables.reset(token)


class FixedRectifier(Rectifier):
    """Abstract base of the rectifiers that learn nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # There is nothing to build, unless a subclass says so.
        self.built = type(self).build is keras.layers.Layer.build

    def keep_slope(self, name: str, value: float) -> Any:
        """Returns `value`, or inside `variable_slopes()` a variable called `name` that holds it."""
        if not _wants_variables.get():
            return value
        # Float32 and no autocast in half precision, so that it is as exact as a number is.
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        initializer = keras.initializers.Constant(value)
        return self.add_weight(
            name=name,
            shape=(),
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
        )

    def take_numbers(self, other: "FixedRectifier", names: Iterable[str]) -> None:
        """Copies the numbers of these names from `other` into the config.

        The variables of this layer hold the values of `other` already.
        """
        for name in names:
            self.__dict__[name] = getattr(other, name)  # past the check that refuses it to users

    def save_own_variables(self, store: Any) -> None:
        """Saves nothing: the config holds the slope."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing, for the same reason."""
