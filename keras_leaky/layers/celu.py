"""CELU with a fixed saturation value."""

import math
from typing import Any, ClassVar

import keras

from keras_leaky.layers._arguments import as_number
from keras_leaky.layers.slope import NEW_LAYER, FixedRectifier
from keras_leaky.ops import celu

_SMALLEST = 1.2e-38  # float32 has normal numbers down to here


@keras.saving.register_keras_serializable(package="keras_leaky")
class CELU(FixedRectifier):
    """Continuously differentiable exponential linear unit.

    ```
    f(x)  = x   where x > 0,    alpha * (exp(x / alpha) - 1)   where x <= 0
    f'(x) = 1   where x > 0,    exp(x / alpha)                 where x <= 0
    ```

    At 0 the value is 0 and the derivative 1 for any `alpha`, which is the purpose of CELU. Small
    negative inputs are not lost, as in `ELU`; its exception for an `alpha` of 1 holds here too.

    The layer keeps its input for the backward pass, so the derivative is exact.

    `alpha` is minus the saturation value and the width of the bend: no output lies below `-alpha`,
    and towards 0 the function approaches ReLU, for large values the identity. With 1 it is ELU.

    `keras.activations.celu` takes the same `alpha`; Keras has no such layer.

    Args:
        alpha: Finite real number in (0, inf). Defaults to 1.0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Any. Integers are cast to the compute dtype; a mask passes through.

    Output shape:
        The input shape.

    Weights:
        None.

    Raises:
        ValueError: If `alpha` is not a finite real number above 0: NaN, infinities,
            booleans, strings and None are refused. If it is infinite in the compute dtype, or too
            small for float32.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import CELU
    >>> np.asarray(CELU(0.5)(np.array([-100.0, 0.0, 3.0])))
    array([-0.5,  0. ,  3. ], dtype=float32)

    References:
        Barron, 2017, "Continuously Differentiable Exponential Linear Units", equation 2.
    """

    _fixed_arguments: ClassVar[dict[str, str]] = {"alpha": NEW_LAYER}

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = as_number(alpha)
        if not 0 < self.alpha < math.inf:
            raise ValueError(
                f"`alpha` of layer {self.name!r} must be a finite real number above 0. "
                f"Received: alpha={alpha!r}"
            )
        self.check_finite_in_compute_dtype("alpha", self.alpha)
        if self.alpha < _SMALLEST and self.compute_dtype != "float64":
            raise ValueError(
                f"`alpha` of layer {self.name!r} must be at least {_SMALLEST:g}: the layer "
                "computes in float32, where a smaller number counts as 0. Received: "
                f"alpha={alpha!r}"
            )
        self._slope = self.keep_slope("alpha", self.alpha)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return celu(self.cast_inputs(inputs), self._slope, training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
