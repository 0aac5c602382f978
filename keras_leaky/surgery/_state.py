"""The state that a copy of a layer takes over: weights, statistics, vocabularies."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_leaky.layers._nested import layers_of
from keras_leaky.rectifiers import activation_name

# Layers whose output is that of their `activation`, so that its shape is known.
_ACTIVATION_LAST = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def no_copy(operation: Any, error: object) -> ValueError:
    return ValueError(
        f"Layer {operation.name!r} of class {type(operation).__name__} cannot be rebuilt from its "
        f"config: {error}"
    )


def parts_of(layer: Any) -> list[Any]:
    """The layer and all layers in it, also those that its config does not show."""
    if not isinstance(layer, keras.layers.Layer):
        return [layer]  # a function of the graph
    return layers_of(layer)


def parts_and_functions_of(layer: Any) -> Iterator[Any]:
    """The same, and the functions that they apply."""
    for part in parts_of(layer):
        yield part
        for name in ("activation", "function"):  # `function` is that of a Lambda
            if callable(getattr(part, name, None)):
                yield getattr(part, name)


def build_activations(layer: Any) -> None:
    """Makes the weights of activations that are arguments, such as `Dense(activation=PReLU())`.

    Keras would make them at the first call with data, when an optimizer may already have asked.
    """
    for part in parts_of(layer):
        activation = getattr(part, "activation", None)
        if not isinstance(activation, keras.layers.Layer) or activation.built:
            continue
        if type(activation).build is keras.layers.Layer.build:
            continue  # no weights
        if part is not layer or not isinstance(layer, _ACTIVATION_LAST):
            raise ValueError(
                f"The `activation` of layer {part.name!r} of class {type(part).__name__} must have "
                "no weights: only a Dense or convolution of the model itself may have an "
                f"activation with weights. Received: activation={activation!r}"
            )
        output: Any = layer.output
        activation.build(output.shape)


def copy_state(old: Any, new: Any, is_drawn: bool, twins: dict[int, Any]) -> None:
    """Copies the state that `old` would save: weights, statistics, vocabularies.

    If weights are drawn, only the state of frozen and adapted parts is copied.

    Args:
        twins: Dict from the id of every part of old layers to its copy, which this adds to.
    """
    for is_activation in (False, True):
        sources, targets = (_stateful_parts(layer, is_activation) for layer in (old, new))
        if _shapes(sources) == _shapes(targets):
            for (part, state), (new_part, _) in zip(sources, targets, strict=True):
                if twins.setdefault(id(part), new_part) is not new_part:
                    raise ValueError(
                        f"Layer {part.name!r} is shared in a way that no config shows: within a "
                        "wrapper and outside of it, or as the `activation` of several layers. The "
                        "copy would have two layers instead of one. Give every place its own layer"
                    )
                if not is_drawn or not part.trainable or hasattr(part, "adapt"):
                    _load(new_part, part, state)
        elif not is_activation:
            raise no_copy(
                old,
                f"its weights have shapes {_shapes(sources)}, but the copy's have "
                f"{_shapes(targets)}",
            )


def _stateful_parts(layer: Any, is_activation: bool) -> list[tuple[Any, dict[str, Any]]]:
    """The parts of `layer` that keep something, each with that, as a dict."""
    parts: list[tuple[Any, dict[str, Any]]] = []
    for part in parts_of(layer):
        state: dict[str, Any] = {}
        part.save_own_variables(state)
        has_state = state or hasattr(part, "save_assets")
        if has_state and (activation_name(part) is not None) == is_activation:
            parts.append((part, state))
    return parts


def _shapes(parts: Sequence[tuple[Any, dict[str, Any]]]) -> list[dict[str, tuple[int, ...]]]:
    return [{name: tuple(value.shape) for name, value in state.items()} for _, state in parts]


def _load(new: Any, old: Any, state: dict[str, Any]) -> None:
    # On JAX two variables would share an array, and a training of one frees it for both.
    new.load_own_variables({name: keras.ops.copy(value) for name, value in state.items()})
    if hasattr(old, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)
