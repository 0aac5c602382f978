"""Files of Keras 2: `golden/make_keras2_files.py` made them, and what Keras 2 computed."""

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import keras_leaky
from keras_leaky import load_model
from keras_leaky.saving.keras2 import repair_model
from keras_leaky.saving.keras2_training import repair_training

GOLDEN = Path(__file__).parents[1] / "golden" / "keras2"
FILES = sorted(path.stem for path in GOLDEN.glob("*.gz"))
every_file = pytest.mark.parametrize("name", FILES)
# Keras 2 kept the learning rate elsewhere: no version of Keras 3 restores these states.
OPTIMIZER_STATE = "Skipping variable loading for optimizer"


def unpack(name, folder):
    path = folder / name
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    return path


def load_golden(name, folder, **options):
    path = unpack(name, folder)
    if name == "2.21.0-compiled.keras" and options.get("compile", True):
        with pytest.warns(UserWarning, match=OPTIMIZER_STATE):
            return load_model(path, **options)
    return load_model(path, **options)


def golden_arrays(name):
    arrays = np.load(GOLDEN / f"{name}.npz")
    return arrays["x"], arrays["y"]


def layers_of(model):
    for layer in model.layers:
        yield layer
        yield from layers_of(layer) if isinstance(layer, keras.Model) else ()


def test_there_are_files_of_every_kind():
    assert len(FILES) == 18
    assert {name.split("-")[0] for name in FILES} == {"2.0.5", "2.2.4", "2.4.0", "2.12.0", "2.21.0"}


@every_file
def test_gives_what_keras_2_gave(name, tmp_path):
    x, y = golden_arrays(name)
    assert len(np.unique(y)) > 5
    result = load_golden(name, tmp_path)(x)
    np.testing.assert_allclose(result, y, rtol=1e-6, atol=1e-6)


@every_file
def test_file_and_temporary_folder_stay_as_they_were(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    load_golden(name, tmp_path)
    assert (tmp_path / name).read_bytes() == gzip.decompress((GOLDEN / f"{name}.gz").read_bytes())
    assert not list((tmp_path / "temporary").iterdir())


@every_file
def test_layers_are_those_of_keras_but_for_a_negative_slope(name, tmp_path):
    layers = list(layers_of(load_golden(name, tmp_path)))
    ours = [layer for layer in layers if type(layer).__module__.startswith("keras_leaky")]
    assert [type(layer) for layer in ours] == [keras_leaky.layers.LeakyReLU] * ("compiled" in name)
    assert all(layer.negative_slope == -0.5 for layer in ours)


@pytest.mark.parametrize("name", [n for n in FILES if "sequential" in n])
def test_arguments_of_the_layers(name, tmp_path):
    model = load_golden(name, tmp_path)
    assert type(model.get_layer("leaky")) is keras.layers.LeakyReLU
    assert model.get_layer("leaky").negative_slope == pytest.approx(0.3)
    assert model.get_layer("prelu").shared_axes == [1, 2]
    assert model.get_layer("elu").alpha == 0.5
    assert type(model.get_layer("thresholded")) is keras.layers.ReLU
    assert model.get_layer("thresholded").threshold == pytest.approx(0.3)
    assert [layer.name for layer in model.layers][::8] == ["conv", "thresholded"]
    assert model.input_shape == (None, 5, 5, 1)


@pytest.mark.parametrize("name", [n for n in FILES if "activation" in n])
def test_layers_as_activations(name, tmp_path):
    model = load_golden(name, tmp_path)
    activations = {n: model.get_layer(n).activation for n in ("leaky", "elu", "prelu")}
    assert {n: type(a).__name__ for n, a in activations.items()} == {
        "leaky": "LeakyReLU",
        "elu": "ELU",
        "prelu": "PReLU",
    }
    assert activations["leaky"].negative_slope == pytest.approx(0.3)
    assert model.get_layer("thresholded").activation.threshold == pytest.approx(0.3)
    assert model.get_layer("distributed").layer.negative_slope == pytest.approx(0.2)
    assert model.get_layer("activation").activation.negative_slope == 0.25


@pytest.mark.parametrize("name", [n for n in FILES if "compiled" in n])
def test_compiled_as_it_was(name, tmp_path):
    model = load_golden(name, tmp_path)
    assert type(model.optimizer) is keras.optimizers.Adam
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    x, y = golden_arrays(name)
    assert model.evaluate(x, y + 2, verbose=0) == pytest.approx([4.0, 2.0])
    assert not load_golden(name, tmp_path, compile=False).compiled


ALONE = """
import sys
import numpy as np
if sys.argv[2] == "ours":
    import keras_leaky
    load_model = keras_leaky.load_model
else:
    import keras
    load_model = keras.saving.load_model
for name in sys.argv[3:]:
    path = f"{sys.argv[1]}/{name}"
    result = load_model(path, compile=False)(np.load(f"{path}.npz")["x"])
    np.save(f"{path}-{sys.argv[2]}.npy", result)
assert ("keras_leaky" in sys.modules) == (sys.argv[2] == "ours")
"""


def test_in_a_process_with_this_package_alone_and_saved_again_for_keras_alone(tmp_path):
    for name in FILES:
        unpack(name, tmp_path)
        (tmp_path / f"{name}.npz").write_bytes((GOLDEN / f"{name}.npz").read_bytes())
    run_alone("ours", FILES, tmp_path)
    stock = [name for name in FILES if "compiled" not in name]
    again = [f"{name}.again.keras" for name in stock]
    for name, new in zip(stock, again, strict=True):
        load_golden(name, tmp_path).save(tmp_path / new)
        (tmp_path / f"{new}.npz").write_bytes((GOLDEN / f"{name}.npz").read_bytes())
    run_alone("stock", again, tmp_path)
    for name, new in zip(stock, again, strict=True):
        _, y = golden_arrays(name)
        for result in (f"{name}-ours.npy", f"{new}-stock.npy"):
            np.testing.assert_allclose(np.load(tmp_path / result), y, rtol=1e-6, atol=1e-6)


def run_alone(who, names, folder):
    command = [sys.executable, "-c", ALONE, str(folder), who, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# One number, as Keras 2 and others wrote it.
ALPHAS = [
    0.25,
    {"type": "ndarray", "value": 0.25},
    {"type": "ndarray", "value": [0.25]},
    {"class_name": "__ndarray__", "config": {"value": [0.25], "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": [0.25], "dtype": "float32"}},
    {"__ndarray__": 0.25, "dtype": "float32"},
    {"__ndarray__": [0.25], "dtype": "float32", "shape": [1]},
]


def with_layer(folder, class_name, config):
    """A file of Keras 2.2.4 with another layer in the place of its LeakyReLU."""
    path = unpack("2.2.4-compiled.h5", folder)
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        layer = {"class_name": class_name, "config": {"name": "rectifier"} | config}
        model["config"]["layers"][1] = layer
        file.attrs["model_config"] = json.dumps(model)
    return path


@pytest.mark.parametrize("alpha", ALPHAS, ids=repr)
def test_alpha_in_every_form(alpha, tmp_path):
    for class_name, expected in [("LeakyReLU", [-0.5, 2]), ("ELU", [0.25 * np.expm1(-2), 2])]:
        model = load_model(with_layer(tmp_path, class_name, {"alpha": alpha}))
        layer = model.get_layer("rectifier")
        assert type(layer) is getattr(keras.layers, class_name)
        np.testing.assert_allclose(layer(np.array([-2.0, 2.0])), expected, rtol=1e-6)


@pytest.mark.parametrize("alpha", ALPHAS, ids=repr)
def test_initial_alpha_of_prelu_in_every_form(alpha, tmp_path):
    initializer = {"class_name": "Constant", "config": {"value": alpha}}
    config = repair_model({"class_name": "PReLU", "config": {"alpha_initializer": initializer}}, {})
    layer = keras.layers.PReLU.from_config(config["config"])
    np.testing.assert_allclose(layer(np.array([[-2.0, 2.0]])), [[-0.5, 2]])


def test_theta_and_the_arguments_of_relu_as_arrays(tmp_path):
    theta = {"type": "ndarray", "value": 0.5}
    model = load_model(with_layer(tmp_path, "ThresholdedReLU", {"theta": theta}))
    x = np.array([-1.0, 0.5, 0.75, 9.0])
    np.testing.assert_array_equal(model.get_layer("rectifier")(x), [0, 0, 0.75, 9])
    config = {"max_value": {"type": "ndarray", "value": 6.0}, "negative_slope": 0.5, "threshold": 0}
    model = load_model(with_layer(tmp_path, "ReLU", config))
    np.testing.assert_array_equal(model.get_layer("rectifier")(x), [-0.5, 0.5, 0.75, 6])


def test_theta_has_the_default_of_keras_2():
    config = repair_model({"class_name": "ThresholdedReLU", "config": {}}, {})
    assert config["config"] == {"threshold": 1.0}


@pytest.mark.parametrize("key", ["alpha", "theta"])
@pytest.mark.parametrize(
    "value", [{"type": "ndarray", "value": [0.1, 0.2]}, [0.1], {"class_name": "Mine"}], ids=repr
)
def test_arrays_of_several_numbers_are_refused(key, value, tmp_path):
    class_name = {"alpha": "LeakyReLU", "theta": "ThresholdedReLU"}[key]
    message = f"`{key}` of layer 'rectifier' must be one real number. Received: {key}={value!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        load_model(with_layer(tmp_path, class_name, {key: value}))


@pytest.mark.parametrize(
    ("class_name", "config", "reason"),
    [
        ("LeakyReLU", {"alpha": None}, "negative_slope value of a Leaky ReLU layer cannot be None"),
        ("ThresholdedReLU", {"theta": -0.5}, "threshold of a ReLU layer cannot be .*negative"),
    ],
)
def test_values_that_no_layer_has_are_refused(class_name, config, reason, tmp_path):
    path = with_layer(tmp_path, class_name, config)
    with pytest.raises(ValueError, match=rf"cannot be read: layer 'rectifier' .*{reason}") as error:
        load_model(path)
    assert len(str(error.value)) < 400
    assert isinstance(error.value.__cause__, TypeError)


def test_custom_objects_read_their_configs_themselves(tmp_path):
    class LeakyReLU(keras.layers.Layer):
        def __init__(self, alpha, **kwargs):
            super().__init__(**kwargs)
            self.alpha = alpha

    alpha = {"type": "ndarray", "value": 0.25}
    path = with_layer(tmp_path, "LeakyReLU", {"alpha": alpha})
    model = load_model(path, custom_objects={"LeakyReLU": LeakyReLU})
    assert type(model.get_layer("rectifier")) is LeakyReLU
    assert model.get_layer("rectifier").alpha == alpha
    with keras.saving.custom_object_scope({"LeakyReLU": LeakyReLU}):
        assert load_model(path).get_layer("rectifier").alpha == alpha


@pytest.mark.parametrize("name", [n for n in FILES if "compiled" in n])
def test_custom_first_layer(name, tmp_path):
    class Dense(keras.layers.Dense):
        """Reads its config itself, but not what every layer of Keras 2 wrote."""

    x, y = golden_arrays(name)
    model = load_golden(name, tmp_path, custom_objects={"Dense": Dense}, compile=False)
    # In .keras files Keras 3 keeps its own names for itself.
    assert type(model.get_layer("dense")) is (Dense if ".h5" in name else keras.layers.Dense)
    np.testing.assert_allclose(model(x), y, rtol=1e-6)


@pytest.mark.parametrize(
    "whose",
    [
        {"module": None},
        {"module": "their_package.layers"},
        {"module": "keras.layers", "registered_name": "Theirs>LeakyReLU"},
    ],
    ids=repr,
)
def test_configs_of_others_stay_as_they_are(whose):
    config = of_class("LeakyReLU", alpha={"type": "ndarray", "value": 0.25}) | whose
    assert repair_model(config, None) == config


def test_configs_of_our_layers_with_alpha(tmp_path):
    path = with_layer(tmp_path, "keras_leaky>LeakyReLU", {"alpha": 0.25})
    layer = load_model(path).get_layer("rectifier")
    assert type(layer) is keras_leaky.layers.LeakyReLU
    assert layer.negative_slope == 0.25


def test_losses_and_metrics():
    config = {
        "loss": {"a": "MAE", "b": ["mse", "my_own", {"class_name": "Huber"}], "c": None},
        "metrics": [["mse", "accuracy"]],
        "weighted_metrics": [
            of_class("MeanMetricWrapper", name="acc", fn="binary_accuracy"),
            of_class("MeanMetricWrapper", name="cos", fn="cosine_proximity"),
            of_class("MeanMetricWrapper", name="own", fn="my_own"),
        ],
        "jit_compile": None,
        "run_eagerly": True,
    }
    repaired = repair_training(config, None)
    assert repaired["loss"] == {
        "a": "mean_absolute_error",
        "b": ["mean_squared_error", "my_own", {"class_name": "Huber"}],
        "c": None,
    }
    assert repaired["metrics"] == ["mse", "accuracy"]
    accuracy, cosine, own = map(keras.metrics.deserialize, repaired["weighted_metrics"])
    assert accuracy.name == "acc"
    assert float(accuracy([[1.0, 0.0]], [[0.9, 0.8]])) == 0.5
    assert cosine.name == "cos"
    assert float(cosine([[1.0, 0.0]], [[2.0, 0.0]])) == 1.0
    assert own.get_config()["fn"] == "my_own"
    assert "jit_compile" not in repaired
    assert repaired["run_eagerly"] is True


def of_class(class_name, **config):
    return {"class_name": class_name, "config": config}


def test_losses_that_are_objects():
    config = of_class("Huber", reduction="auto", delta=0.5, fn="huber")
    loss = keras.losses.deserialize(repair_training({"loss": config}, None)["loss"])
    assert loss.reduction == "sum_over_batch_size"
    assert float(loss([[0.0, 0.0]], [[0.5, 1.5]])) == (0.125 + 0.625) / 2
    for kept in (of_class("Huber", reduction="sum"), of_class("Mine", fn="huber")):
        assert repair_training({"loss": kept}, {"Mine": int}) == {"loss": kept}


def repair_optimizer(class_name, custom_objects=None, **config):
    config = of_class(class_name, **config)
    return repair_training({"optimizer_config": config}, custom_objects)["optimizer_config"]


def test_arguments_of_optimizers():
    adam = {"lr": 0.5, "decay": 0.0, "jit_compile": False, "is_legacy_optimizer": False}
    assert repair_optimizer("Custom>Adam", **adam) == of_class("Adam", learning_rate=0.5)
    for name, custom_objects in [("Custom>Adam", {"Custom>Adam": int}), ("Custom>Mine", None)]:
        assert repair_optimizer(name, custom_objects, **adam) == of_class(name, **adam)


@pytest.mark.parametrize("place", ["optimizer", "optimizer_config"])
def test_experimental_optimizers_and_schedules(place):
    schedule = of_class(
        "ExponentialDecay", initial_learning_rate=0.5, decay_steps=1, decay_rate=0.5
    )
    config = {"module": "keras.optimizers.experimental"} | of_class("SGD", learning_rate=schedule)
    optimizer = keras.optimizers.deserialize(repair_training({place: config}, None)[place])
    assert type(optimizer) is keras.optimizers.SGD
    optimizer.build([keras.Variable(1.0)])
    assert float(optimizer.learning_rate) == 0.5


def test_functional_nodes_of_keras_2():
    node = [["inner", 1, 0, {}]]
    layers = [
        {"class_name": "Functional", "name": "inner", "config": {}, "inbound_nodes": []},
        {"class_name": "TFOpLambda", "name": "op", "config": {}, "inbound_nodes": [*node, node]},
    ]
    ends = {"input_layers": [["inner", 0, 0]], "output_layers": {"y": ["op", 0]}}
    config = {"layers": layers, **ends}
    repaired = repair_model({"class_name": "Functional", "config": config}, {})["config"]
    assert repaired["layers"][1]["inbound_nodes"] == [["inner", 0, 0, {}], [["inner", 0, 0, {}]]]
    assert repaired["input_layers"] == ["inner", 0, 0]
    assert repaired["output_layers"] == {"y": ["op", 0]}


def test_models_that_are_outputs_of_a_model_of_keras_2():
    layers = [
        {"class_name": kind, "name": kind, "config": {}, "inbound_nodes": []}
        for kind in ("Functional", "Model", "Sequential")
    ]
    ends = [[kind, 1, 0] for kind in ("Functional", "Model", "Sequential")]
    config = {"layers": layers, "input_layers": {"x": ["x", 0, 0]}, "output_layers": ends}
    repaired = repair_model({"class_name": "Model", "config": config}, {})["config"]
    # Keras 3 counts down for functional models itself.
    assert repaired["output_layers"] == [
        ["Functional", 1, 0],
        ["Model", 1, 0],
        ["Sequential", 0, 0],
    ]
    assert repaired["input_layers"] == {"x": ["x", 0, 0]}


def test_layers_in_layers_get_their_module():
    for key in ("layer", "activation", "recurrent_activation"):
        config = of_class("TimeDistributed", **{key: of_class("Softmax", axis=1)})
        repaired = repair_model(config, {})["config"][key]
        assert keras.layers.deserialize(repaired).axis == 1
        assert repaired["module"] == "keras.layers"
        assert repair_model(config, {"Softmax": int}) == config


def test_prelu_as_the_activation_of_a_convolution():
    config = {"filters": 3, "kernel_size": [2, 2], "activation": of_class("PReLU")}
    repaired = repair_model({"class_name": "Conv2D", "config": config}, {})["config"]
    assert repaired["activation"]["build_config"] == {"input_shape": [None, 1, 1, 3]}


def keras_3_models():
    x = keras.Input((4,))
    inner = keras.Sequential([keras.layers.Dense(4), keras_leaky.layers.LeakyReLU(-0.5)])
    y = keras.layers.Dense(3, activation=keras.layers.LeakyReLU(0.2))(inner(inner(x)))
    yield "functional", keras.Model([x], [keras.layers.ReLU(threshold=0.1)(y)])
    layers = [keras.Input((4,)), keras.layers.Dense(2, activation="relu"), keras_leaky.layers.ELU()]
    model = keras.Sequential(layers)
    model.compile("adam", keras.losses.MeanSquaredError(), metrics=["mean_absolute_error"])
    model.fit(np.ones((1, 4)), np.ones((1, 2)), verbose=0)
    yield "sequential", model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files_of_keras_3_are_read_where_they_lie(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_leaky.saving.loading.write_copy", None)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    for name, model in keras_3_models():
        model.save(tmp_path / f"{name}{suffix}")
        again = load_model(os.fspath(tmp_path / f"{name}{suffix}"))
        inputs = [x] if name == "functional" else x
        np.testing.assert_array_equal(np.squeeze(again(inputs)), np.squeeze(model(inputs)))
        assert type(again(inputs)) is type(model(inputs))


def test_file_to_be_left_uncompiled_needs_no_copy(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_leaky.saving.loading.write_copy", None)
    _, model = list(keras_3_models())[1]
    model.compile("adam", "mse")
    model.save(tmp_path / "model.h5")
    assert not load_model(tmp_path / "model.h5", compile=False).compiled


@pytest.mark.parametrize("name", ["model", "model.H5", "model.keras", "model.h5", "model.hdf5"])
def test_kind_of_a_file_is_what_is_in_it(name, tmp_path):
    _, model = list(keras_3_models())[1]
    for saved in ("saved.keras", "saved.h5"):
        model.save(tmp_path / saved)
        (tmp_path / saved).replace(tmp_path / name)
        assert load_model(tmp_path / name).layers[-1].get_config() == model.layers[-1].get_config()


def test_folder_of_keras_3(tmp_path):
    _, model = list(keras_3_models())[1]
    keras.saving.save_model(model, tmp_path / "folder", zipped=False)
    assert load_model(tmp_path / "folder").layers[-1].alpha == 1.0


def test_address_goes_to_keras_as_it_is(monkeypatch):
    monkeypatch.setattr(keras.saving, "load_model", lambda path, **options: (path, options))
    path, options = load_model("hf://someone/model", {"Mine": int}, compile=False)
    assert path == "hf://someone/model"
    assert options == {"custom_objects": {"Mine": int}, "compile": False, "safe_mode": True}
