"""to_keras: equal outputs, also from a file that is loaded without this package."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from keras import layers as stock

from keras_leaky import ops, to_keras
from keras_leaky.initializers import (
    RandomizedAsymmetric,
    RectifierNormal,
    RectifierUniform,
    randomized_asymmetric,
)
from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from keras_leaky.rectifiers import TABLE


def sequential(*stack, shape=(6, 5, 3)):
    return keras.Sequential([keras.Input(shape), *stack])


def data(model):
    return np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype("float32") * 3


def shake(model):
    model(data(model))  # makes the weights of activations that are arguments
    rng = np.random.default_rng(1)
    for weight in model.weights:
        value = rng.normal(0, 0.3, weight.shape)
        weight.assign(abs(value) if "variance" in weight.path else value)
    return model


def nested():
    shared = stock.Conv2D(3, 1, activation=PReLU(), kernel_initializer=RectifierNormal("prelu"))
    block = sequential(stock.BatchNormalization(), LeakyReLU(0.2))
    x = keras.Input((6, 5, 3))
    y = stock.TimeDistributed(sequential(stock.Dense(4), PReLU(), shape=(5, 3)))(block(shared(x)))
    return keras.Model(x, [stock.Activation(ops.selu)(y), shared(block(x))])


MODELS = {
    "LeakyReLU": lambda: sequential(LeakyReLU(0.2)),
    "LeakyReLU 0": lambda: sequential(LeakyReLU(0)),
    "LeakyReLU above 1": lambda: sequential(LeakyReLU(1.5)),
    "PReLU": lambda: sequential(PReLU()),
    "PReLU of vectors": lambda: sequential(PReLU(), shape=(7,)),
    "PReLU all": lambda: sequential(PReLU(shared_axes="all")),
    "PReLU unshared": lambda: sequential(PReLU(shared_axes=None)),
    "PReLU of any size": lambda: sequential(stock.Reshape((5, 6, -1)), PReLU(shared_axes=[-2, 1])),
    "ELU": lambda: sequential(ELU(0.5)),
    "CELU": lambda: sequential(CELU()),
    "SELU": lambda: sequential(SELU()),
    "RReLU": lambda: sequential(RReLU(0.1, 0.5)),
    "layers as arguments": lambda: sequential(
        stock.Conv2D(4, 2, activation=PReLU(), kernel_initializer=RectifierUniform("elu")),
        stock.Dense(4, activation=RReLU()),
        stock.Dense(4, activation=CELU()),
    ),
    "functions as arguments": lambda: sequential(
        *(stock.Dense(4, activation=f) for f in (ops.leaky_relu, ops.elu, ops.celu, ops.selu)),
    ),
    "recurrent": lambda: sequential(
        stock.Bidirectional(
            stock.LSTM(
                4,
                activation=ELU(0.5),
                recurrent_activation=ops.selu,
                recurrent_initializer=RectifierNormal("elu", 0.5),
            )
        ),
        shape=(5, 3),
    ),
    "randomized asymmetric": lambda: sequential(
        stock.Conv2D(4, 2, activation=ELU(), **randomized_asymmetric(12)),
        stock.Dense(4, use_bias=False, kernel_initializer=RandomizedAsymmetric()),
    ),
    "nested": nested,
    **{
        f"table {entry.name}": lambda entry=entry: sequential(entry.make())
        for entry in TABLE.values()
        if entry.to_keras(entry.make().get_config(), (None, 6, 5, 3)) is not None
    },
}

LOAD = """
import sys
import keras
import numpy as np
for i in range(int(sys.argv[2])):
    model = keras.saving.load_model(f"{sys.argv[1]}/{i}.keras")
    outputs = keras.tree.flatten(model(np.load(f"{sys.argv[1]}/x-{i}.npy")))
    np.savez(f"{sys.argv[1]}/y-{i}.npz", *outputs)
assert "keras_leaky" not in sys.modules
"""


@pytest.mark.slow
def test_files_load_without_this_package_and_give_the_same(tmp_path):
    outputs = {}
    for i, (name, make) in enumerate(MODELS.items()):
        model = shake(make())
        new = to_keras(model)
        x = data(model)
        np.save(tmp_path / f"x-{i}.npy", x)
        new.save(tmp_path / f"{i}.keras")
        with zipfile.ZipFile(tmp_path / f"{i}.keras") as file:
            assert b"keras_leaky" not in file.read("config.json"), name
        outputs[name] = [np.asarray(y) for y in keras.tree.flatten(model(x))]
        assert [layer.name for layer in new.layers] == [layer.name for layer in model.layers]
    command = [sys.executable, "-c", LOAD, str(tmp_path), str(len(MODELS))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for i, (name, wanted) in enumerate(outputs.items()):
        loaded = np.load(tmp_path / f"y-{i}.npz")
        for j, y in enumerate(wanted):
            np.testing.assert_allclose(
                loaded[f"arr_{j}"], y, rtol=1e-6, atol=1e-6 * np.abs(y).max(), err_msg=name
            )


@pytest.mark.parametrize(
    ("layer", "twin", "config"),
    [
        (LeakyReLU(0.2), stock.LeakyReLU, {"negative_slope": 0.2}),
        (RReLU(0.25, 0.75), stock.LeakyReLU, {"negative_slope": 0.5}),
        (PReLU(), stock.PReLU, {"shared_axes": [1, 2]}),
        (PReLU(shared_axes=None), stock.PReLU, {"shared_axes": None}),
        (PReLU(shared_axes=[-1, 2]), stock.PReLU, {"shared_axes": [3, 2]}),
        (ELU(0.5), stock.ELU, {"alpha": 0.5}),
        (CELU(), stock.Activation, {"activation": "celu"}),
        (SELU(), stock.Activation, {"activation": "selu"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_twins(layer, twin, config):
    layer.trainable = False
    layer.dtype_policy = "mixed_bfloat16"
    new = to_keras(sequential(layer)).layers[0]
    assert type(new) is twin
    assert new.get_config().items() >= config.items()
    assert (new.name, new.trainable, new.dtype_policy.name) == (layer.name, False, "mixed_bfloat16")


def test_a_function_keeps_the_dtype_of_its_layer():
    model = sequential(stock.Dense(4, activation=ops.leaky_relu, dtype="mixed_bfloat16", name="a"))
    new = to_keras(model)
    assert new.outputs[0].dtype == model(data(model)).dtype == "bfloat16"
    assert new.layers[0].activation.name == "a_leaky_relu"


def test_the_model_given_is_left_alone():
    model = shake(nested())
    before = model.to_json(), model.get_weights(), np.asarray(model(data(model))[0])
    new = to_keras(model)
    new.compile("sgd", "mse")
    for weight in new.weights:
        weight.assign(weight + 1)
    assert model.to_json() == before[0]
    for weight, value in zip(model.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(weight, value)
    np.testing.assert_array_equal(model(data(model))[0], before[2])
    assert len(new.weights) == len(model.weights)  # what was shared is shared


@pytest.mark.parametrize("cls", [RectifierNormal, RectifierUniform])
@pytest.mark.parametrize(
    "kwargs", [{"activation": "elu", "alpha": 0.5}, {"activation": "rrelu", "mode": "fan_out"}]
)
def test_initializers_draw_the_same(cls, kwargs):
    initializer = cls(**kwargs, seed=7)
    new = to_keras(sequential(stock.Conv2D(4, 2, kernel_initializer=initializer))).layers[0]
    assert type(new.kernel_initializer) is keras.initializers.VarianceScaling
    np.testing.assert_array_equal(new.kernel_initializer((9, 8)), initializer((9, 8)))


@pytest.mark.parametrize(
    ("arguments", "n_entries"),
    [
        (randomized_asymmetric(50, seed=7), 51),
        ({"kernel_initializer": RandomizedAsymmetric(seed=7)}, 50),
    ],
)
def test_the_stand_in_for_randomized_asymmetric_has_its_second_moment(arguments, n_entries):
    model = shake(sequential(stock.Dense(4, **arguments), shape=(50,)))
    new = to_keras(model).layers[0]
    for weight, value in zip(new.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)
    shapes = {"kernel_initializer": (50, 8000), "bias_initializer": (400_000,)}
    for name, ours in arguments.items():
        twin = getattr(new, name)
        assert type(twin).__module__.startswith("keras.")
        for initializer in (ours, twin):
            # 4e5 draws, of which 8,000 are asymmetric: error below 1 %.
            draws = np.asarray(initializer(shapes[name]), "float64")
            assert np.mean(draws**2) * n_entries == pytest.approx(0.6007**2 + 0.5, rel=3e-2)


def test_a_model_without_anything_of_ours_is_copied():
    model = shake(sequential(stock.Dense(4, "relu")))
    np.testing.assert_array_equal(to_keras(model)(data(model)), model(data(model)))


@keras.saving.register_keras_serializable(package="keras_leaky")
class FromTheFuture(keras.initializers.Zeros):
    pass


@keras.saving.register_keras_serializable(package="tests")
class HoldsOurs(stock.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.act = LeakyReLU()

    def call(self, x):
        return self.act(x)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (LeakyReLU(-0.5, name="act"), "LeakyReLU of layer 'act', .*{'negative_slope': -0.5}"),
        (CELU(0.5, name="act"), "CELU of layer 'act', whose config is {'alpha': 0.5}"),
        (
            stock.TimeDistributed(stock.Dense(2, activation=CELU(2.0, name="act"))),
            "CELU of layer 'act', whose config is {'alpha': 2.0}",
        ),
        (
            stock.Dense(2, kernel_initializer=FromTheFuture(), name="act"),
            "FromTheFuture of layer 'act', whose config is {}",
        ),
    ],
)
def test_what_has_no_twin_is_refused(layer, message):
    message = (
        "`model` must hold only objects with a counterpart in Keras. Received: keras_leaky>"
        + message
    )
    with pytest.raises(ValueError, match=message):
        to_keras(sequential(layer))


@pytest.mark.parametrize(
    ("layer", "name"),
    [(HoldsOurs(name="act"), "LeakyReLU"), (stock.Lambda(ops.elu, name="act"), "elu")],
)
def test_what_no_config_shows_is_refused(layer, name):
    kind = type(layer).__name__
    message = (
        f"Layer 'act' of class {kind} uses keras_leaky>{name} without showing it in its config"
    )
    with pytest.raises(ValueError, match=message):
        to_keras(sequential(layer))


def test_a_prelu_that_is_not_built_is_refused():
    model = sequential(stock.Dense(2, activation=PReLU(name="act")))
    with pytest.raises(
        ValueError, match="PReLU 'act' must be built: call the model on data before"
    ):
        to_keras(model)


def test_no_built_model_is_refused():
    with pytest.raises(ValueError, match="`model` must be a built Sequential or functional model"):
        to_keras(keras.Sequential([LeakyReLU()]))
