"""Leaky ReLU with a fixed slope."""

import math
from typing import Any, ClassVar

import keras

from keras_leaky.layers._arguments import as_number
from keras_leaky.layers.slope import NEW_LAYER, FixedRectifier
from keras_leaky.ops import leaky_relu

_DEFAULT = 0.01  # compared by identity: one that was given, also of this value, is another object


@keras.saving.register_keras_serializable(package="keras_leaky")
class LeakyReLU(FixedRectifier):
    """Leaky rectified linear unit with a fixed negative slope.

    ```
    f(x)  = x   where x > 0,    negative_slope * x   where x <= 0
    f'(x) = 1   where x > 0,    negative_slope       where x <= 0
    ```

    At 0 the value is 0 and the derivative `negative_slope`, on every backend.

    `negative_slope` is the fraction of the gradient that an inactive unit still gets. 0 is ReLU,
    whose inactive units get none and may die. 1 is the identity, with which a net is linear. -1 is
    the absolute value. Values above 1 and below 0 are allowed; useful values lie in (0, 0.5).

    `keras.layers.LeakyReLU` differs: its default is 0.3, it refuses a negative slope, it accepts
    NaN and True, and on JAX its derivative at 0 is 1.

    Args:
        negative_slope: Finite real number in (-inf, inf). Defaults to 0.01. `alpha`, its name in
            Keras 2 files, is accepted too.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Any. Integers are cast to the compute dtype; a mask passes through.

    Output shape:
        The input shape.

    Weights:
        None.

    Raises:
        ValueError: If `negative_slope` is not a finite real number: NaN, infinities, booleans,
            strings and None are refused. If it is infinite in the compute dtype, as 1e5 is in
            float16. If `alpha` is given too.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import LeakyReLU
    >>> np.asarray(LeakyReLU(0.1)(np.array([-2.0, 0.0, 3.0])))
    array([-0.2,  0. ,  3. ], dtype=float32)

    References:
        Maas, Hannun and Ng, 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
        Models", section 2 (LReL).
    """

    _fixed_arguments: ClassVar[dict[str, str]] = {"negative_slope": NEW_LAYER}

    def __init__(self, negative_slope: float = _DEFAULT, **kwargs: Any) -> None:
        alpha = kwargs.pop("alpha", _DEFAULT)  # the name in Keras 2 files
        super().__init__(**kwargs)
        if alpha is not _DEFAULT and negative_slope is not _DEFAULT:
            raise ValueError(
                f"Layer {self.name!r} must get `negative_slope` or `alpha`, not both: they mean "
                f"the same. Received: negative_slope={negative_slope!r}, alpha={alpha!r}"
            )
        negative_slope = negative_slope if alpha is _DEFAULT else alpha
        self.negative_slope = as_number(negative_slope)
        if not math.isfinite(self.negative_slope):
            raise ValueError(
                f"`negative_slope` of layer {self.name!r} must be a finite real number. "
                f"Received: negative_slope={negative_slope!r}"
            )
        self.check_finite_in_compute_dtype("negative_slope", self.negative_slope)
        self._slope = self.keep_slope("negative_slope", self.negative_slope)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return leaky_relu(self.cast_inputs(inputs), self._slope, training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}
