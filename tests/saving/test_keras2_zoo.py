"""The kind: a file of Keras 2 that Keras 3 does not read, or reads and computes something else.

`golden/make_keras2_zoo.py` made the nets with tf_keras, and wrote down what tf_keras computed. For
all layers and arguments `golden/compare_with_keras2.py` does the same, where tf_keras is installed.
"""

import gzip
import json
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_leaky import load_model
from keras_leaky.saving.keras2 import repair_model
from keras_leaky.saving.keras2_layers import RENAMED
from keras_leaky.saving.keras2_meanings import hard_sigmoid_keras2
from keras_leaky.saving.keras2_training import repair_training

ZOO = Path(__file__).parents[1] / "golden" / "keras2_zoo"
FILES = sorted(path.stem for path in ZOO.glob("*.gz"))
every_file = pytest.mark.parametrize("name", FILES)


def unpack(name, folder):
    path = folder / name
    path.write_bytes(gzip.decompress((ZOO / f"{name}.gz").read_bytes()))
    return path


def assert_computes_the_same(model, net):
    arrays = np.load(ZOO / f"{net}.npz")
    inputs = [arrays[name] for name in sorted(arrays.files) if name.startswith("x")]
    outputs = model(inputs if len(inputs) > 1 else inputs[0])
    outputs = outputs if isinstance(outputs, list) else [outputs]
    assert len(outputs) == len(arrays.files) - len(inputs)
    eps = 2**-7 if net == "mixed_precision" else 1e-5
    for i, output in enumerate(outputs):
        expected = arrays[f"y{i}"]
        np.testing.assert_allclose(output, expected, rtol=eps, atol=eps, err_msg=f"output {i}")


def test_there_are_nets_of_every_kind():
    nets = {name.split(".")[0] for name in FILES}
    assert len(nets) == 10
    assert set(FILES) == {f"{net}{suffix}" for net in nets for suffix in (".h5", ".keras")}


@every_file
def test_computes_what_keras_2_computed_and_so_does_what_is_saved_from_it(name, tmp_path):
    net = name.split(".")[0]
    model = load_model(unpack(name, tmp_path), compile=False)
    assert_computes_the_same(model, net)
    model.save(tmp_path / "again.keras")
    assert_computes_the_same(keras.saving.load_model(tmp_path / "again.keras"), net)


def test_mixed_precision_stays(tmp_path):
    for suffix in (".h5", ".keras"):
        model = load_model(unpack("mixed_precision" + suffix, tmp_path))
        policies = [layer.dtype_policy.name for layer in model.layers]
        assert policies == ["mixed_bfloat16"] * 6 + ["float32"]
        assert model.compiled


def with_version(name, version, folder):
    """The file, saved by another `version` of Keras, by what it says."""
    path = unpack(name, folder)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            del file.attrs["keras_version"]
            if version is not None:
                file.attrs["keras_version"] = version
        return path
    copy = folder / f"copy-{name}"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for member in old.namelist():
            if member != "metadata.json":
                new.writestr(member, old.read(member))
            elif version is not None:
                new.writestr(member, json.dumps({"keras_version": version}))
    return copy


HARD_SIGMOIDS = [name for name in FILES if name.startswith("hard_sigmoids")]


@pytest.mark.parametrize("name", HARD_SIGMOIDS)
@pytest.mark.parametrize("version", ["1.2.2", "2.0.5", "2.2.4-tf", "2.12.0"])
def test_hard_sigmoid_of_every_version_of_keras_2(name, version, tmp_path):
    model = load_model(with_version(name, version, tmp_path))
    assert model.get_layer("hard_sigmoid").activation is hard_sigmoid_keras2
    assert model.get_layer("dense").activation is hard_sigmoid_keras2
    assert model.get_layer("lstm").cell.recurrent_activation is hard_sigmoid_keras2


@pytest.mark.parametrize("name", HARD_SIGMOIDS)
def test_hard_sigmoid_of_keras_3_stays(name, tmp_path):
    model = load_model(with_version(name, "3.12.0", tmp_path))
    assert model.get_layer("dense").activation is keras.activations.hard_sigmoid


@pytest.mark.parametrize("name", HARD_SIGMOIDS)
@pytest.mark.parametrize("version", [None, "unknown"])
def test_hard_sigmoid_of_no_version_is_refused(name, version, tmp_path):
    path = with_version(name, version, tmp_path)
    message = (
        "does not say which version of Keras saved it.*`hard_sigmoid`.*Received: keras_version="
    )
    with pytest.raises(ValueError, match=message):
        load_model(path)


@pytest.mark.parametrize("name", HARD_SIGMOIDS)
def test_function_of_the_callers_own_under_that_name(name, tmp_path):
    def hard_sigmoid(x):
        return 2 * x

    path = unpack(name, tmp_path)
    model = load_model(path, custom_objects={"hard_sigmoid": hard_sigmoid}, compile=False)
    assert model.get_layer("dense").activation is hard_sigmoid


def test_hard_sigmoid_of_keras_2_is_what_it_was():
    x = np.array([-9.0, -2.5, -1.0, 0.0, 1.0, 2.5, 9.0], "float32")
    np.testing.assert_allclose(hard_sigmoid_keras2(x), np.clip(0.2 * x + 0.5, 0, 1), atol=1e-7)
    assert hard_sigmoid_keras2(x.astype("float16")).dtype == "float16"


def test_folder_of_keras_2_is_refused(tmp_path):
    with zipfile.ZipFile(unpack("eegnet.keras", tmp_path)) as archive:
        archive.extractall(tmp_path / "folder")
    with pytest.raises(
        ValueError, match=r"folder with a model of Keras 2. Pack .* Received: path="
    ):
        load_model(tmp_path / "folder")


@pytest.mark.parametrize("net", ["eegnet", "video"])
def test_convolutions_of_theano_are_refused(net, tmp_path):
    path = unpack(f"{net}.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["backend"] = b"theano"  # Keras 2.0 to 2.3 had three backends
    with pytest.raises(ValueError, match=r"holds a `Conv.*` that Keras saved on Theano.*reversed"):
        load_model(path)


def test_frozen_layer_holds_for_the_layers_in_it(tmp_path):
    for suffix in (".h5", ".keras"):
        inner = load_model(unpack("frozen" + suffix, tmp_path)).layers[0]
        assert [layer.trainable for layer in inner.layers] == [False, True, False, True, True]
        assert len(inner.trainable_weights) == 5
        assert not inner.layers[2].activation.trainable


def of_class(class_name, **config):
    return {"class_name": class_name, "config": {"name": "layer"} | config}


# Arguments that Keras 3 has no more, at values that Keras 2 gave a meaning.
@pytest.mark.parametrize(
    ("class_name", "argument", "neutral", "value"),
    [
        *((name, "time_major", False, True) for name in
          ("SimpleRNN", "LSTM", "GRU", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")),
        *((name, "groups", 1, 2) for name in
          ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
           "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")),
        *((f"SpatialDropout{n}D", "noise_shape", None, [1, 2]) for n in (1, 2, 3)),
        ("Softmax", "robust_masking", False, True),
        ("MultiHeadAttention", "softmax_robust_masking", False, True),
        ("Attention", "causal", False, True),  # tf.keras up to 2.9
        ("AdditiveAttention", "causal", False, True),
        ("BatchNormalization", "virtual_batch_size", None, 4),  # tf.keras 1.14 and 1.15
    ],
)  # fmt: skip
def test_arguments_that_are_gone(class_name, argument, neutral, value):
    """At its neutral value an argument is dropped, at any other it is refused by name."""
    repaired = repair_model(of_class(class_name, **{argument: neutral}), None)
    assert argument not in repaired["config"]
    message = (
        f"`{argument}` of layer 'layer' of class `{class_name}` must be {neutral!r}: Keras 3 has "
        f"no such argument. Received: {argument}={value!r}. Load the file in Keras 2"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        repair_model(of_class(class_name, **{argument: value}), None)


@pytest.mark.parametrize("class_name", ["UpSampling2D", "Resizing"])
@pytest.mark.parametrize("interpolation", ["gaussian", "mitchellcubic"])
def test_interpolations_that_are_gone(class_name, interpolation):
    message = (
        f"`interpolation` of layer 'layer' of class `{class_name}` must be a method of Keras 3"
    )
    with pytest.raises(ValueError, match=message):
        repair_model(of_class(class_name, interpolation=interpolation), None)


@pytest.mark.parametrize("old", RENAMED)
def test_classes_of_another_name(old, tmp_path):
    """tf.keras 1.13 to 2.0 wrote these names, and SyncBatchNormalization was one until 2.12."""
    repaired = repair_model(of_class(old, **({"units": 2} if "Unified" in old else {})), None)
    layer = keras.layers.deserialize(repaired)
    assert type(layer) is getattr(keras.layers, RENAMED[old])
    if "Batch" in old:
        assert layer.synchronized is ("Sync" in old)


@pytest.mark.parametrize("class_name", ["GRU", "GRUCell"])
def test_gru_of_before_there_were_two(class_name):
    """Keras 2.0 and 2.1 wrote no `reset_after`: they had what Keras 3 calls False."""
    kind = getattr(keras.layers, class_name)
    config = of_class(class_name, units=2)
    assert kind.from_config(repair_model(config, None)["config"]).reset_after is False
    config["config"]["reset_after"] = True
    assert kind.from_config(repair_model(config, None)["config"]).reset_after is True


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (of_class("Policy", name="mixed_float16"), "mixed_float16"),
        # tf.keras 2.1 to 2.3
        (of_class("Policy", name="mixed_bfloat16", loss_scale="dynamic"), "mixed_bfloat16"),
        (of_class("PolicyV1", name="mixed_float16", loss_scale=None), "mixed_float16"),
        (of_class("Policy", name="infer"), "float32"),  # tf.keras 1.14 to 2.0
        (of_class("Policy", name="_infer"), "float32"),
    ],
)
def test_policies(policy, name):
    repaired = repair_model(of_class("LeakyReLU", alpha=0.2, dtype=policy), None)
    assert keras.layers.deserialize(repaired).dtype_policy.name == name


@pytest.mark.parametrize("axis", [[1, 2], {"class_name": "__tuple__", "items": [1, 2]}])
def test_axes_of_a_layer_of_the_callers_own(axis, tmp_path):
    """The reader that Keras 3 has for .h5 files drops them in silence."""

    class Mine(keras.layers.Layer):
        def __init__(self, axis=-1, **kwargs):
            super().__init__(**kwargs)
            self.axis = axis

        def call(self, x):
            return x

    path = unpack("axes.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        for layer in model["config"]["layers"]:
            if layer["class_name"] == "Softmax":
                layer["class_name"] = "Mine"
                layer["config"]["axis"] = axis
        file.attrs["model_config"] = json.dumps(model)
    loaded = load_model(path, custom_objects={"Mine": Mine})
    assert [list(layer.axis) for layer in loaded.layers if isinstance(layer, Mine)] == [[1, 2]]


@pytest.mark.parametrize("name", ["log_cosh", "logcosh", "kullback_leibler_divergence"])
def test_losses_and_metrics_by_names_that_are_gone(name):
    repaired = repair_training({"loss": name, "metrics": [name]}, None)
    assert keras.losses.get(repaired["loss"]) is not None
    assert keras.metrics.get(repaired["metrics"][0]) is not None


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_compiled_model_trains_on(suffix, tmp_path):
    """Keras builds the optimizer of an .h5 file for no variables, and training then fails."""
    model = load_model(unpack("mixed_precision" + suffix, tmp_path))
    x = np.load(ZOO / "mixed_precision.npz")["x0"]
    model.train_on_batch(x, np.zeros((len(x), 3)))
    assert int(model.optimizer.iterations) == 1


@pytest.mark.parametrize("kind", ["CosineDecay", "ExponentialDecay"])
def test_schedules_without_a_name(kind):
    """tf_keras wrote None, which Keras 3 refuses."""
    config = {"initial_learning_rate": 0.5, "decay_steps": 2, "name": None}
    config |= {"decay_rate": 0.5} if kind == "ExponentialDecay" else {}
    schedule = {"class_name": kind, "config": config, "module": "keras.optimizers.schedules"}
    optimizer = {"class_name": "SGD", "config": {"learning_rate": schedule}}
    repaired = repair_training({"optimizer_config": optimizer}, None)["optimizer_config"]
    assert "name" not in repaired["config"]["learning_rate"]["config"]


@pytest.mark.parametrize(
    "name", ["SGD", "Adam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Ftrl"]
)
@pytest.mark.parametrize("module", [None, "keras.optimizers.legacy"])
def test_decay_of_the_learning_rate(name, module):
    """Keras 2 divided the rate by `1 + decay * step`; Keras 3 warns, and ignores `decay`."""
    config = {"class_name": name, "config": {"learning_rate": 0.5, "decay": 0.25}}
    config |= {"module": module} if module else {}
    repaired = repair_training({"optimizer": config}, None)["optimizer"]
    optimizer = keras.optimizers.deserialize(repaired)
    optimizer.build([keras.Variable(1.0)])
    for step in range(3):
        assert float(optimizer.learning_rate) == pytest.approx(0.5 / (1 + 0.25 * step))
        optimizer.iterations.assign_add(1)


def test_decay_of_a_schedule_is_refused():
    rate = {"class_name": "CosineDecay", "config": {}}
    optimizer = {"class_name": "SGD", "config": {"learning_rate": rate, "decay": 0.25}}
    with pytest.raises(
        ValueError, match=r"`decay` of the optimizer must be 0.*Received: decay=0.25"
    ):
        repair_training({"optimizer": optimizer}, None)


@pytest.mark.parametrize("name", ["LossScaleOptimizer", "Custom>LossScaleOptimizerV3"])
@pytest.mark.parametrize("inner", ["inner_optimizer", "optimizer"])
def test_loss_scale(name, inner):
    """Keras 2 puts this optimizer around that of a model in mixed_float16."""
    around = {"class_name": "Custom>SGD", "config": {"lr": 0.5, "is_legacy_optimizer": False}}
    config = of_class(name, **{inner: around, "dynamic": True, "initial_scale": 8.0})
    repaired = repair_training({"optimizer": config}, None)["optimizer"]
    optimizer = keras.optimizers.deserialize(repaired)
    assert type(optimizer.inner_optimizer) is keras.optimizers.SGD
    assert optimizer.initial_scale == 8
    config["config"]["dynamic"] = False
    with pytest.raises(ValueError, match="`dynamic` of LossScaleOptimizer must be True"):
        repair_training({"optimizer": config}, None)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_uncompiled_in_spite_of_an_optimizer_that_is_refused(suffix, tmp_path):
    path = unpack("mixed_precision" + suffix, tmp_path)
    refused = of_class("LossScaleOptimizer", inner_optimizer={}, dynamic=False)
    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            training = json.loads(file.attrs["training_config"]) | {"optimizer_config": refused}
            file.attrs["training_config"] = json.dumps(training)
    else:
        copy = tmp_path / "copy.keras"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for member in old.namelist():
                content = old.read(member)
                if member == "config.json":
                    config = json.loads(content)
                    config["compile_config"]["optimizer"] = refused
                    content = json.dumps(config)
                new.writestr(member, content)
        path = copy
    with pytest.raises(ValueError, match="`dynamic` of LossScaleOptimizer"):
        load_model(path)
    assert_computes_the_same(load_model(path, compile=False), "mixed_precision")
