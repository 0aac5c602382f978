"""RReLU: in training, every element draws its own slope."""

import math
import numbers
from typing import Any, ClassVar

import keras

from keras_leaky.layers._arguments import as_number
from keras_leaky.layers.slope import NEW_LAYER, FixedRectifier
from keras_leaky.ops import leaky_relu
from keras_leaky.ops.piecewise_linear import rrelu


@keras.saving.register_keras_serializable(package="keras_leaky")
class RReLU(FixedRectifier):
    """Randomized leaky rectified linear unit.

    ```
    f(x)  = x   where x > 0,    a * x   where x <= 0        a ~ U(lower, upper) in training
    f'(x) = 1   where x > 0,    a       where x <= 0        a = (lower + upper) / 2 otherwise
    ```

    At 0 the value is 0 and the derivative `a`.

    In training every element of every batch draws its own slope, which regularizes like dropout of
    the negative side. The slope gets no gradient. Without training, or if `training` is not given,
    the layer is a Leaky ReLU with the mean slope. With `lower` = `upper` it is always a Leaky ReLU.

    PyTorch's `nn.RReLU` has the same defaults.

    Args:
        lower: Finite real number in [0, upper]. Defaults to 1/8.
        upper: Finite real number in [lower, inf). Defaults to 1/3.
        seed: Int of at least 0, or None for a random one. Defaults to None. As with Keras's
            `Dropout`, a model that is loaded or cloned starts the sequence of draws again.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Any. Integers are cast to the compute dtype; a mask passes through.

    Output shape:
        The input shape.

    Weights:
        None. The state of the random generator is among `layer.variables`.

    Raises:
        ValueError: If `lower` or `upper` is not a finite real number, or not
            0 <= lower <= upper; if `upper` is infinite in the compute dtype; if `seed` is neither
            an int of at least 0 nor None.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import RReLU
    >>> layer = RReLU(0.25, 0.75, seed=0)
    >>> np.asarray(layer(np.array([-2.0, 0.0, 3.0])))
    array([-1.,  0.,  3.], dtype=float32)
    >>> y = np.asarray(layer(np.array([-2.0, 0.0, 3.0]), training=True))
    >>> bool(-1.5 <= y[0] <= -0.5), float(y[2])
    (True, 3.0)

    References:
        Xu, Wang, Chen and Li, 2015, "Empirical Evaluation of Rectified Activations in
        Convolutional Network", section 2.4.
    """

    _fixed_arguments: ClassVar[dict[str, str]] = {
        "lower": NEW_LAYER,
        "upper": NEW_LAYER,
        "seed": "Make a new layer, or assign `layer.seed_generator.state`.",
    }

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.lower, self.upper = as_number(lower), as_number(upper)
        if not 0 <= self.lower <= self.upper < math.inf:
            raise ValueError(
                f"`lower` and `upper` of layer {self.name!r} must be finite real numbers with "
                f"0 <= lower <= upper. Received: lower={lower!r}, upper={upper!r}"
            )
        self.check_finite_in_compute_dtype("upper", self.upper)
        is_int = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
        if seed is not None and not (is_int and as_number(seed) >= 0):
            raise ValueError(
                f"`seed` of layer {self.name!r} must be an int of at least 0 or None. "
                f"Received: seed={seed!r}"
            )
        self.seed = None if seed is None else int(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self._lower = self.keep_slope("lower", self.lower)
        self._upper = self.keep_slope("upper", self.upper)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.cast_inputs(inputs)
        if not training:
            return leaky_relu(x, (self._lower + self._upper) / 2, training)
        return rrelu(x, self.seed_generator, self._lower, self._upper)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "lower": self.lower,
            "upper": self.upper,
            "seed": self.seed,
        }
