"""Leaky ReLU whose slope is learned."""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import keras

from keras_leaky.layers._arguments import as_number
from keras_leaky.layers._rectifier import Rectifier
from keras_leaky.ops import prelu

_FromKeras = str | dict[str, Any] | Callable[..., Any]  # a name, a config, or the thing itself
_Axes = Literal["spatial", "all"] | int | list[int] | tuple[int, ...] | None


@keras.saving.register_keras_serializable(package="keras_leaky")
class PReLU(Rectifier):
    """Parametric rectified linear unit: the negative slope `alpha` is learned.

    ```
    f(x)  = x   where x > 0,    alpha * x   where x <= 0        df/dalpha = min(x, 0)
    f'(x) = 1   where x > 0,    alpha       where x <= 0
    ```

    At 0 the value is 0 and the derivative `alpha`.

    `alpha` is unbounded unless you pass `alpha_constraint`. `shared_axes` says which elements share
    one `alpha`. By default there is one per channel, as in He et al., and the layer works at any
    height and width. With channels first, pass the spatial axes as ints.

    AdamW decays `alpha` towards 0, that is towards ReLU. To prevent this:

    ```
    optimizer = keras.optimizers.AdamW(1e-3)
    optimizer.exclude_from_weight_decay(var_names=["alpha"])
    ```

    Args:
        alpha_initializer: Finite real number in (-inf, inf), stored as a `Constant`, or a Keras
            initializer. Defaults to 0.25.
        alpha_regularizer: Keras regularizer or None. Defaults to None.
        alpha_constraint: Keras constraint or None. Defaults to None.
        shared_axes: `"spatial"` (every axis but batch and last), `"all"` (every axis but batch),
            None (no axis: one `alpha` per element), an int, or ints. Ints count the axes of the
            input, batch included, from either end. Defaults to `"spatial"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        Any with a batch axis. The size of every axis that is not shared must be known, and cannot
        change after the layer is built. Integers are cast to the compute dtype; a mask passes
        through.

    Output shape:
        The input shape.

    Weights:
        alpha: The input shape without batch, 1 at shared axes. Name and shape are the same as in
            `keras.layers.PReLU` with the same `shared_axes`, so weights move between the two.

    Raises:
        ValueError: If `alpha_initializer` is neither a finite real number nor an initializer; if
            `shared_axes` has the wrong type, names the batch axis, an axis twice, or an axis that
            the input lacks; if an axis that is not shared has no known size.

    Example:

    >>> import numpy as np
    >>> from keras_leaky.layers import PReLU
    >>> layer = PReLU(0.5)
    >>> np.asarray(layer(np.array([[-2.0, 0.0, 3.0]])))
    array([[-1.,  0.,  3.]], dtype=float32)
    >>> np.asarray(layer.alpha)
    array([0.5, 0.5, 0.5], dtype=float32)

    References:
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers", equation 1.
    """

    _fixed_arguments: ClassVar[dict[str, str]] = {
        "alpha": "Assign to the weight: `layer.alpha.assign(value)`.",
        **dict.fromkeys(
            ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes"),
            "Make a new layer.",
        ),
    }

    def __init__(
        self,
        alpha_initializer: float | _FromKeras = 0.25,
        alpha_regularizer: _FromKeras | None = None,
        alpha_constraint: _FromKeras | None = None,
        shared_axes: _Axes = "spatial",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        number = as_number(alpha_initializer)
        if math.isfinite(number):
            self.check_finite_in_compute_dtype("alpha_initializer", number)
            self.alpha_initializer = keras.initializers.Constant(number)
        elif isinstance(alpha_initializer, str | dict) or callable(alpha_initializer):
            self.alpha_initializer = keras.initializers.get(alpha_initializer)
        else:
            raise ValueError(
                f"`alpha_initializer` of layer {self.name!r} must be a finite real number or an "
                f"initializer. Received: alpha_initializer={alpha_initializer!r}"
            )
        self.alpha_regularizer = keras.regularizers.get(alpha_regularizer)
        self.alpha_constraint = keras.constraints.get(alpha_constraint)
        named = isinstance(shared_axes, str) and shared_axes in ("spatial", "all")
        axes: Any = shared_axes if isinstance(shared_axes, list | tuple) else [shared_axes]
        if shared_axes is None or named:
            self.shared_axes: Any = shared_axes
        elif all(isinstance(a, numbers.Integral) and not isinstance(a, bool) for a in axes):
            self.shared_axes = tuple(int(axis) for axis in axes)
        else:
            raise ValueError(
                f'`shared_axes` of layer {self.name!r} must be "spatial", "all", None, an int or '
                f"ints. Received: shared_axes={shared_axes!r}"
            )

    def build(self, input_shape: Sequence[int | None]) -> None:
        shared_axes = self._normalize_shared_axes(len(input_shape))
        own_sizes = {a: n for a, n in enumerate(input_shape) if a > 0 and a not in shared_axes}
        for axis, size in own_sizes.items():
            if size is None:
                raise ValueError(
                    f"Layer {self.name!r} needs the size of axis {axis} of its input, or that axis "
                    f"in `shared_axes`. Received: input_shape={tuple(input_shape)}, "
                    f"shared_axes={self.shared_axes!r}"
                )
        self.alpha = self.add_weight(
            shape=tuple(own_sizes.get(axis, 1) for axis in range(1, len(input_shape))),
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes=own_sizes)

    def _normalize_shared_axes(self, ndim):
        if self.shared_axes is None:
            return []
        if isinstance(self.shared_axes, str):
            return list(range(1, ndim if self.shared_axes == "all" else ndim - 1))
        normalized = []
        for axis in self.shared_axes:
            if not -ndim <= axis < ndim:
                problem = f"axis {axis} is out of range for an input of {ndim} axes"
            elif axis % ndim == 0:
                problem = f"axis {axis} is the batch axis"
            elif axis % ndim in normalized:
                problem = f"axis {axis} is there twice"
            else:
                normalized.append(axis % ndim)
                continue
            raise ValueError(
                f"`shared_axes` of layer {self.name!r} must name distinct axes other than batch, "
                f"but {problem}. Received: shared_axes={self.shared_axes!r}"
            )
        return normalized

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return prelu(self.cast_inputs(inputs), self.alpha, training)

    def get_config(self) -> dict[str, Any]:
        axes = self.shared_axes
        return {
            **super().get_config(),
            "alpha_initializer": keras.initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": keras.regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": keras.constraints.serialize(self.alpha_constraint),
            "shared_axes": list(axes) if isinstance(axes, tuple) else axes,
        }
