"""Copying a model, with some of its layers changed."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_leaky.layers._nested import layers_of
from keras_leaky.rectifiers import activation_name
from keras_leaky.surgery._configs import Hosts, rewrite
from keras_leaky.surgery._drawing import new_seeds, own_draws, seed_draws
from keras_leaky.surgery._graph import inputs_of, inputs_of_uses, is_graph
from keras_leaky.surgery._state import build_activations, copy_state, no_copy

# `change` of `copy_model`.
ChangeAt = Callable[[Any, str, Hosts, Any, Sequence[Any]], Any]


def check_graph(model: Any) -> None:
    """Refuses a model that is not Sequential or functional, or has no inputs yet."""
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Sequential or functional model, not a subclass. For a "
            "subclass with inputs and outputs, pass `keras.Model(model.inputs, model.outputs)`. "
            f"Received: model={model!r}"
        )


def copy_model(
    model: Any, change: ChangeAt, seed: int | None = None
) -> tuple[Any, list[tuple[Any, Any]]]:
    """`model` with every layer rebuilt from its config, as rewritten by `change`.

    Names, dtype policies and `trainable` are kept; a layer that is shared, even between nested
    models, stays shared. Weights are kept, or drawn from `seed` by the model's initializers. Frozen
    and adapted layers then keep their weights. A replacement of an activation takes over its state
    if the shapes are equal; otherwise it starts with new weights.

    `change(part, key, hosts, operation, inputs)` is as for `rewrite`, with the operation of the
    graph that holds the part, and the inputs of this operation.

    Returns the copy, and the pairs (old, new) of its layers and operations, also in inner graphs.
    An old layer that was split up is in several pairs.
    """
    copier = _Copier(model, change, seed)
    with own_draws(seed):
        new_model = copier.copy(model)
    twins: dict[int, Any] = {}
    for old, new in copier.pairs:
        if isinstance(old, keras.layers.Layer):
            build_activations(new)
            copy_state(old, new, seed is not None, twins)
    return new_model, copier.pairs


class _Copier:
    """Copies operations, each once.

    Attributes:
        pairs: List of pairs (old, new), without those that are graphs themselves.
    """

    def __init__(self, model: Any, change: ChangeAt, seed: int | None) -> None:
        self.pairs: list[tuple[Any, Any]] = []
        self._change, self._seed = change, seed
        self._copies: dict[int, tuple[Any, Any]] = {}  # by id of the operation
        self._uses = inputs_of_uses(model)
        self._names = {part.name for part in layers_of(model)}

    def copy(self, operation: Any) -> Any:
        if id(operation) not in self._copies:
            if is_graph(operation):
                new = self._copy_graph(operation)
            elif self._must_split(operation):
                new = _OneAUse(lambda inputs: self._copy_operation(operation, inputs, True))
            else:
                new = self._copy_operation(operation)
            self._copies[id(operation)] = operation, new  # its id is unique while it lives
        return self._copies[id(operation)][1]

    def _copy_graph(self, model: Any) -> Any:
        if isinstance(model, keras.Sequential):
            graph = keras.Model(model.inputs, model.outputs, name=model.name)
            inputs_of_layers = [inputs_of(model.outputs[0])]
            for _ in model.layers[1:]:
                inputs_of_layers.insert(0, inputs_of(inputs_of_layers[0][0]))
            layers = _copy_inputs(graph)
            for layer, inputs in zip(model.layers, inputs_of_layers, strict=True):
                new = self.copy(layer)
                layers.append(new.layer_for(inputs) if isinstance(new, _OneAUse) else new)
            new = keras.Sequential(layers, name=model.name, trainable=model.trainable)
        else:
            # The graph alone: `clone_model` would compile the copy, and fail where it cannot.
            graph = keras.Model(model.input, model.output, name=model.name)
            inputs = _copy_inputs(graph)
            clone = keras.models.clone_model(graph, input_tensors=inputs, clone_function=self.copy)
            # Set as an attribute, `trainable` would spread to the layers, which have their own.
            new = keras.Model(clone.input, clone.output, name=model.name, trainable=model.trainable)
        new.dtype_policy = model.dtype_policy  # says whether `compile` scales the loss
        return new

    def _must_split(self, operation: Any) -> bool:
        """Whether a shared layer is replaced by one whose weights would differ from use to use."""
        _, uses = self._uses[id(operation)]
        if len(uses) < 2 or activation_name(operation) is None:
            return False
        shapes = set()
        for inputs in uses:
            probe = _remake(operation, self._rewritten(operation, inputs))
            if type(probe).build is keras.layers.Layer.build:
                return False  # no weights
            probe.build(inputs[0].shape)
            axes = tuple(getattr(probe, "shared_axes", None) or ())
            shapes.add((axes, *(tuple(weight.shape) for weight in probe.weights)))
        return len(shapes) > 1

    def _rewritten(self, operation: Any, inputs: Sequence[Any]) -> Any:
        def change(part: Any, key: str, hosts: Hosts) -> Any:
            return self._change(part, key, hosts, operation, inputs)

        try:
            node: Any = _without_compilation(_serialize(operation))
        except TypeError as error:
            raise no_copy(operation, error) from error
        if self._seed is not None:
            node = new_seeds(node, self._seed)
        return rewrite(node, change)

    def _copy_operation(
        self, operation: Any, inputs: Sequence[Any] | None = None, is_one_of_many: bool = False
    ) -> Any:
        """A layer, or a function of `keras.ops` in the graph, rebuilt."""
        if inputs is None:
            inputs = self._uses[id(operation)][1][0]
        node: Any = self._rewritten(operation, inputs)
        if is_one_of_many and any(old is operation for old, _ in self.pairs):
            node["config"]["name"] = self._unused(operation.name)
        seed_draws(self._seed, node["config"]["name"])
        new = _remake(operation, node)
        self.pairs.append((operation, new))
        return new

    def _unused(self, name: str) -> str:
        number = 1
        while f"{name}_{number}" in self._names:
            number += 1
        self._names.add(f"{name}_{number}")
        return f"{name}_{number}"


class _OneAUse:
    """Stands for a shared layer of which every use gets its own copy."""

    def __init__(self, layer_for: Callable[[list[Any]], Any]) -> None:
        self.layer_for = layer_for

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs = [x for x in keras.tree.flatten([args, kwargs]) if isinstance(x, keras.KerasTensor)]
        return self.layer_for(inputs)(*args, **kwargs)


def _copy_inputs(graph: Any) -> Any:
    """New inputs of the same kind. `clone_model` forgets their names."""
    layers = {
        id(layer.output): layer
        for layer in graph.layers
        if isinstance(layer, keras.layers.InputLayer)
    }
    return keras.tree.map_structure(
        lambda x: type(layers[id(x)]).from_config(layers[id(x)].get_config()).output, graph.input
    )


def _serialize(operation: Any) -> Any:
    try:
        node: Any = keras.saving.serialize_keras_object(operation)
    except (NotImplementedError, TypeError) as error:
        raise no_copy(operation, error) from error
    if isinstance(operation, keras.layers.Lambda):
        # Objects that Python code refers to do not survive serialization.
        node["config"]["function"] = keras.saving.serialize_keras_object(keras.activations.linear)
    return node


def _remake(operation: Any, node: dict[str, Any]) -> Any:
    """The object that the serialized `node` describes, to replace `operation`."""
    kind = type(operation)
    node = {name: part for name, part in node.items() if name != "build_config"}
    try:
        new: Any = keras.saving.deserialize_keras_object(
            node, custom_objects={kind.__name__: kind}, safe_mode=False
        )
    except (NotImplementedError, TypeError) as error:
        raise no_copy(operation, error) from error
    if isinstance(operation, keras.layers.Lambda):
        new.function = operation.function
    return new


def _without_compilation(node: Any) -> Any:
    """`node` without the compile configs of nested models; refuses lambdas."""

    def change(part: Any, key: str, hosts: Hosts) -> Any:
        if key == "compile_config":
            return None
        if isinstance(part, dict) and part.get("class_name") == "__lambda__":
            raise TypeError("it holds a lambda. Use a named function that is registered with Keras")
        return part

    return rewrite(node, change)
