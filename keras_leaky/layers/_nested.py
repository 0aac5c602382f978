"""The layers in a layer."""

from typing import Any


def layers_of(layer: Any) -> list[Any]:
    """A layer or model, then all layers inside it at any depth, in order of creation."""
    return list(layer._flatten_layers())  # Keras has no public walk
