"""Where a model applies an activation."""

from dataclasses import dataclass
from typing import Any

import keras

from keras_leaky.layers._names import activation_name

# Not elementwise: their outputs have no pre-activation of their own.
_OVER_UNITS = ("softmax", "log_softmax", "sparsemax", "glu")


@dataclass(frozen=True)
class Site:
    """A place where a model applies an activation.

    Attributes:
        activation: The layer, the operation of a functional model, or the function.
        kind: Its name, such as "relu".
        host: The layer that has it as its `activation`; None if it stands in the model by itself.
        source: The layer whose units it activates, None where a forward pass has to show it.
    """

    activation: Any
    kind: str
    host: Any = None
    source: Any = None

    @property
    def name(self) -> str:
        return (self.host or self.activation).name

    @property
    def negative_slope(self) -> Any:
        """A number or weight that is 0 where the derivative at negative numbers is.

        None where that is not known: for a function of the user's.
        """
        match self.kind:
            case "relu":
                return 0.0
            case "leaky_relu":  # the functions of that name have no slope of 0
                return getattr(self.activation, "negative_slope", 1.0)
            case "prelu":
                return getattr(self.activation, "alpha", 1.0)
            case "elu" | "celu":
                return getattr(self.activation, "alpha", 1.0)
            case "rrelu":
                return getattr(self.activation, "upper", 1.0)
            case "selu":
                return 1.0
        return None


def parts_of(model):
    """The layers of a model, also those in other layers, and the operations of its graphs."""
    layers = list(model._flatten_layers())  # Keras has no public walk
    parts: Any = {id(part): part for part in layers}
    for layer in layers:
        if isinstance(layer, keras.Model):
            parts.update({id(op): op for op in getattr(layer, "operations", [])})
    return list(parts.values())


def find_activations(parts):
    """Every `Site` among the parts of a model. Softmax and the like are none."""
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
    """Whether `activation` is an attribute of the part itself: that of an LSTM is its cell's."""
    is_property = isinstance(getattr(type(part), "activation", None), property)
    return not is_property and callable(getattr(part, "activation", None))


def _is_composite(layer):
    """Whether weights are in layers of it, so that it may apply its activation to several."""
    others = [part for part in layer._flatten_layers() if part not in (layer, layer.activation)]
    return any(part.weights for part in others)


def _kind_of(thing):
    """Name of the activation that `thing` is, or None."""
    # Keras has two classes of that name: the layer, and what its function is in a functional model.
    if type(thing).__name__ == "ReLU" and hasattr(thing, "negative_slope"):
        return "leaky_relu" if thing.negative_slope else "relu"
    if isinstance(thing, keras.layers.Lambda):
        thing = thing.function
        return activation_name(thing) if hasattr(keras.activations, _name_of(thing)) else None
    if isinstance(thing, keras.Operation):
        return activation_name(thing)
    return activation_name(thing) if hasattr(thing, "__name__") else _name_of(thing)


def _name_of(function):
    return getattr(function, "__name__", type(function).__name__)
