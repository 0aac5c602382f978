"""replace_activations changes nothing but what it says, and says what it leaves.

The kind of fault: an argument, axis, cap or tie that is lost on the way to the copy without a word,
so that the copy computes or trains something else.
"""

import random
import warnings

import keras
import numpy as np
import pytest
from keras import layers as stock

from keras_leaky import replace_activations, to_keras
from keras_leaky.initializers import RandomizedAsymmetric, RectifierNormal, RectifierUniform
from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU

IMAGES = (3, 6, 8)  # channels, height, width: all sizes differ


class FirstConv(stock.Layer):
    """A 1 x 1 convolution, channels first: TensorFlow has none on a CPU."""

    data_format = "channels_first"

    def __init__(self, filters, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.activation = filters, keras.activations.get(activation)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[1], self.filters))

    def call(self, x):
        return self.activation(keras.ops.einsum("nchw,cd->ndhw", x, self.kernel))

    def get_config(self):
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "filters": self.filters, "activation": activation}


def functional(f, shape=IMAGES):
    x = keras.Input(shape)
    return keras.Model(x, f(x))


def sequential(*stack, shape=IMAGES):
    return keras.Sequential([keras.Input(shape), *stack])


FIRST = {
    "after a convolution": lambda: sequential(FirstConv(4), stock.ReLU()),
    "after Keras's": lambda: sequential(
        stock.Conv2D(4, 1, data_format="channels_first"), stock.ReLU()
    ),
    "as its argument": lambda: sequential(
        stock.Conv2D(4, 1, activation="relu", data_format="channels_first")
    ),
    "after normalization": lambda: sequential(stock.BatchNormalization(axis=1), stock.ReLU()),
    "between": lambda: sequential(
        FirstConv(4), stock.Dropout(0.1), stock.Activation("tanh"), stock.ReLU()
    ),
    "after an input": lambda: sequential(stock.ReLU(), FirstConv(4)),
    "after a sum": lambda: functional(
        lambda x: stock.ReLU()(stock.Add()([FirstConv(4)(x), FirstConv(4)(x)]))
    ),
    "a function": lambda: functional(lambda x: keras.ops.relu(FirstConv(4)(x) * 2.0)),
    "in a model": lambda: functional(
        lambda x: sequential(stock.ReLU(), FirstConv(5), shape=(4, 6, 8))(FirstConv(4)(x))
    ),
    "after a model": lambda: functional(lambda x: stock.ReLU()(sequential(FirstConv(4))(x))),
    "after pooling": lambda: sequential(
        stock.AveragePooling2D(2, data_format="channels_first"), stock.ReLU()
    ),
    "after a vector": lambda: sequential(
        FirstConv(4), stock.GlobalMaxPooling2D("channels_first"), stock.Dense(5), stock.ReLU()
    ),
    "shared": lambda: functional(
        lambda x: (lambda relu: relu(FirstConv(4)(relu(FirstConv(4)(x)))))(stock.ReLU())
    ),
}


@pytest.mark.parametrize("make", FIRST.values(), ids=FIRST)
def test_a_prelu_has_one_alpha_a_channel_where_they_come_first(make):
    model = make()
    new = replace_activations(model, {"relu": PReLU(0.5)})
    for alpha in (w for w in new.weights if w.name == "alpha"):
        assert alpha.shape in [(n, 1, 1) for n in (3, 4)] or alpha.shape == (5,)
    again = replace_activations(new, {"prelu": PReLU()})  # takes them over, so it found them
    assert {w.shape for w in again.weights} == {w.shape for w in new.weights}
    assert to_keras(new).count_params() == new.count_params()


def test_what_the_user_shares_stays():
    for axes, shape in (("all", (1, 1, 1)), (None, (4, 6, 8)), ([1, 2], (1, 1, 8))):
        model = sequential(FirstConv(4), stock.ReLU())
        (_, alpha) = replace_activations(model, {"relu": PReLU(shared_axes=axes)}).weights
        assert tuple(alpha.shape) == shape


UNKNOWN = {
    "moved": lambda: sequential(FirstConv(4), stock.Permute((2, 3, 1)), stock.ReLU(name="act")),
    "both": lambda: functional(
        lambda x: (
            FirstConv(4)(stock.ReLU(name="act")(x))
            + FirstConv(4)(stock.Permute((1, 2, 3))(stock.ZeroPadding2D(0, "channels_last")(x)))
        )
    ),
    "wrapped": lambda: sequential(
        stock.TimeDistributed(stock.Conv2D(4, 1, data_format="channels_first")),
        stock.TimeDistributed(stock.ReLU(), name="act"),
        shape=(2, *IMAGES),
    ),
}


@pytest.mark.parametrize("make", UNKNOWN.values(), ids=UNKNOWN)
def test_channels_that_cannot_be_told_are_refused(make):
    with pytest.raises(ValueError, match="which axes of layer 'act' share one `alpha`, because"):
        replace_activations(make(), {"relu": PReLU()})
    replace_activations(make(), {"relu": PReLU(shared_axes="all")})


def shared(*sizes, wrap=lambda x: x):
    relu = stock.ReLU(name="relu")
    return functional(lambda x: [relu(wrap(stock.Conv2D(n, 1)(x))) for n in sizes], shape=(6, 8, 3))


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (lambda: shared(4, 4), [(1, 1, 4)]),
        (lambda: shared(4, 5, 4), [(1, 1, 4), (1, 1, 4), (1, 1, 5)]),
        (lambda: shared(4, 4, wrap=stock.MaxPooling2D()), [(1, 1, 4)]),
        (
            lambda: functional(
                lambda x: (lambda relu: relu(stock.Flatten()(relu(x))))(stock.ReLU(name="relu"))
            ),
            [(1, 1, 8), (144,)],
        ),
        (
            lambda: (
                lambda relu: functional(
                    lambda x: sequential(stock.Dense(5), relu, stock.Dense(2))(relu(x))
                )
            )(stock.ReLU(name="relu")),
            [(1, 1, 5), (1, 1, 8)],
        ),
    ],
    ids=["equal", "two sizes", "pooled", "two ranks", "nested"],
)
def test_a_shared_relu_becomes_a_prelu_that_fits_each_use(make, shapes):
    model = make()
    new = replace_activations(model, {"relu": PReLU(0.25)})
    alphas = [w for w in new.weights if w.name == "alpha"]
    assert sorted(tuple(w.shape) for w in alphas) == sorted(shapes)
    assert len({w.path for w in new.weights}) == len(new.weights)
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    leaky = replace_activations(model, {"relu": LeakyReLU(0.25)})
    for y, expected in zip(*(keras.tree.flatten(m(x)) for m in (new, leaky)), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    assert [layer.name for layer in leaky.layers] == [layer.name for layer in model.layers]
    assert to_keras(new).count_params() == new.count_params()


LEFT = {
    "layer": lambda: [stock.ReLU(6.0, name="act")],
    "cap": lambda: [stock.ReLU(3.0, name="act")],
    "threshold": lambda: [stock.ReLU(threshold=1.0, name="act")],
    "slope": lambda: [stock.ReLU(negative_slope=0.1, name="act")],
    "both": lambda: [stock.ReLU(6.0, negative_slope=0.1, name="act")],
    "activation": lambda: [stock.Activation("relu6", name="act")],
    "argument": lambda: [stock.Dense(3, "relu6", name="act")],
    "layer as argument": lambda: [stock.Dense(3, stock.ReLU(threshold=1.0), name="act")],
    "wrapped": lambda: [stock.TimeDistributed(stock.ReLU(6.0), name="act")],
}


@pytest.mark.parametrize("make", LEFT.values(), ids=LEFT)
def test_relus_that_are_not_plain_keep_what_they_are(make):
    model = sequential(stock.ReLU(), *make(), shape=(5, 4))
    x = 9 * np.random.default_rng(0).normal(size=(20, 5, 4)).astype("float32")
    with pytest.warns(UserWarning, match="Not replaced are: 'act'"):
        new = replace_activations(model, {"relu": "linear"})
    without = keras.Sequential([keras.Input((5, 4)), *model.layers[1:]])
    np.testing.assert_array_equal(new(x), without(x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = sequential(stock.ReLU(), stock.LeakyReLU(), shape=(5, 4))
        replace_activations(plain, {"relu": "linear"})


@pytest.mark.parametrize("function", [keras.ops.relu6, keras.activations.relu6])
def test_a_cap_in_the_graph_is_left_too(function):
    model = functional(lambda x: function(stock.ReLU()(x)), shape=(4,))
    with pytest.warns(UserWarning, match=r"Not replaced are: 're.*u6?_?\d*' \(\"relu6\"\)"):
        new = replace_activations(model, {"relu": "linear"})
    np.testing.assert_array_equal(new(np.full((1, 4), 9.0)), np.full((1, 4), 6.0))
    both = replace_activations(model, {"relu": "linear", "relu6": "linear"})
    np.testing.assert_array_equal(both(np.full((1, 4), 9.0)), np.full((1, 4), 9.0))


@pytest.mark.parametrize("new", [LeakyReLU(0.1), PReLU(), "elu", stock.ReLU(6.0)], ids=str)
def test_activity_regularizers_are_kept(new):
    layer = stock.ReLU(activity_regularizer=keras.regularizers.L2(0.5))
    dense = stock.Dense(3, "relu", activity_regularizer="l1")
    model = sequential(layer, dense, shape=(4,))
    layer, dense = replace_activations(model, {"relu": new}).layers
    assert layer.activity_regularizer.l2 == 0.5
    assert isinstance(dense.activity_regularizer, keras.regularizers.L1)
    pattern = LeakyReLU(activity_regularizer="l1")
    (layer, _) = replace_activations(model, {"relu": pattern}).layers
    assert isinstance(layer.activity_regularizer, keras.regularizers.L1)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float64", "float32"])
def test_in_the_place_of_a_function_precision_is_kept(dtype):
    model = functional(lambda x: keras.ops.relu(stock.Dense(3, dtype=dtype)(x)), shape=(4,))
    new = replace_activations(model, {"relu": PReLU()})
    assert new.outputs[0].dtype == model.outputs[0].dtype
    assert new.layers[-1].dtype_policy.name == dtype


def tied_in_a_wrapper():
    dense = stock.Dense(3, "relu", name="tied")
    return functional(
        lambda x: stock.TimeDistributed(dense)(stock.RepeatVector(2)(dense(x))), shape=(3,)
    )


def tied_as_argument():
    prelu = stock.PReLU(name="tied")
    model = sequential(stock.Dense(3, prelu), stock.Dense(3, prelu), stock.ReLU(), shape=(3,))
    model(np.ones((1, 3)))
    return model


@pytest.mark.parametrize("make", [tied_in_a_wrapper, tied_as_argument])
def test_ties_that_would_be_lost_are_refused(make):
    for copy in (lambda m: replace_activations(m, {"relu": "elu"}), to_keras):
        with pytest.raises(
            ValueError, match="Layer 'tied' is shared in a way that no config shows"
        ):
            copy(make())


def he_net(**kwargs):
    he = keras.initializers.HeNormal(seed=1)
    return sequential(
        stock.Normalization(name="adapted"),
        stock.Dense(300, kernel_initializer=he, name="a"),
        stock.BatchNormalization(name="norm"),
        stock.ReLU(),
        stock.Dense(200, "relu", kernel_initializer="he_uniform", name="b"),
        stock.Dense(100, kernel_initializer="glorot_uniform", name="frozen", trainable=False),
        stock.ReLU(),
        stock.Dense(10, kernel_initializer=he, name="c", **kwargs),
        shape=(50,),
    )


def trained():
    model = he_net()
    model.get_layer("adapted").adapt(np.random.default_rng(0).normal(3, 2, (200, 50)))
    rng = np.random.default_rng(0)
    for weight in model.get_layer("norm").weights + model.get_layer("frozen").weights:
        weight.assign(abs(rng.normal(size=weight.shape)))
    return model


def weights_of(model):
    return {"/".join(w.path.split("/")[-2:]): np.array(w) for w in model.weights}


def test_weights_are_drawn_anew_by_the_initializers_of_the_model():
    model = trained()
    before = weights_of(model)
    state = random.getstate()
    first, again, other = (
        weights_of(replace_activations(model, {"relu": ELU()}, weights="draw", seed=seed))
        for seed in (5, 5, 6)
    )
    assert random.getstate() == state
    assert list(first) == list(before)
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        layer = path.split("/")[0]
        if layer in ("adapted", "frozen"):
            np.testing.assert_array_equal(value, before[path])
        elif path.endswith("kernel"):
            assert np.abs(value - other[path]).max() > 0.01
            assert np.abs(value - before[path]).max() > 0.01
            assert np.std(value) == pytest.approx((2 / len(value)) ** 0.5, rel=0.05)
    for name, value in (("gamma", 1), ("beta", 0), ("moving_mean", 0), ("moving_variance", 1)):
        assert np.all(first[f"norm/{name}"] == value)
    for path, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[path])


def test_draws_depend_on_neither_the_activation_nor_the_seeds_of_others():
    model = trained()
    leaky, prelu = (
        weights_of(replace_activations(model, {"relu": new}, weights="draw", seed=5))
        for new in (LeakyReLU(0.1), PReLU())
    )
    for path, value in leaky.items():
        np.testing.assert_array_equal(value, prelu[path])
    keras.utils.set_random_seed(3)
    first, second = (replace_activations(model, {"relu": ELU()}, weights="draw") for _ in "ab")
    keras.utils.set_random_seed(3)
    again = replace_activations(model, {"relu": ELU()}, weights="draw")
    np.testing.assert_array_equal(first.get_layer("b").kernel, again.get_layer("b").kernel)
    assert np.any(weights_of(first)["a/kernel"] != weights_of(second)["a/kernel"])


ARMS = {
    "leaky_relu": (LeakyReLU(0.3), 0.3),
    "prelu": (PReLU(0.4), 0.4),
    "elu": (ELU(0.5), 0.5),
    "celu": (CELU(2.0), 2.0),
    "selu": (SELU(), None),
    "rrelu": (RReLU(0.1, 0.3), (0.1, 0.3)),
}


@pytest.mark.parametrize("name", ARMS)
def test_initializers_get_the_gain_of_the_new_activation(name):
    layer, alpha = ARMS[name]
    model = trained()
    plain = replace_activations(model, {"relu": layer}, weights="draw", seed=1)
    new = replace_activations(model, {"relu": layer}, weights="draw", initializers="match", seed=1)
    for host, family in (("a", RectifierNormal), ("b", RectifierUniform)):
        a, b = plain.get_layer(host), new.get_layer(host)
        expected = family(name, alpha, seed=b.kernel_initializer.seed)(b.kernel.shape)
        np.testing.assert_array_equal(b.kernel, expected)
        ratio = np.std(b.kernel) / np.std(a.kernel)
        np.testing.assert_allclose(b.kernel, a.kernel * ratio, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(new.get_layer("c").kernel, plain.get_layer("c").kernel)
    frozen = new.get_layer("frozen")  # its weights are kept, and its initializer is matched
    np.testing.assert_array_equal(frozen.kernel, model.get_layer("frozen").kernel)
    back = replace_activations(new, {name: stock.ReLU()}, initializers="match")
    scale = back.get_layer("a").kernel_initializer.scale
    assert scale == pytest.approx(2.0)


def residual():
    def block(x):
        y = stock.Conv2D(4, 1, kernel_initializer="orthogonal", name="c1")(x)
        y = stock.Add()([stock.BatchNormalization()(y), stock.SeparableConv2D(4, 1, name="c2")(x)])
        y = stock.DepthwiseConv2D(1, name="c3")(stock.ReLU()(y))
        y = sequential(stock.Dense(3, name="c4"), shape=(6, 8, 4))(y)
        return stock.Dense(2, "tanh", name="c5")(keras.ops.relu(y))

    return functional(block, shape=(6, 8, 3))


def test_layers_in_front_through_sums_and_nested_models():
    new = replace_activations(residual(), {"relu": LeakyReLU(1.0)}, initializers="match")
    layers = {layer.name: layer for layer in new._flatten_layers()}
    assert layers["c1"].kernel_initializer.gain == pytest.approx(0.5**0.5)
    assert layers["c2"].pointwise_initializer.scale == pytest.approx(0.5)
    assert getattr(layers["c2"].depthwise_initializer, "scale", 1.0) == 1.0
    assert layers["c4"].kernel_initializer.scale == pytest.approx(0.5)
    assert layers["c3"].depthwise_initializer.scale == 1.0
    assert layers["c5"].kernel_initializer.scale == 1.0


@pytest.mark.parametrize(
    "layer",
    [
        stock.Dense(3, kernel_initializer="random_normal", name="act"),
        stock.Dense(3, kernel_initializer=RandomizedAsymmetric(), name="act"),
        stock.TimeDistributed(stock.Dense(3, "relu"), name="act"),
        stock.SimpleRNN(3, activation="relu", return_sequences=True, name="act"),
    ],
)
def test_initializers_without_a_gain_are_named(layer):
    model = sequential(layer, stock.ReLU(), shape=(5, 4))
    with pytest.warns(UserWarning, match="Initializers of 'act' are not changed"):
        replace_activations(model, {"relu": LeakyReLU()}, initializers="match")


def test_gains_that_are_not_known_or_differ_are_refused():
    model = sequential(stock.Dense(3), stock.ReLU(), shape=(4,))
    for new, name in (("gelu", "gelu"), (stock.PReLU("uniform"), "alpha_initializer=")):
        with pytest.raises(ValueError, match=rf"`initializers` may be .* Received: {name}"):
            replace_activations(model, {"relu": new}, initializers="match")
    x = keras.Input((4,))
    y = stock.Dense(3, name="dense")(x)
    model = keras.Model(x, [stock.ReLU()(y), stock.ELU()(y)])
    with pytest.raises(ValueError, match="Received: layer 'dense' with several"):
        replace_activations(
            model, {"relu": LeakyReLU(0.5), "elu": LeakyReLU(0.1)}, initializers="match"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "new"}, '`weights` must be "keep" or "draw". Received: weights=.new.'),
        ({"weights": None}, "`weights` must be .* Received: weights=None"),
        ({"initializers": True}, '`initializers` must be "keep" or "match". Received: .*True'),
        ({"seed": 1}, "`seed` must be an int of at least 0, and needs weights=.draw"),
        ({"seed": -1, "weights": "draw"}, "`seed` must be .* Received: seed=-1"),
        ({"seed": True, "weights": "draw"}, "`seed` must be .* Received: seed=True"),
        ({"seed": "1", "weights": "draw"}, "`seed` must be .* Received: seed='1'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        replace_activations(sequential(stock.ReLU()), {"relu": "elu"}, **arguments)
