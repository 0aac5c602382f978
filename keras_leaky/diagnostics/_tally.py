"""What is counted of the units of an activation, batch after batch."""

from typing import Any

import keras
import numpy as np

from keras_leaky.diagnostics.report import LayerUnits


class Tally:
    """Counts of one activation and of the layer whose units it activates.

    Args:
        site: `Site`.
        origin: `Origin` of the pre-activations.
        per_element: Whether every element is a unit, and not every feature or channel.
    """

    def __init__(self, site, origin, per_element):
        self.site, self.origin, self._per_element = site, origin, per_element
        self._n_values = 0  # of a unit
        self._n_positive: Any = 0
        self._n_negative: Any = 0
        self._n_nan: Any = 0
        self._magnitude: Any = 0.0
        self._shape = None
        self._is_leak: Any = None

    def add(self, x, y, n_copies):
        """Counts pre-activations `x` and outputs `y` of a batch, both of shape (batch, ...).

        Every sample is in the batch `n_copies` times.
        """
        if x.ndim == 1:
            x, y = x[:, None], y[:, None]
        if self._per_element:
            others, shape = (0,), tuple(x.shape[1:])
        else:
            axis = self.origin.axis % x.ndim
            others = tuple(a for a in range(x.ndim) if a != axis)
            shape = (x.shape[axis],)
        if self._shape not in (None, shape):
            raise ValueError(
                f"The units of layer {self.site.name!r} must be the same in every batch; leave "
                f"`per_element` out where the size of images varies. Received: {self._shape} and "
                f"{shape}"
            )
        self._shape = shape
        ops = keras.ops
        # One after the other: each comparison is as large as the layer.
        self._n_positive += _count(x > 0, others) // n_copies
        self._n_negative += _count(x < 0, others) // n_copies
        self._n_nan += _count(ops.isnan(x), others) // n_copies
        magnitude = ops.sum(ops.abs(ops.cast(y, "float32")), others)
        self._magnitude += _to_numpy(magnitude).astype("float64") / n_copies
        self._n_values += int(np.prod([x.shape[a] for a in others])) // n_copies
        if self._is_leak is None:
            self._is_leak = self._find_leaks(x.shape, others)

    def _find_leaks(self, shape, others):
        """For every unit whether its derivative at negative numbers is above or below 0.

        None where that is not known. An axis of `alpha` that is shared has size 1.
        """
        slope = self.site.negative_slope
        if slope is None:
            return None
        slope = _to_numpy(keras.ops.convert_to_tensor(slope))
        if slope.ndim == 0:
            slope = slope.reshape([1] * len(shape))
        return np.any(np.broadcast_to(slope != 0, shape), axis=others)

    def finish(self, name, tau):
        """The `LayerUnits` of what was counted, called `name`."""
        inactive = self._n_positive == 0
        if self._is_leak is None:  # an unknown function: what did it make of negative numbers?
            is_flat = (self._magnitude == 0) & (self._n_negative > 0)
        else:
            is_flat = ~self._is_leak
        mean = self._magnitude / self._n_values
        total = mean.mean()
        return LayerUnits(
            layer=name,
            kind=self.site.kind,
            n_values=self._n_values,
            active_fraction=self._n_positive / self._n_values,
            is_dead=inactive & is_flat,
            relative_output=mean / total if total else np.zeros_like(mean),
            tau=tau,
        )

    @property
    def has_nan(self):
        return bool(np.any(self._n_nan))


def _count(condition, axes) -> Any:
    # Not `ops.count_nonzero`, whose axes PyTorch's Keras turns round.
    return _to_numpy(keras.ops.sum(keras.ops.cast(condition, "int32"), axes)).astype("int64")


def _to_numpy(tensor) -> Any:
    return keras.ops.convert_to_numpy(tensor)
