"""SELU: ELU with the two numbers that normalize its output."""

from typing import Any

import keras

from keras_leaky.layers.slope import FixedRectifier
from keras_leaky.ops import selu


@keras.saving.register_keras_serializable(package="keras_leaky")
class SELU(FixedRectifier):
    """Scaled exponential linear unit.

    ```
    f(x)  = scale * x   where x > 0,    scale * alpha * (exp(x) - 1)   where x <= 0
    f'(x) = scale       where x > 0,    scale * alpha * exp(x)         where x <= 0
    ```

    with scale 1.0507009873554805 and alpha 1.6732632423543772. At 0 the value is 0 and the
    derivative `scale * alpha`.

    For the backward pass, the layer keeps the same tensors as `ELU`.

    There is nothing to set: with these two numbers, unit normal pre-activations give outputs of
    mean 0 and variance 1. Use weights of variance 1 / fan-in (`RectifierNormal("selu")`, or
    `LecunNormal`), and `AlphaDropout` instead of dropout.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Any. Integers are cast to the compute dtype; a mask passes through.

    Output shape:
        The input shape.

    Weights:
        None.

    Raises:
        ValueError: If an argument is not one of `keras.layers.Layer`.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import SELU
    >>> np.asarray(SELU()(np.array([-100.0, 0.0, 1.0]))).round(4)
    array([-1.7581,  0.    ,  1.0507], dtype=float32)

    References:
        Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-Normalizing Neural Networks",
        equations 2 and 14.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return selu(self.cast_inputs(inputs), training)
