"""The layers in a layer."""

from typing import Any


def layers_of(layer: Any) -> list[Any]:
    """A layer or model, then all layers in it, in those too, in the order of their making."""
    return list(layer._flatten_layers())  # Keras has no public walk
