"""The places where a model applies an activation."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_leaky.layers._nested import layers_of
from keras_leaky.ops._autodiff import derivative, derivative_in_graph
from keras_leaky.rectifiers import TABLE, Entry, activation_name

# Not elementwise: their outputs have no pre-activation of their own.
_OVER_UNITS = ("softmax", "log_softmax", "sparsemax", "glu")
_NEAR_0 = 1e-4  # above the smallest normal number of float16


@dataclass(frozen=True)
class Site:
    """A place where a model applies an activation.

    Attributes:
        activation: The layer, the operation of a functional model, or the function.
        kind: Its name, such as "relu".
        host: The layer that has it as its `activation`; None if it stands in the model by itself.
        source: The layer whose units it activates; None if only a forward pass shows it.
    """

    activation: Any
    kind: str
    host: Any = None
    source: Any = None

    @property
    def name(self) -> str:
        return (self.host or self.activation).name

    @property
    def applied(self) -> Any:
        """The layer or function that computes, without layers that only apply it."""
        applied = self.activation
        while isinstance(applied, keras.layers.Activation):
            applied = applied.activation
        return applied

    @property
    def _entry(self) -> Entry | None:
        """The entry of a layer of this package, or a registered one; None for Keras's layers."""
        entry = TABLE.get(self.kind)
        if entry is None or entry.is_of_keras or not isinstance(self.applied, entry.layer):
            return None
        return entry

    @property
    def threshold(self) -> float:
        """Pre-activations above it are active: from there on a rectifier passes its input."""
        has_one = self.kind in ("relu", "leaky_relu", "relu6", "threshold")
        return getattr(self.applied, "threshold", 0.0) if has_one else 0.0

    @property
    def is_rectifier(self) -> bool:
        """Whether the derivative at active pre-activations is sure to be above 0."""
        is_capped = getattr(self.applied, "max_value", None) is not None
        return self.kind in TABLE and not is_capped

    @property
    def is_relu(self) -> bool:
        """Whether the derivative is sure to be 0 at all others."""
        return self.is_rectifier and self.kind == "relu"

    @property
    def leaks(self) -> bool:
        """Whether the derivative is sure to be other than 0 at every pre-activation.

        A slope near 0 may become 0 in the precision that is computed in: nothing is sure of it.
        """
        if not self.is_rectifier or self.threshold or TABLE[self.kind].can_die:
            return False
        if self._entry is not None:
            found = self._entry.read_arguments(self.applied)
        elif self.kind == "leaky_relu":  # Keras's layer; the functions have no slope near 0
            found = (getattr(self.applied, "negative_slope", 1.0),)
        else:  # Keras's PReLU: 0 at 0, whatever `alpha`
            return False
        slopes: Any = [keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(a)) for a in found]
        return all(np.all(np.abs(slope) > _NEAR_0) for slope in slopes)

    def derivative(self, apply, x: Any) -> Any:
        """The derivative at `x`, by automatic differentiation, up to a factor in [1, 2).

        It is the derivative that training computes.

        Args:
            apply: The activation, as a function of a tensor.
            x: Pre-activations.
        """
        applied, entry, form = self.applied, self._entry, None
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)):
            x = keras.ops.cast(x, keras.config.floatx())
        if entry is not None and entry.is_random:  # in training the largest slope is drawn too
            return derivative(lambda x: entry.function(x, *entry.read_arguments(applied)), x)
        # On TensorFlow those that bend have forms of their own in training.
        if entry is not None and entry.can_die:
            form = entry.function, (*entry.read_arguments(applied), True)
        elif any(applied is other.function for other in TABLE.values() if other.can_die):
            form = applied, ()
        if form is None or keras.backend.backend() != "tensorflow":
            return derivative(apply, x)
        function, arguments = form
        inside: Any = keras.ops.cast(x, getattr(applied, "compute_dtype", x.dtype))
        return keras.ops.cast(derivative_in_graph(function, arguments, inside), x.dtype)


def parts_of(model):
    """The layers of a model, also those in other layers, and the operations of its graphs."""
    layers = layers_of(model)
    parts: Any = {id(part): part for part in layers}
    for layer in layers:
        if isinstance(layer, keras.Model):
            parts.update({id(op): op for op in getattr(layer, "operations", [])})
    return list(parts.values())


def find_activations(parts):
    """Every `Site` among the parts of a model. Softmax and similar functions do not count."""
    sites = []
    for part in parts:
        kind = _kind_of(part)
        if kind is not None:
            sites.append(Site(part, kind))
        elif _has_activation(part):
            kind = _kind_of(part.activation)
            if kind is not None:
                source = None if _is_composite(part) else part
                sites.append(Site(part.activation, kind, part, source))
    return [site for site in sites if site.kind not in _OVER_UNITS]


def _has_activation(part):
    """Whether `activation` is an attribute of the part itself: for an LSTM, it is the cell's."""
    is_property = isinstance(getattr(type(part), "activation", None), property)
    return not is_property and callable(getattr(part, "activation", None))


def _is_composite(layer):
    """Whether inner layers hold weights, so that its activation may apply to several of them."""
    others = [part for part in layers_of(layer) if part not in (layer, layer.activation)]
    return any(part.weights for part in others)


def _kind_of(thing):
    """Name of the activation `thing`, or None."""
    # Keras has two classes of that name: the layer, and what its function is in a functional model.
    if type(thing).__name__ == "ReLU" and hasattr(thing, "negative_slope"):
        is_relu6 = thing.max_value == 6 and not thing.threshold
        return "leaky_relu" if thing.negative_slope else "relu6" if is_relu6 else "relu"
    if isinstance(thing, keras.layers.Lambda):
        thing = thing.function
        return activation_name(thing) if hasattr(keras.activations, _name_of(thing)) else None
    if isinstance(thing, keras.Operation):
        return activation_name(thing)
    return activation_name(thing) if hasattr(thing, "__name__") else _name_of(thing)


def _name_of(function):
    return getattr(function, "__name__", type(function).__name__)
