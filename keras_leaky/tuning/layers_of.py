"""All layers of a model."""

from typing import Any


def layers_of(model: Any) -> list[Any]:
    """The layers in a model, in layers of it too, in the order of their making."""
    return list(model._flatten_layers(include_self=False))  # Keras has no public walk
