"""replace_activations: what it finds, what it keeps, what it refuses."""

import re

import keras
import numpy as np
import pytest
from keras import layers as stock

import keras_leaky
from keras_leaky import layers, replace_activations
from keras_leaky.layers import ELU, LeakyReLU, PReLU
from tests.versions import has


def sequential(*stack, shape=(4, 3), **kwargs):
    return keras.Sequential([keras.Input(shape), *stack], **kwargs)


def functional(f, shape=(4, 3), **kwargs):
    x = keras.Input(shape)
    return keras.Model(x, f(x), **kwargs)


def shake(model, seed=0):
    """Weights that no initializer draws; variances stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.normal(size=weight.shape)
        weight.assign(abs(value) if "variance" in weight.path else value)
    return model


def data(model, seed=1):
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=(2, *x.shape[1:])).astype("float32") for x in model.inputs]
    return xs if len(xs) > 1 else xs[0]


def all_layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)


# Models as functions of how to make an activation layer, and of what is an `activation`.
FORMS = {
    "layer": lambda layer, name: sequential(stock.Dense(5), layer()),
    "argument": lambda layer, name: sequential(stock.Dense(5, activation=name)),
    "convolutions": lambda layer, name: sequential(
        stock.Conv1D(5, 2, activation=name), stock.SeparableConv1D(4, 2, activation=name)
    ),
    "twice": lambda layer, name: functional(
        lambda x: layer(name="b")(stock.Dense(5, activation=name)(layer(name="a")(x)))
    ),
    "nested": lambda layer, name: sequential(
        functional(lambda x: sequential(stock.Dense(5, activation=name), layer())(x)), layer()
    ),
    "wrapped layer": lambda layer, name: sequential(stock.TimeDistributed(layer())),
    "wrapped argument": lambda layer, name: sequential(
        stock.TimeDistributed(stock.Dense(5, activation=name))
    ),
    "wrapped model": lambda layer, name: sequential(
        stock.TimeDistributed(functional(lambda x: layer()(stock.Dense(5, name)(x)), shape=(3,)))
    ),
    "recurrent": lambda layer, name: sequential(stock.LSTM(5, activation=name)),
    "cells": lambda layer, name: sequential(
        stock.RNN([stock.GRUCell(5, activation=name), stock.SimpleRNNCell(2, activation=name)])
    ),
    "both ways": lambda layer, name: sequential(stock.Bidirectional(stock.GRU(5, activation=name))),
}


@pytest.mark.parametrize("form", FORMS)
def test_is_the_model_made_with_the_other_activation(form):
    model = shake(FORMS[form](stock.ReLU, "relu"))
    other = FORMS[form](lambda **kw: LeakyReLU(0.3, **kw), LeakyReLU(0.3))
    other.set_weights(model.get_weights())
    new = replace_activations(model, {"relu": LeakyReLU(0.3)})
    x = data(model)
    np.testing.assert_array_equal(new(x), other(x))
    assert np.abs(np.asarray(new(x)) - np.asarray(model(x))).max() > 0.01
    assert type(new) is type(model)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("relu", stock.ReLU()),
        ("relu6", stock.ReLU(6.0)),
        ("relu", stock.Activation("relu")),
        ("relu6", stock.Activation("relu6")),
        ("relu", keras.ops.relu),
        ("relu6", keras.ops.relu6),
        ("relu6", lambda x: keras.activations.relu(x, max_value=6.0)),
        ("leaky_relu", lambda x: keras.activations.relu(x, negative_slope=0.3)),
        ("leaky_relu", stock.ReLU(negative_slope=0.3)),
        ("leaky_relu", stock.LeakyReLU(0.5)),
        ("leaky_relu", LeakyReLU(0.5)),
        ("leaky_relu", stock.Activation(LeakyReLU(0.5))),
        ("leaky_relu", keras.ops.leaky_relu),
        ("prelu", stock.PReLU("ones")),
        ("prelu", PReLU(1.0)),
        ("elu", stock.ELU()),
        ("elu", ELU()),
        ("elu", keras.ops.elu),
        ("elu", stock.Activation(keras_leaky.ops.elu)),
        ("celu", layers.CELU()),
        ("celu", keras.activations.celu),
        ("selu", layers.SELU()),
        ("selu", stock.Activation("selu")),
        ("rrelu", layers.RReLU()),
        ("gelu", stock.Activation("gelu")),
        ("swish", stock.Activation("silu")),
        ("softmax", stock.Activation("softmax")),
    ],
)
def test_names_of_activations(name, activation):
    model = functional(lambda x: activation(stock.Dense(5)(x)))
    new = replace_activations(model, {name: LeakyReLU(-2.0)})
    dense = new.layers[1](data(model))
    np.testing.assert_allclose(new(data(model)), np.where(dense > 0, dense, -2.0 * dense))
    assert new.operations[-1].name == model.operations[-1].name


@pytest.mark.parametrize("name", ["elu", "linear", "sigmoid"])
def test_a_name_that_the_model_lacks_is_refused(name):
    model = sequential(
        stock.ReLU(),
        stock.ReLU(6.0),
        stock.ReLU(negative_slope=0.1),
        stock.ReLU(threshold=0.1),
        stock.Activation("tanh"),
        stock.LSTM(2, recurrent_activation="sigmoid"),
        stock.Dense(2),
        name="net",
    )
    message = "`replacements` must name activations of model 'net', which has {names}. Received"
    message = message.format(names="leaky_relu, relu, relu6, tanh")
    with pytest.raises(ValueError, match=f"^{message}: '{name}'$"):
        replace_activations(model, {"relu": "elu", name: "elu"})
    bare = sequential(stock.Dense(2), stock.ReLU(threshold=0.1), name="bare")
    with pytest.raises(ValueError, match=r"of model 'bare', which has none\."):
        replace_activations(bare, {"relu": "elu"})


def test_recurrent_activation_stays():
    model = sequential(stock.LSTM(2, recurrent_activation="tanh"))
    (new,) = replace_activations(model, {"tanh": "relu"}).layers
    assert new.activation is keras.activations.relu
    assert new.recurrent_activation is keras.activations.tanh
    model.add(stock.Reshape((2, 1)))
    model.add(stock.LSTM(2, recurrent_activation=stock.Activation("tanh"), name="act"))
    with pytest.raises(ValueError, match="Layer 'act' of class LSTM applies tanh, but its config"):
        replace_activations(model, {"tanh": "relu"})


@pytest.mark.parametrize("value", ["elu", keras.activations.elu, keras_leaky.ops.elu])
def test_a_name_or_function(value):
    model = sequential(stock.Dense(5, activation="relu", name="a"), stock.ReLU(name="b"))
    new = replace_activations(model, {"relu": value})
    assert new.get_layer("a").activation is keras.activations.get(value)
    assert type(new.get_layer("b")) is stock.Activation
    assert new.get_layer("b").activation is keras.activations.get(value)


def test_two_activations_change_places():
    model = sequential(stock.Dense(2, "relu"), stock.Activation("elu"), stock.ReLU())
    new = replace_activations(model, {"relu": "elu", "elu": "relu"})
    assert [layer.activation.__name__ for layer in new.layers] == ["elu", "relu", "elu"]


def test_every_place_has_its_own_layer_and_shared_ones_stay_shared():
    pattern = LeakyReLU(0.3)
    model = sequential(stock.ReLU(), stock.Dense(2, "relu"), stock.ReLU())
    a, dense, b = replace_activations(model, {"relu": pattern}).layers
    assert len({id(layer) for layer in (a, b, dense.activation, pattern)}) == 4

    relu, inner = stock.ReLU(name="shared"), sequential(stock.Dense(3, "relu"), name="inner")
    outer = functional(lambda x: relu(inner(relu(x))), name="outer")  # relu twice, inner thrice
    model = functional(lambda x: relu(inner(outer(inner(x)))))
    new = shake(replace_activations(model, {"relu": PReLU(0.3)}))
    within = new.get_layer("outer")
    for name in ("shared", "inner"):
        assert new.get_layer(name) is within.get_layer(name)
    assert len(new.weights) == 2 + 1 + 1


def inputs_and_outputs():
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y", dtype="float64")
    dense = stock.Dense(3, "relu", name="dense")
    normed = stock.BatchNormalization(name="norm")(dense(x), training=True)
    scaled = keras.ops.add(2.0, dense(y)) * keras.ops.transpose(keras.ops.transpose(normed))
    split = stock.Add(name="sum")([scaled, normed])[:, :2]
    return keras.Model({"x": x, "y": y}, {"a": split, "b": [stock.ReLU()(scaled)]}, name="io")


def test_inputs_outputs_and_arguments_of_calls():
    model = shake(inputs_and_outputs())
    new = replace_activations(model, {"relu": stock.ReLU()})
    x = {"y": np.ones((2, 3)), "x": -np.eye(2, 3)}
    before, after = model(x), new(x)
    np.testing.assert_array_equal(after["a"], before["a"])
    np.testing.assert_array_equal(after["b"][0], before["b"][0])
    assert {name: x.dtype for name, x in new.input.items()} == {"x": "float32", "y": "float64"}
    assert {x.name for x in new.layers if isinstance(x, stock.InputLayer)} == {"x", "y"}
    assert new.output_names == model.output_names


@pytest.mark.skipif(not has("keras", "3.14"), reason="there optional inputs must be connected")
def test_what_replaces_itself_leaves_the_config_as_it_was():
    x, y = keras.Input((3,)), keras.Input((3,), optional=True)
    inner = sequential(stock.Dense(3, "relu"), stock.Activation("relu"), shape=(3,))
    model = keras.Model([x, y], stock.Activation("relu")(stock.Add()([inner(x), inner(x)])))
    new = replace_activations(model, {"relu": "relu"})
    assert new.to_json() == model.to_json()
    assert [w.path for w in new.weights] == [w.path for w in model.weights]


def snapshot(model):
    outputs = np.asarray(model(data(model)))
    return model.to_json(), [np.array(w) for w in model.variables], outputs


def test_the_model_given_is_left_alone():
    inner = sequential(stock.Dense(3, "relu"), stock.BatchNormalization(), stock.ReLU())
    model = shake(functional(lambda x: stock.Dense(1)(inner(keras.ops.relu(inner(x))))))
    model.compile("sgd", "mse")
    before = snapshot(model)
    pattern = PReLU()
    new = replace_activations(model, {"relu": pattern})
    new.compile("adam", "mse")
    new.fit(data(model), np.ones((2, 4, 1)), verbose=0)
    config, variables, outputs = snapshot(model)
    assert config == before[0]
    np.testing.assert_array_equal(outputs, before[2])
    for after, value in zip(variables, before[1], strict=True):
        np.testing.assert_array_equal(after, value)
    assert not pattern.built


def test_names_trainable_and_dtype_policies_are_kept():
    inner = sequential(stock.Dense(3, "relu", name="a"), stock.ReLU(name="b"), name="inner")
    inner.trainable = False
    inner.layers[0].trainable = True
    with_policy = stock.Dense(3, "relu", name="c", dtype="mixed_float16")
    frozen = stock.ReLU(name="d", dtype="float64", trainable=False)
    block = functional(lambda x: stock.Dense(3, name="f")(stock.ReLU(name="e")(x)), name="block")
    block.trainable = False
    block.layers[1].trainable = True
    model = sequential(inner, with_policy, frozen, block, name="outer")
    model.dtype_policy = "mixed_float16"
    pattern = LeakyReLU(dtype="bfloat16")
    new = replace_activations(model, {"relu": pattern})
    for old, layer in zip([model, *all_layers(model)], [new, *all_layers(new)], strict=True):
        assert layer.name == old.name
        assert layer.trainable == old.trainable or isinstance(layer, stock.InputLayer)
        assert layer.dtype_policy == old.dtype_policy
    activation = new.get_layer("c").activation
    assert activation.compute_dtype == "float16"
    assert activation.name == f"c_{pattern.name}"
    unfrozen = replace_activations(sequential(stock.ReLU()), {"relu": LeakyReLU(trainable=False)})
    assert not unfrozen.layers[0].trainable


class Twice(stock.Layer):
    """Not registered, with state and an activation in its config."""

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.dense = stock.Dense(3, activation=activation)
        self.norm = stock.BatchNormalization()

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.norm.build(input_shape)

    def call(self, x):
        return self.norm(self.dense(x))

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.dense.activation),
        }


def test_a_layer_of_the_user_with_an_activation_argument():
    model = shake(sequential(Twice("relu")))
    new = replace_activations(model, {"relu": stock.ReLU()})
    assert type(new.layers[0].dense.activation) is stock.ReLU
    np.testing.assert_array_equal(new(data(model)), model(data(model)))
    new = replace_activations(model, {"relu": PReLU(0.0)})  # made where the graph runs its `call`
    np.testing.assert_array_equal(new(data(model)), model(data(model)))
    assert len(new.weights) == len(model.weights) + 1


@keras.saving.register_keras_serializable(package="tests")
class Hidden(stock.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = [stock.Dense(3, activation="relu"), PReLU()]

    def build(self, input_shape):
        for layer in self.inner:
            layer.build(input_shape)

    def call(self, x):
        return self.inner[1](self.inner[0](x))

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("name", ["relu", "prelu"])
@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("Hidden", Hidden),
        ("TimeDistributed", lambda name: stock.TimeDistributed(Hidden(), name=name)),
    ],
)
def test_an_activation_out_of_reach_is_refused(kind, make, name):
    model = sequential(stock.ReLU(), make(name="act"), stock.PReLU())
    message = f"Layer 'act' of class {kind} applies {name}, but its config does not show it"
    with pytest.raises(ValueError, match=message):
        replace_activations(model, {name: LeakyReLU()})
    replace_activations(model, {"relu": "relu"})  # what it is already, where it is out of reach


def test_state_that_is_no_weight():
    words = stock.StringLookup()
    words.adapt(["b", "b", "a"])
    statistics = stock.Normalization()
    statistics.adapt(np.array([[1.0], [5.0]]))
    x = keras.Input((1,), dtype="string")
    y = stock.Lambda(lambda y: keras.ops.cast(y + 2, "float32"))(words(x))
    model = keras.Model(x, stock.ReLU()(statistics(y)))
    new = replace_activations(model, {"relu": LeakyReLU(0.5)})
    x = keras.ops.convert_to_tensor([["a"], ["b"], ["c"]])
    np.testing.assert_array_equal(model(x), [[0.5], [0], [0]])
    np.testing.assert_array_equal(new(x), [[0.5], [0], [-0.25]])


def unknown_loss(y, prediction):
    return prediction


def test_a_model_that_is_compiled_with_what_keras_does_not_know():
    inner = sequential(stock.Dense(3, "relu"))
    inner.compile("sgd", unknown_loss)
    outer = sequential(stock.TimeDistributed(inner), shape=(2, 4, 3))
    for model in (inner, sequential(inner), functional(inner), outer):
        model.compile("sgd", unknown_loss)
        assert not replace_activations(model, {"relu": "elu"}).compiled


WITH_WEIGHTS = {
    "Sequential": lambda: sequential(stock.Dense(5, "relu", name="a"), stock.ReLU(name="b")),
    "functional": lambda: functional(
        lambda x: stock.ReLU(name="b")(stock.Conv1D(5, 2, activation="relu", name="a")(x))
    ),
    "frozen": lambda: sequential(
        stock.EinsumDense("abc,cd->abd", (None, 5), activation="relu", name="a", trainable=False),
        stock.TimeDistributed(sequential(stock.ReLU(), shape=(5,)), name="b"),
    ),
}


@pytest.mark.parametrize("make", WITH_WEIGHTS.values(), ids=WITH_WEIGHTS)
def test_prelu_is_trained_and_saved(make, tmp_path):
    model = shake(make())
    pattern = PReLU(0.5)
    pattern.build((None, 7))
    new = replace_activations(model, {"relu": pattern})
    alphas = [w for w in new.weights if w.name == "alpha"]
    assert [alpha.shape for alpha in alphas] == [(1, 5), (1, 5)] or len(alphas[1].shape) == 1
    assert len(new.weights) == len(model.weights) + 2
    assert len({w.path for w in new.weights}) == len(new.weights)
    new.compile("sgd", "mse")
    new.fit(data(new), np.zeros(new(data(new)).shape), verbose=0)
    frozen = not model.layers[0].trainable
    assert [bool(np.all(alpha == 0.5)) for alpha in alphas] == [frozen, False]
    new.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert len(loaded.weights) == len(new.weights)
    np.testing.assert_array_equal(loaded(data(new)), new(data(new)))
    assert len(keras.models.clone_model(new).weights) == len(new.weights)


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (lambda: stock.LSTM(2, activation="relu", name="a"), "a' of class LSTM"),
        (lambda: stock.TimeDistributed(stock.Dense(2, "relu", name="b")), "b' of class Dense"),
    ],
)
def test_weights_where_they_cannot_be_made_are_refused(wrap, name):
    message = f"The `activation` of layer '{name} must have no weights: .* Received: activa"
    with pytest.raises(ValueError, match=message):
        replace_activations(sequential(wrap()), {"relu": PReLU()})


@pytest.mark.parametrize("as_argument", [False, True])
def test_prelu_takes_over_the_alpha_of_prelu_where_shapes_are_equal(as_argument):
    def make(old):
        stack = [stock.Dense(5, activation=old)] if as_argument else [stock.Dense(5), old]
        model = sequential(*stack)
        model(data(model))
        return shake(model)

    model = make(stock.PReLU(shared_axes=[1]))
    new = replace_activations(model, {"prelu": PReLU()})
    np.testing.assert_allclose(new(data(model)), model(data(model)), rtol=1e-6)
    model = make(PReLU())
    new = replace_activations(model, {"prelu": PReLU(0.5, shared_axes="all")})
    np.testing.assert_array_equal(new.weights[-1], [[0.5]])
    np.testing.assert_array_equal(new.weights[0], model.weights[0])


class Subclass(keras.Model):
    def call(self, x):
        return x


def subclass():
    model = Subclass()
    model.build((None, 3))
    return model


class FunctionalSubclass(keras.Model):
    def __init__(self):
        x = keras.Input((3,))
        super().__init__(x, stock.ReLU()(x))


@pytest.mark.parametrize(
    "model",
    [None, stock.ReLU(), keras.Sequential([stock.ReLU()]), subclass(), FunctionalSubclass()],
    ids=["None", "layer", "not built", "subclass", "functional subclass"],
)
def test_no_model_with_layers_in_sight_is_refused(model):
    message = "`model` must be a built Sequential or functional model, not a subclass"
    with pytest.raises(ValueError, match=f"^{message}.*Received: model={re.escape(repr(model))}"):
        replace_activations(model, {"relu": "elu"})


def test_the_way_out_of_a_functional_subclass():
    model = FunctionalSubclass()
    new = replace_activations(keras.Model(model.inputs, model.outputs), {"relu": LeakyReLU()})
    assert type(new.layers[-1]) is LeakyReLU


@pytest.mark.parametrize("replacements", [None, {}, ["relu"], LeakyReLU(name="a")], ids=repr)
def test_no_dict_is_refused(replacements):
    message = "`replacements` must be a dict from names of activations to layers, and not empty"
    with pytest.raises(ValueError, match=f"{message}. Received: replacements="):
        replace_activations(sequential(stock.ReLU()), replacements)


@pytest.mark.parametrize(
    "value",
    [None, 0.1, LeakyReLU, "rellu", "prelu", lambda x: x, stock.Lambda(abs), Twice()],
    ids=["None", "float", "class", "rellu", "prelu", "lambda", "Lambda", "Twice"],
)
def test_another_kind_of_value_is_refused(value, recwarn):
    message = "`replacements['relu']` must be a layer, or a name or function that"
    with pytest.raises(ValueError, match=re.escape(message) + ".*Received: "):
        replace_activations(sequential(stock.ReLU()), {"relu": value})


class NoConfig(stock.Layer):
    def __init__(self, thing):
        super().__init__(name="act")

    def call(self, x):
        return x


class Forgetful(stock.Layer):
    def __init__(self, units=1, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.add_weight(shape=(self.units,))

    def call(self, x):
        return x

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (NoConfig(object()), "Object NoConfig was created by passing"),
        (
            Forgetful(2, name="act"),
            r"its weights have shapes \[{'0': \(2,\)}\], but the copy's have",
        ),
        (stock.TimeDistributed(stock.Lambda(lambda x: x), name="act"), "it holds a lambda"),
    ],
)
def test_a_layer_that_no_config_makes_anew_is_refused(layer, reason):
    message = rf"Layer 'act' of class {type(layer).__name__} cannot be rebuilt from its config:"
    with pytest.raises(ValueError, match=rf"{message}\s+{reason}"):
        replace_activations(sequential(layer, stock.ReLU()), {"relu": "elu"})


@pytest.mark.parametrize(("name", "n_relus"), [("MobileNetV2", 35), ("ResNet50", 49)])
def test_networks_of_keras(name, n_relus):
    make = getattr(keras.applications, name)
    model = shake(make(weights=None, input_shape=(32, 32, 3), classes=10, pooling="avg"))
    name_of_relu = "relu6" if name == "MobileNetV2" else "relu"
    new = replace_activations(model, {name_of_relu: LeakyReLU(0.1)})
    leaky = [layer for layer in new.layers if isinstance(layer, LeakyReLU)]
    assert [layer.name for layer in new.layers] == [layer.name for layer in model.layers]
    assert len(leaky) == n_relus
    assert not [layer for layer in new.layers if "relu" in str(getattr(layer, "activation", ""))]
    cap = 6.0 if name == "MobileNetV2" else None
    again = replace_activations(new, {"leaky_relu": stock.ReLU(cap)})
    np.testing.assert_array_equal(again(data(model)), model(data(model)))
    for weight, value in zip(new.weights, model.weights, strict=True):
        assert weight.path == value.path
        np.testing.assert_array_equal(weight, value)
