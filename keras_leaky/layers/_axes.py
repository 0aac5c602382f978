"""The axis of a tensor that holds its features or channels."""

from typing import Any


def channel_axis(layer: Any) -> int | None:
    """The axis of features or channels in a layer's output; None if the layer does not say."""
    if getattr(layer, "data_format", None) == "channels_first":
        return 1
    if getattr(layer, "data_format", None) == "channels_last":
        return -1
    axis = getattr(layer, "axis", None)
    is_normalization = "Normalization" in type(layer).__name__
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    if is_normalization and len(axes) == 1 and isinstance(axes[0], int):
        return axes[0]
    return None
