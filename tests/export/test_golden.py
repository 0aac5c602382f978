"""Files of released versions load for good: `golden/make_v0_1.py` made these."""

import gzip
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_leaky import layers, ops
from tests.versions import has

# An older Keras does not know all arguments in a newer one's configs.
pytestmark = pytest.mark.skipif(not has("keras", "3.15"), reason="Keras 3.15 wrote the files")
GOLDEN = Path(__file__).parents[1] / "golden" / "v0_1"
FILES = ["model.keras", "model.h5", "model.weights.h5"]
# What each rectifier was made with.
ARGUMENTS = {
    "leaky": {"negative_slope": 0.2},
    "prelu": {"shared_axes": "spatial", "alpha_regularizer": None, "alpha_constraint": None},
    "prelu_axes": {"shared_axes": (1, -1)},
    "prelu_elements": {"shared_axes": None},
    "prelu_all": {"shared_axes": "all"},
    "elu": {"alpha": 0.5},
    "celu": {"alpha": 2.0},
    "selu": {},
    "rrelu": {"lower": 0.1, "upper": 0.4, "seed": 7},
}


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    return tmp_path


def saved_config(folder):
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return json.loads(archive.read("config.json"))


def load(name, folder):
    if name != "model.weights.h5":
        return keras.saving.load_model(folder / name)
    model = keras.models.model_from_json(json.dumps(saved_config(folder)))
    model.load_weights(folder / name)
    return model


@pytest.mark.parametrize("name", FILES)
def test_gives_what_it_gave(name, folder):
    arrays = np.load(GOLDEN / "arrays.npz")
    y = load(name, folder)(arrays["x"])
    # Another machine sums in another order.
    np.testing.assert_allclose(y, arrays["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_layers_are_what_they_were(name, folder):
    model = load(name, folder)
    for layer, arguments in ARGUMENTS.items():
        found = {key: getattr(model.get_layer(layer), key) for key in arguments}
        assert found == arguments
    axes = model.get_layer("prelu_axes")
    assert isinstance(axes.alpha_constraint, keras.constraints.NonNeg)
    assert axes.alpha_regularizer.l2 == np.float32(0.01)
    assert model.get_layer("dense_leaky").activation.negative_slope == -0.5
    for function in ("leaky_relu", "elu", "celu", "selu"):
        assert model.get_layer(f"dense_{function}").activation is getattr(ops, function)
    kinds = {type(layer) for layer in model.layers}
    released = ("CELU", "ELU", "SELU", "LeakyReLU", "PReLU", "RReLU")
    assert {getattr(layers, kind) for kind in released} <= kinds


def test_configs_are_what_they_were(folder):
    model = keras.saving.load_model(folder / "model.keras")
    again = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    parts = parts_of_the_pack(saved_config(folder))
    assert len(parts) == 17  # 9 layers, 2 as activation, 4 functions, 2 initializers
    assert parts_of_the_pack(again) == parts


def parts_of_the_pack(config):
    """What a config holds of this package, wherever it stands, without the dtype Keras adds."""
    if isinstance(config, list):
        return [part for entry in config for part in parts_of_the_pack(entry)]
    if not isinstance(config, dict):
        return []
    name, arguments = str(config.get("registered_name")), config.get("config")
    if name.startswith("keras_leaky>"):
        return [(name, {key: value for key, value in arguments.items() if key != "dtype"})]
    if str(arguments).startswith("keras_leaky>"):
        return [arguments]
    return parts_of_the_pack(list(config.values()))
