"""ELU with a fixed saturation value."""

import math
from typing import Any, ClassVar

import keras

from keras_leaky.layers._arguments import as_number
from keras_leaky.layers.slope import NEW_LAYER, FixedRectifier
from keras_leaky.ops import elu


@keras.saving.register_keras_serializable(package="keras_leaky")
class ELU(FixedRectifier):
    """Exponential linear unit.

    ```
    f(x)  = x   where x > 0,    alpha * (exp(x) - 1)   where x <= 0
    f'(x) = 1   where x > 0,    alpha * exp(x)         where x <= 0
    ```

    At 0 the value is 0 and the derivative `alpha`: continuous there only with `alpha` = 1. Small
    negative inputs are not lost: `elu(-1e-8)` is -1e-8, where `keras.layers.ELU` gives 0. One
    exception: for an `alpha` of 1, a TensorFlow graph that does not train, and its exports, use the
    runtime's own kernel, with an absolute error of at most eps.

    For the backward pass, training on TensorFlow keeps the output in float32 and float64, which the
    next layer keeps anyway. The derivative then has an absolute error of at most 2 eps * `alpha`,
    as in `keras.layers.ELU`. In half precision the input is kept, and the derivative is exact.

    `alpha` is minus the saturation value: no output lies below `-alpha`. 0 is ReLU. Large values
    push the mean output below 0 and make the derivative jump from `alpha` to 1 at 0. A unit far
    below 0 gets almost no gradient: ELU saturates, Leaky ReLU does not.

    Args:
        alpha: Finite real number in [0, inf). Defaults to 1.0.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Any. Integers are cast to the compute dtype; a mask passes through.

    Output shape:
        The input shape.

    Weights:
        None.

    Raises:
        ValueError: If `alpha` is not a finite real number of at least 0: NaN, infinities,
            booleans, strings and None are refused. If it is infinite in the compute dtype.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import ELU
    >>> np.asarray(ELU(0.5)(np.array([-100.0, 0.0, 3.0])))
    array([-0.5,  0. ,  3. ], dtype=float32)

    References:
        Clevert, Unterthiner and Hochreiter, 2016, "Fast and Accurate Deep Network Learning by
        Exponential Linear Units (ELUs)", section 3.
    """

    _fixed_arguments: ClassVar[dict[str, str]] = {"alpha": NEW_LAYER}

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = as_number(alpha)
        if not 0 <= self.alpha < math.inf:
            raise ValueError(
                f"`alpha` of layer {self.name!r} must be a finite real number of at least 0. "
                f"Received: alpha={alpha!r}"
            )
        self.check_finite_in_compute_dtype("alpha", self.alpha)
        self._slope = self.keep_slope("alpha", self.alpha)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return elu(self.cast_inputs(inputs), self._slope, training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}
