"""The places of a model's layers in its graph."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import keras

from keras_leaky.layers._axes import channel_axis
from keras_leaky.layers._nested import layers_of
from keras_leaky.rectifiers import activation_name

# They put elements elsewhere, so the axis of the channels is another one afterwards.
_MOVE = ("Reshape", "Permute", "Transpose", "Moveaxis", "Swapaxes", "RepeatVector", "ExpandDims")


def is_graph(model: Any) -> bool:
    """Whether `model` is Sequential or functional with known inputs, and not a subclass.

    A subclass may compute something else in its `call`.
    """
    of_keras = type(model).__module__.startswith("keras.")
    return isinstance(model, keras.Model) and of_keras and hasattr(model, "inputs")


def inputs_of_uses(model: Any) -> dict[int, tuple[Any, list[list[Any]]]]:
    """Dict from the id of every operation to it and a list of its inputs in each use.

    Those of nested models too. Other models that a layer belongs to do not count.
    """
    uses: dict[int, tuple[Any, list[list[Any]]]] = {}
    seen = set()

    def visit(tensors: Iterable[Any]) -> None:
        for x in tensors:
            operation, index, _ = x._keras_history
            if (id(operation), index) in seen:
                continue
            seen.add((id(operation), index))
            inputs = inputs_of(x)
            uses.setdefault(id(operation), (operation, []))[1].append(inputs)
            if is_graph(operation):
                visit(keras.tree.flatten(operation.outputs))
            visit(inputs)

    visit(keras.tree.flatten(model.outputs))
    return uses


def inputs_of(x: Any) -> list[Any]:
    """The tensors that the operation which returned `x` was called on."""
    operation, index, _ = x._keras_history
    return list(operation._inbound_nodes[index].input_tensors)


class ChannelAxes:
    """The axes of the channels in a model.

    Attributes:
        is_mixed: Whether layers of the model say that channels come first and others that they come
            last, so that an input may be either.
        has_first: Whether a layer says that they come first.
    """

    def __init__(self, model: Any) -> None:
        said = {_says(layer) for layer in layers_of(model)}
        self.has_first = "first" in said
        self.is_mixed = {"first", "last"} <= said
        self._found: dict[int, tuple[Any, int | None]] = {}

    def axis_of(self, x: Any) -> int | None:
        """The axis of the channels in a symbolic tensor, counted from the front.

        None if it is unknown.
        """
        if id(x) not in self._found:
            self._found[id(x)] = x, self._find(x)  # while `x` lives, its id is its own
        return self._found[id(x)][1]

    def _find(self, x: Any) -> int | None:
        rank = len(x.shape)
        if not self.has_first or rank <= 2:
            return rank - 1
        operation, _, output = x._keras_history
        if is_graph(operation):
            return self.axis_of(keras.tree.flatten(operation.outputs)[output])
        if isinstance(operation, keras.layers.InputLayer):
            return None if self.is_mixed else 1
        axis = channel_axis(operation)
        if axis is not None:
            return axis % rank
        if type(operation).__name__ in _MOVE or isinstance(operation, keras.layers.Wrapper):
            return None
        is_activation = activation_name(operation) is not None
        of_keras = type(operation).__module__.startswith("keras.")
        if of_keras and getattr(operation, "weights", None) and not is_activation:
            return rank - 1  # Dense, recurrent layers, attention
        axes = {self.axis_of(y) for y in inputs_of(x) if len(y.shape) == rank}
        return axes.pop() if len(axes) == 1 else None


def _says(layer: Any) -> Literal["first", "last"] | None:
    """ "first" or "last" of a layer that says where its channels are."""
    axis = channel_axis(layer)
    ndim = getattr(getattr(layer, "input_spec", None), "ndim", None)
    if axis is None or ndim == 2:
        return None
    return "first" if axis == 1 else "last"


def layers_in_front(x: Any, stop: Callable[[Any], bool]) -> list[Any]:
    """The layers with a kernel from whose outputs `x` is computed, without a `stop` in between.

    Args:
        x: Symbolic tensor.
        stop: Function that tells of an operation whether what is before it does not count.
    """
    layers, seen, waiting = [], set(), [x]
    while waiting:
        x = waiting.pop()
        operation, index, output = x._keras_history
        if (id(operation), index, output) in seen or stop(operation):
            continue
        seen.add((id(operation), index, output))
        if is_graph(operation):
            waiting.append(keras.tree.flatten(operation.outputs)[output])
        elif kernel_of(operation) is not None:
            layers.append(operation)
        else:
            waiting.extend(inputs_of(x))
    return layers


def kernel_of(layer: Any) -> str | None:
    """The argument that initializes the kernel which a layer applies last; None if it has none."""
    names = ("pointwise_initializer", "depthwise_initializer", "kernel_initializer")
    if isinstance(layer, keras.layers.RNN):
        return None
    return next((name for name in names if hasattr(layer, name)), None)
