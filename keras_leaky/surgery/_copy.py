"""A second model of the same layers, some of them changed."""

import tempfile
from typing import Any

import keras

from keras_leaky.layers._names import activation_name
from keras_leaky.surgery._configs import rewrite

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


def check_graph(model):
    """Refuses what is no Sequential or functional model, or has no inputs yet."""
    if not is_graph(model):
        raise ValueError(
            "`model` must be a built Sequential or functional model and no subclass of them; "
            "`keras.Model(model.inputs, model.outputs)` makes one of a subclass that has both. "
            f"Received: model={model!r}"
        )


def is_graph(model):
    """Whether `model` is a Sequential or functional one with known inputs, and no subclass.

    A subclass may compute something else in its `call`.
    """
    of_keras = type(model).__module__.startswith("keras.")
    return isinstance(model, keras.Model) and of_keras and hasattr(model, "inputs")


def copy_model(model, change):
    """`model` with every layer made anew from its config, as rewritten by `change`.

    Weights, names, dtype policies and `trainable` are kept; a layer that is shared, even between
    nested models, stays shared. An activation that `change` has put in the place of another takes
    over its state where the shapes are equal, and starts afresh elsewhere.

    Returns the copy, and the layers of its graph and of graphs in it.
    """
    copies = {}

    def copy(operation):
        if id(operation) not in copies:
            if is_graph(operation):
                new = _copy_graph(operation, copy)
            else:
                new = _copy_operation(operation, change)
            copies[id(operation)] = operation, new
        return copies[id(operation)][1]

    new_model = copy(model)
    layers = [
        (old, new)
        for old, new in copies.values()
        if isinstance(old, keras.layers.Layer) and not is_graph(old)
    ]
    for old, new in layers:
        _build_activations(new)
        _copy_state(old, new)
    return new_model, [new for _, new in layers]


def _copy_graph(model, copy):
    if isinstance(model, keras.Sequential):
        inputs = _copy_inputs(keras.Model(model.inputs, model.outputs, name=model.name))
        layers = [*inputs, *map(copy, model.layers)]
        new = keras.Sequential(layers, name=model.name, trainable=model.trainable)
    else:
        # The graph alone: `clone_model` would compile the copy, and fail where it cannot.
        graph = keras.Model(model.input, model.output, name=model.name)
        inputs = _copy_inputs(graph)
        clone = keras.models.clone_model(graph, input_tensors=inputs, clone_function=copy)
        # Set as an attribute, `trainable` would spread to the layers, which have their own.
        new = keras.Model(clone.input, clone.output, name=model.name, trainable=model.trainable)
    new.dtype_policy = model.dtype_policy  # says whether `compile` scales the loss
    return new


def _copy_inputs(graph) -> Any:
    """New inputs of the same kind. `clone_model` forgets their names."""
    layers = {
        id(layer.output): layer
        for layer in graph.layers
        if isinstance(layer, keras.layers.InputLayer)
    }
    return keras.tree.map_structure(
        lambda x: type(layers[id(x)]).from_config(layers[id(x)].get_config()).output, graph.input
    )


def _copy_operation(operation, change):
    """A layer, or a function of `keras.ops` in the graph, made anew."""
    kind = type(operation)
    try:
        node: Any = keras.saving.serialize_keras_object(operation)
        is_lambda = isinstance(operation, keras.layers.Lambda)
        if is_lambda:  # what Python code refers to does not outlive its serialization
            placeholder = keras.saving.serialize_keras_object(keras.activations.linear)
            node["config"]["function"] = placeholder
        node = rewrite(_without_compilation(node), change)
        node.pop("build_config", None)  # the graph builds it, as it did the old one
        new = keras.saving.deserialize_keras_object(
            node, custom_objects={kind.__name__: kind}, safe_mode=False
        )
        if is_lambda:
            new.function = operation.function
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"Layer {operation.name!r} of class {kind.__name__} cannot be made anew from its "
            f"config: {error}"
        ) from error
    return new


def _without_compilation(node):
    """`node` less how nested models were compiled, and sure to hold no lambda."""

    def change(part, key, hosts):
        if key == "compile_config":
            return None
        if isinstance(part, dict) and part.get("class_name") == "__lambda__":
            raise TypeError("it holds a lambda. Use a named function that is registered with Keras")
        return part

    return rewrite(node, change)


def parts_of(layer):
    """The layer and all layers in it, also those that its config does not show."""
    return layer._flatten_layers()  # Keras has no public walk


def parts_and_functions_of(layer):
    """The same, and the functions that they apply."""
    for part in parts_of(layer):
        yield part
        for name in ("activation", "function"):  # `function` is that of a Lambda
            if callable(getattr(part, name, None)):
                yield getattr(part, name)


def _build_activations(layer):
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
                f"The `activation` of layer {part.name!r} of class {type(part).__name__} must be "
                "one without weights: only that of a Dense or convolution of the model itself may "
                f"have some. Received: activation={activation!r}"
            )
        output: Any = layer.output
        activation.build(output.shape)


def _copy_state(old, new):
    """Copies all that `old` would save: weights, statistics, vocabularies."""
    for is_activation in (False, True):
        sources, targets = (_stateful_parts(layer, is_activation) for layer in (old, new))
        if _shapes(sources) == _shapes(targets):
            for (part, state), (new_part, _) in zip(sources, targets, strict=True):
                _load(new_part, part, state)
        elif not is_activation:
            raise ValueError(
                f"Layer {old.name!r} of class {type(old).__name__} cannot be made anew from its "
                f"config: its weights have shapes {_shapes(sources)}, those of the copy "
                f"{_shapes(targets)}"
            )


def _stateful_parts(layer, is_activation):
    """The parts of `layer` that keep something, each with that, as a dict."""
    parts: Any = []
    for part in parts_of(layer):
        state = {}
        part.save_own_variables(state)
        has_state = state or hasattr(part, "save_assets")
        if has_state and (activation_name(part) is not None) == is_activation:
            parts.append((part, state))
    return parts


def _shapes(parts):
    return [{name: tuple(value.shape) for name, value in state.items()} for _, state in parts]


def _load(new, old, state):
    new.load_own_variables(state)
    if hasattr(old, "save_assets"):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)
