"""Planted dead units are found, in every kind of model, for every kind of data."""

import json
import re

import keras
import numpy as np
import pytest

import keras_leaky
from keras_leaky.diagnostics import dead_units
from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU

L = keras.layers
X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
IMAGES = np.random.default_rng(1).normal(size=(40, 6, 6, 3)).astype("float32")


@pytest.fixture(autouse=True)
def weights_without_dead_units():
    keras.utils.set_random_seed(3)


def plant(layer, *units):
    """Makes `units` of a layer with a bias negative for every input, and helps the others."""
    kernel, bias = layer.get_weights()
    bias[:] = 1.0
    bias[list(units)] = -100.0
    layer.set_weights([kernel, bias])


def dead_of(report, name):
    return np.flatnonzero(report[name].is_dead).tolist()


def test_dense_units_by_argument_and_by_layer():
    first, second = L.Dense(9, "relu", name="first"), L.Dense(7, name="second")
    model = keras.Sequential([keras.Input((4,)), first, second, L.ReLU(name="rectifier")])
    plant(first, 2, 5)
    plant(second, 0)
    report = dead_units(model, X)
    assert [units.layer for units in report.layers] == ["first", "rectifier"]
    assert dead_of(report, "first") == [2, 5]
    assert dead_of(report, "rectifier") == [0]
    assert report.dead_fraction == report.inactive_fraction == 3 / 16


def test_active_fractions_are_those_of_the_pre_activations():
    layer = L.Dense(9, "relu")
    model = keras.Sequential([keras.Input((4,)), layer])
    kernel, bias = layer.get_weights()
    expected = np.mean(X @ kernel + bias > 0, axis=0)
    units = dead_units(model, X).layers[0]
    np.testing.assert_array_equal(units.active_fraction, expected)
    output = np.abs(keras.ops.convert_to_numpy(model(X))).mean(0)
    np.testing.assert_allclose(units.relative_output, output / output.mean(), rtol=1e-5)
    assert units.n_values == 60


def test_channels_of_a_convolution():
    conv = L.Conv2D(5, 3, activation="relu", name="conv")
    model = keras.Sequential([keras.Input((6, 6, 3)), conv])
    plant(conv, 1, 4)
    report = dead_units(model, IMAGES)
    assert dead_of(report, "conv") == [1, 4]
    assert report["conv"].n_values == 40 * 4 * 4


class ChannelsFirst(L.Layer):
    """A 1 x 1 convolution as layers of Keras have it: TensorFlow has none on a CPU."""

    data_format = "channels_first"

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[1], 5), name="kernel")
        self.bias = self.add_weight(shape=(5,), initializer="zeros", name="bias")

    def call(self, x):
        return keras.ops.einsum("nchw,cd->ndhw", x, self.kernel) + self.bias[:, None, None]


def test_channels_first():
    images = IMAGES.transpose(0, 3, 1, 2)
    conv = ChannelsFirst()
    layers = [conv, L.ReLU(name="first"), L.BatchNormalization(axis=1), L.ReLU(name="second")]
    model = keras.Sequential([keras.Input((3, 6, 6)), *layers])
    plant(conv, 1)
    report = dead_units(model, images)
    assert report["first"].n_units == report["second"].n_units == 5
    assert dead_of(report, "first") == [1]


def test_channels_first_behind_a_merge():
    inputs = keras.Input((3, 6, 6))
    left, right = ChannelsFirst(), ChannelsFirst()
    x = L.ReLU(name="layer")(L.Add()([left(inputs), right(inputs)]))
    x = keras.ops.relu(L.BatchNormalization(axis=1)(x) + left(inputs))
    x = L.Dense(7, "relu", name="dense")(L.Flatten()(x))
    report = dead_units(keras.Model(inputs, x), IMAGES.transpose(0, 3, 1, 2))
    assert [units.n_units for units in report.layers] == [5, 5, 7]


def test_elements_of_a_convolution():
    model = keras.Sequential([keras.Input((6, 6, 3)), L.ReLU(name="relu")])
    images = IMAGES.copy()
    images[:, 2, 3, 1] = -1.0
    report = dead_units(model, images, per_element=True)
    assert np.argwhere(report["relu"].is_dead).tolist() == [[2, 3, 1]]
    assert dead_units(model, images).dead_fraction == 0  # the channel is active elsewhere
    assert len(report.to_dict()["layers"][0]["active_fraction"]) == 6 * 6 * 3


def test_elements_need_one_size():
    model = keras.Sequential([keras.Input((None, 3)), L.ReLU(name="relu")])
    data = [np.ones((2, 5, 3), "float32"), np.ones((2, 6, 3), "float32")]
    with pytest.raises(ValueError, match=re.escape("layer 'relu' must be the same in every batch")):
        dead_units(model, iter(data), per_element=True)
    assert dead_units(model, iter(data)).n_samples == 4


def test_nested_and_shared_layers():
    shared, inner = L.Dense(6, "relu", name="shared"), L.Dense(5, name="inner")
    rectifier = L.ReLU(name="rectifier")
    encoder = keras.Sequential([keras.Input((6,)), inner, rectifier], name="encoder")
    inputs = keras.Input((4,))
    branches = [encoder(shared(inputs)), encoder(shared(-inputs))]
    model = keras.Model(inputs, L.Add()(branches))
    plant(shared, 3)
    plant(inner, 1)
    report = dead_units(model, X)
    assert [units.layer for units in report.layers] == ["shared", "rectifier"]
    assert dead_of(report, "shared") == [3]
    assert dead_of(report, "rectifier") == [1]
    assert report["shared"].n_values == 2 * 60


def test_a_unit_is_alive_if_it_is_so_in_one_use():
    shared = L.Dense(1, "relu", name="shared", kernel_initializer="ones")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Add()([shared(inputs), shared(-inputs)]))
    report = dead_units(model, np.abs(X) + 1)
    assert report["shared"].active_fraction.tolist() == [0.5]


def test_a_shared_activation_has_the_units_of_every_layer_it_follows():
    left, right, rectifier = L.Dense(5, name="left"), L.Dense(5, name="right"), L.ReLU(name="r")
    inputs = keras.Input((4,))
    after_pooling = rectifier(L.Dropout(0.5)(right(inputs)))
    model = keras.Model(inputs, L.Add()([rectifier(left(inputs)), after_pooling]))
    plant(left, 0)
    plant(right, 4)
    report = dead_units(model, X)
    assert sorted(units.layer for units in report.layers) == ["r (left)", "r (right)"]
    assert dead_of(report, "r (left)") == [0]
    assert dead_of(report, "r (right)") == [4]


def test_a_shared_activation_of_another_precision():
    """What a layer casts is still known to come from the layer before."""
    left, right = (L.Dense(5, name=n, dtype="mixed_bfloat16") for n in ("left", "right"))
    rectifier = L.ReLU(name="r", dtype="float32")
    inputs = keras.Input((4,))
    before = [left(inputs), right(inputs)]
    model = keras.Model(inputs, L.Add()([rectifier(x) for x in before]))
    plant(left, 0)
    plant(right, 4)
    report = dead_units(model, X)
    assert dead_of(report, "r (left)") == [0]
    assert dead_of(report, "r (right)") == [4]
    assert "convert_input" not in vars(rectifier.dtype_policy)


def test_functions_in_a_functional_model():
    inputs = keras.Input((4,))
    dense = L.Dense(5)
    x = keras.ops.relu(dense(inputs))
    model = keras.Model(inputs, keras.activations.elu(x - 9.0))
    plant(dense, 2)
    first, second = dead_units(model, X).layers
    assert (first.kind, np.flatnonzero(first.is_dead).tolist()) == ("relu", [2])
    assert (second.kind, second.count("inactive"), second.count("dead")) == ("elu", 5, 0)


class Subclassed(keras.Model):
    """As people write it: one activation for all layers, and a block that is built late."""

    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(5, name="first"), L.Dense(5, name="second")
        self.rectifier, self.activation = L.ReLU(name="rectifier"), keras.activations.relu

    def call(self, inputs):
        x = self.rectifier(self.first(inputs))
        return self.activation(self.second(x) * 2.0) + self.activation(self.first(inputs))


def test_subclassed_model_that_is_not_built():
    model = Subclassed()
    dead_units(model, X)
    plant(model.first, 1)
    plant(model.second, 3)
    report = dead_units(model, X)
    found = {units.layer: np.flatnonzero(units.is_dead).tolist() for units in report.layers}
    name = model.name
    assert found == {"rectifier": [1], f"{name} (after second)": [3], f"{name} (first)": [1]}


class CodeBetween(keras.Model):
    """Computes something between a layer and the activation that it shares with others."""

    def __init__(self):
        super().__init__()
        self.dense, self.rectifier = L.Dense(4, name="dense"), L.ReLU(name="rectifier")

    def call(self, inputs):
        x = self.rectifier(self.dense(inputs))
        x = self.rectifier(x + inputs)
        return self.rectifier(keras.ops.concatenate([x, inputs], axis=-1))


def test_code_between_layers_does_not_hide_the_dead():
    model = CodeBetween()
    model(X)
    plant(model.dense, 0, 1, 2, 3)
    report = dead_units(model, X)
    assert [(units.n_units, units.count("dead")) for units in report.layers] == [
        (4, 4),
        (4, 0),
        (8, 0),
    ]


def test_stateful_layers_keep_their_states():
    recurrent = L.SimpleRNN(3, activation="relu", stateful=True, unroll=True)
    model = keras.Sequential([keras.Input((5, 4), batch_size=1), recurrent])
    data = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    model(data[:1])
    before = [np.array(keras.ops.convert_to_numpy(state)) for state in recurrent.states]
    dead_units(model, data, batch_size=1)  # nor does it double the one row
    after = [keras.ops.convert_to_numpy(state) for state in recurrent.states]
    np.testing.assert_array_equal(before, after)


def test_wrappers_and_recurrent_layers():
    dense = L.Dense(5, "relu", name="dense")
    model = keras.Sequential(
        [
            keras.Input((6, 4)),
            L.TimeDistributed(dense),
            L.TimeDistributed(L.ReLU(name="again")),
            L.SimpleRNN(3, activation="relu", unroll=True, name="recurrent"),
        ]
    )
    plant(dense, 2)
    report = dead_units(model, np.random.default_rng(0).normal(size=(20, 6, 4)).astype("float32"))
    assert dead_of(report, "dense") == dead_of(report, "again") == [2]
    assert report["again"].n_values == 20 * 6
    assert report.layers[2].n_units == 3


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        (LeakyReLU(0.01), "leaky_relu"),
        (LeakyReLU(-1.0), "leaky_relu"),
        (L.LeakyReLU(0.1), "leaky_relu"),
        (L.ReLU(negative_slope=0.1), "leaky_relu"),
        (PReLU(), "prelu"),
        (ELU(), "elu"),
        (L.ELU(), "elu"),
        (CELU(0.5), "celu"),
        (SELU(), "selu"),
        (RReLU(), "rrelu"),
        (L.Activation("gelu"), "gelu"),
        (L.Activation("tanh"), "tanh"),
        (keras_leaky.ops.selu, "selu"),
        ("leaky_relu", "leaky_relu"),
    ],
)
def test_what_leaks_is_inactive_and_never_dead(activation, kind):
    dense = L.Dense(5, activation, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((4,)), dense])
    kernel, bias = dense.get_weights()[:2]
    bias[:] = [-5.0, -0.5, 0.0, -1e-3, 1.0]
    dense.set_weights([kernel, bias, *dense.get_weights()[2:]])
    units = dead_units(model, X).layers[0]
    assert (units.kind, units.count("inactive"), units.count("dead")) == (kind, 4, 0)
    assert units.count("always_on") == 1


def test_the_function_relu_with_a_slope_in_a_functional_model():
    inputs = keras.Input((4,))
    x = keras.activations.relu(L.Dense(3)(inputs) - 100.0, negative_slope=0.1)
    units = dead_units(keras.Model(inputs, x), X).layers[0]
    assert (units.kind, units.count("inactive"), units.count("dead")) == ("leaky_relu", 3, 0)


@pytest.mark.parametrize(
    "activation",
    [
        LeakyReLU(0.0),
        L.LeakyReLU(0.0),
        PReLU(0.0),
        L.PReLU(),
        ELU(0.0),
        RReLU(0.0, 0.0),
        L.ReLU(6.0),
        L.ReLU(),
        "relu6",
        keras.ops.relu,
    ],
)
def test_a_slope_of_0_is_dead(activation):
    dense = L.Dense(5, activation)
    model = keras.Sequential([keras.Input((4,)), dense])
    model(X)
    kernel, bias = dense.get_weights()[:2]
    bias[3] = -100.0
    dense.set_weights([kernel, bias, *dense.get_weights()[2:]])
    assert np.flatnonzero(dead_units(model, X).layers[0].is_dead).tolist() == [3]


def test_saturated_units_are_active_and_dead():
    dense = L.Dense(4, L.ReLU(6.0), kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.bias.assign([-1.0, 3.0, 7.0, 100.0])
    report = dead_units(model, X)
    (units,) = report
    assert units.kind == "relu6"
    assert units.is_dead.tolist() == [True, False, True, True]
    assert units.is_inactive.tolist() == [True, False, False, False]
    assert units.is_always_on.tolist() == [False, True, True, True]
    left, _ = report.plot().axes
    shares = {bars.get_label(): bars[0].get_width() for bars in left.containers}
    assert shares == {
        "dead": 0.75,
        "inactive, not dead": 0.0,
        "at times active": 0.0,
        "always on": 0.25,
    }


@pytest.mark.parametrize("negative_slope", [0.0, 0.1])
def test_active_is_above_the_threshold(negative_slope):
    activation = L.ReLU(threshold=1.0, negative_slope=negative_slope)
    dense = L.Dense(3, activation, kernel_initializer="zeros", name="dense")
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.bias.assign([0.5, 0.9, 1.5])
    units = dead_units(model, X)["dense"]
    assert units.active_fraction.tolist() == [0.0, 0.0, 1.0]
    assert units.is_dead.tolist() == ([False] * 3 if negative_slope else [True, True, False])


def test_only_the_channels_of_a_prelu_whose_slope_is_0():
    model = keras.Sequential([keras.Input((6, 6, 3)), PReLU(name="prelu")])
    model.layers[0].alpha.assign(np.array([0.0, 0.1, 0.0]).reshape(1, 1, 3))
    report = dead_units(model, -np.abs(IMAGES) * np.array([1, 1, -1], "float32"))
    assert dead_of(report, "prelu") == [0]


def clip_below(x):
    return keras.ops.maximum(x, 0.0)


def test_functions_of_the_user_are_judged_by_their_derivatives():
    dense = L.Dense(5, clip_below)
    model = keras.Sequential([keras.Input((4,)), dense, L.Activation(lambda x: x - 1e3)])
    plant(dense, 1)
    first, second = dead_units(model, X).layers
    assert (first.kind, np.flatnonzero(first.is_dead).tolist()) == ("clip_below", [1])
    assert second.count("dead") == 0


def test_dormant_and_always_on_units():
    dense = L.Dense(3, "relu", kernel_initializer="zeros", name="dense")
    model = keras.Sequential([keras.Input((4,)), dense])
    dense.set_weights([np.zeros((4, 3)), np.array([1.0, 0.02, 1.98])])
    assert dead_units(model, X)["dense"].relative_output.round(4).tolist() == [1.0, 0.02, 1.98]
    assert dead_units(model, X)["dense"].is_dormant.tolist() == [False, True, False]
    assert dead_units(model, X, tau=0.01)["dense"].count("dormant") == 0
    assert dead_units(model, X)["dense"].count("always_on") == 3
    dense.bias.assign([1.0, -1.0, 2.0])
    assert dead_units(model, X, tau=0)["dense"].is_dormant.tolist() == [False, True, False]


def test_the_same_report_for_every_batch_size():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            L.Conv2D(8, 3, activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(),
            LeakyReLU(0.1),
            L.Flatten(),
            L.Dense(300, "relu"),
            L.Dense(100, PReLU()),
        ]
    )
    images = np.random.default_rng(0).normal(size=(200, 28, 28, 1)).astype("float32")
    plant(model.layers[0], 3)
    reports = [dead_units(model, images, batch_size=n).to_dict() for n in (1, 7, 99, 200)]
    assert reports[0] == reports[1] == reports[2] == reports[3]
    assert reports[0]["layers"][0]["n_dead"] == 1


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return X[10 * index : 10 * (index + 1)], np.zeros(10)


def test_every_kind_of_data():
    import tensorflow as tf

    model = keras.Sequential([keras.Input((4,)), L.Dense(9, "relu")])
    expected = dead_units(model, X).to_dict()
    dataset = tf.data.Dataset.from_tensor_slices((X, np.zeros(60))).batch(7)
    for data in (keras.ops.convert_to_tensor(X), dataset, Batches(), iter([X[:20], X[20:]])):
        assert dead_units(model, data).to_dict() == expected
    assert dead_units(model, iter([X.tolist()])).to_dict() == expected


def test_the_pairs_of_pytorch_are_lists():
    data = pytest.importorskip("torch.utils.data")
    model = keras.Sequential([keras.Input((4,)), L.Dense(9, "relu")])
    loader = data.DataLoader(list(zip(X, np.zeros(60), strict=True)), batch_size=7)
    assert isinstance(next(iter(loader)), list)
    assert dead_units(model, loader).to_dict() == dead_units(model, X).to_dict()
    # Keras takes it so too: of a list the first is what the model gets.
    inputs = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(inputs, L.Dense(3, "relu")(L.Add()(inputs)))
    loader = data.DataLoader([((x, x), 0.0) for x in X], batch_size=7)
    assert dead_units(model, loader).to_dict() == dead_units(model, [X, X]).to_dict()


def test_models_of_several_inputs():
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((4,), name="b")}
    model = keras.Model(inputs, L.Dense(3, "relu")(L.Add()(list(inputs.values()))))
    report = dead_units(model, {"a": X, "b": X}, batch_size=7)
    assert report.n_samples == 60
    with pytest.raises(ValueError, match=re.escape("arrays of shape (60, 4), (50, 4)")):
        dead_units(model, {"a": X, "b": X[:50]})


def test_the_model_is_left_as_it_was():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, LeakyReLU()), L.BatchNormalization()])
    attributes = [sorted(vars(layer)) for layer in model._flatten_layers()]
    activation = model.layers[0].activation
    weights = model.get_weights()
    dead_units(model, X)
    with pytest.raises(ValueError, match="NaN"):
        dead_units(model, X * np.nan)
    assert [sorted(vars(layer)) for layer in model._flatten_layers()] == attributes
    assert model.layers[0].activation is activation
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float16", "float64"])
def test_precisions(dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless told to")
    layers = [keras.Input((4,)), L.Dense(5, dtype=dtype), L.ReLU(dtype=dtype, name="rectifier")]
    model = keras.Sequential(layers)
    plant(model.layers[0], 2)
    assert dead_of(dead_units(model, X), "rectifier") == [2]


def test_to_dict_is_json():
    model = keras.Sequential([keras.Input((4,)), L.Dense(2, "relu", name="dense")])
    plant(model.layers[0], 1)
    content = json.loads(json.dumps(dead_units(model, X).to_dict()))
    assert content["n_samples"] == 60
    (layer,) = content["layers"]
    active = layer.pop("active_fraction")
    assert active[1] == 0.0 < active[0] < 1.0
    assert layer == {
        "layer": "dense",
        "kind": "relu",
        "n_units": 2,
        "n_dead": 1,
        "dead_fraction": 0.5,
        "n_inactive": 1,
        "inactive_fraction": 0.5,
        "n_always_on": 0,
        "always_on_fraction": 0.0,
        "n_dormant": 1,
        "dormant_fraction": 0.5,
    }


def test_printing_and_drawing():
    model = keras.Sequential([keras.Input((4,)), L.Dense(5, "relu", name="dense"), ELU(name="elu")])
    plant(model.layers[0], 1)
    report = dead_units(model, X)
    text = str(report)
    assert re.search(r"^dense +relu +5 +1 +1 +", text, re.MULTILINE)
    assert "60 samples; with 95 % confidence,\n    at most 4.87% of all samples" in text
    left, right = report.plot().axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["dense\nrelu", "elu\nelu"]
    assert sum(len(dots.get_offsets()) for dots in right.collections) >= 10


def test_a_report_is_a_collection_of_layers():
    layers = [keras.Input((4,)), L.Dense(5, "relu", name="a"), L.ReLU(name="b")]
    report = dead_units(keras.Sequential(layers), X)
    assert len(report) == 2
    assert [units.layer for units in report] == ["a", "b"]
    assert "a" in report
    assert "c" not in report


def test_unknown_layer():
    report = dead_units(keras.Sequential([keras.Input((4,)), L.ReLU(name="r")]), X)
    with pytest.raises(KeyError, match=re.escape("No activation of layer 'x'. There are: r")):
        report["x"]


def test_wrong_arguments():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu")])
    with pytest.raises(ValueError, match=re.escape("`model` must be a keras.Model. Received: ")):
        dead_units("model", X)
    for batch_size in (0, -1, 2.0, True, "7"):
        with pytest.raises(ValueError, match=r"`batch_size` must be .* Received: batch_size="):
            dead_units(model, X, batch_size=batch_size)
    for tau in (-0.1, 1.0, float("nan"), "0", True):
        with pytest.raises(ValueError, match=r"`tau` must be .* Received: tau="):
            dead_units(model, X, tau=tau)
    with pytest.raises(ValueError, match="`per_element` must be True or False"):
        dead_units(model, X, per_element="yes")
    for data in (X[:0], iter([])):
        with pytest.raises(ValueError, match="`data` must hold at least one sample"):
            dead_units(model, data)
    for data in (3, "text", None):
        with pytest.raises(ValueError, match="`data` must be an array, a list or dict of arrays"):
            dead_units(model, data)
    with pytest.raises(ValueError, match="with the samples along the first axis"):
        dead_units(model, np.float32(3.0))
    with pytest.raises(ValueError, match=r"layer 'dense.*' are NaN"):
        dead_units(model, np.where(X > 1, np.nan, X))
    endless = keras.utils.PyDataset()
    endless.__class__ = type("Endless", (Batches,), {"num_batches": None})
    with pytest.raises(ValueError, match="`data` must be finite"):
        dead_units(model, endless)


def test_a_model_without_activations():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Softmax()])
    with pytest.raises(ValueError, match="`model` must apply an activation"):
        dead_units(model, X)
