"""Counts of the units of an activation, batch after batch."""

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
        self._n_active: Any = 0
        self._n_nan: Any = 0
        self._magnitude: Any = 0.0
        self._shape = None
        self._gets_gradient: Any = False

    def add(self, x, y, n_copies, apply):
        """Counts pre-activations `x` and outputs `y` of a batch, both of shape (batch, ...).

        Every sample is in the batch `n_copies` times. `apply` is the activation.
        """
        given = x
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
                f"The units of layer {self.site.name!r} must be the same in every batch. Leave "
                f"`per_element` out if the size of images varies. Received: {self._shape} and "
                f"{shape}"
            )
        self._shape = shape
        ops = keras.ops
        # One after the other: each comparison is as large as the layer.
        threshold = ops.cast(self.site.threshold, x.dtype)
        n_active = _count(x > threshold, others) // n_copies
        self._n_active += n_active
        self._n_nan += _count(ops.isnan(x), others) // n_copies
        magnitude = ops.sum(ops.abs(ops.cast(y, "float32")), others)
        self._magnitude += _to_numpy(magnitude).astype("float64") / n_copies
        self._n_values += int(np.prod([x.shape[a] for a in others])) // n_copies
        if not np.all(self._gets_gradient):
            if self.site.is_rectifier:
                self._gets_gradient |= n_active > 0
            if self.site.leaks:
                self._gets_gradient |= np.ones(shape, bool)
            # Differentiating costs more than the layer, so only where it is needed, and at first on
            # a few samples: mostly they tell.
            for n in sorted({min(32, len(x)), len(x)}):
                if not (self.site.is_relu or np.all(self._gets_gradient)):
                    dx = self.site.derivative(apply, given[:n])
                    dx = ops.reshape(dx, (-1, *x.shape[1:]))
                    self._gets_gradient |= _count(dx != 0, others) > 0

    def finish(self, name, tau):
        """The counts as `LayerUnits`, called `name`."""
        mean = self._magnitude / self._n_values
        total = mean.mean()
        with np.errstate(invalid="ignore"):  # of a layer that overflows some are NaN
            relative_output = mean / total if total else np.zeros_like(mean)
        return LayerUnits(
            layer=name,
            kind=self.site.kind,
            n_values=self._n_values,
            active_fraction=self._n_active / self._n_values,
            is_dead=~self._gets_gradient,
            relative_output=relative_output,
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
