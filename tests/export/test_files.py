"""Files and copies that hold Python objects: loading them needs keras_leaky."""

import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_leaky import layers, ops


def by_file(extension):
    def there_and_back(model, folder):
        # To HDF5 without the optimizer: Keras 3.15 takes it out of the model's own compile config.
        options = {"include_optimizer": False} if extension == ".h5" else {}
        model.save(folder / f"model{extension}", **options)
        return keras.saving.load_model(folder / f"model{extension}")

    return there_and_back


def by_weights(model, folder):
    model.save_weights(folder / "model.weights.h5")
    again = type(model).from_config(model.get_config())
    again.load_weights(folder / "model.weights.h5")
    return again


def by_json(model, folder):
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    return again


def by_clone(model, folder):
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    return again


WAYS = {
    ".keras": by_file(".keras"),
    ".h5": by_file(".h5"),
    ".weights.h5": by_weights,
    "to_json": by_json,
    "clone_model": by_clone,
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
}


def rectifiers_of(model):
    """Layers of the pack and functions, wherever they stand in the model."""
    found = [getattr(layer, "activation", layer) for layer in model.layers]
    found = [
        r
        for r in found
        if keras.saving.get_registered_name(
            type(r) if isinstance(r, keras.layers.Layer) else r
        ).startswith("keras_leaky>")
    ]
    return [
        (type(r), r.get_config()) if isinstance(r, keras.layers.Layer) else (r, None) for r in found
    ]


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_is_the_same_model(way, trained, tmp_path):
    again = WAYS[way](trained.model, tmp_path)
    assert len(rectifiers_of(again)) == 3
    assert rectifiers_of(again) == rectifiers_of(trained.model)
    np.testing.assert_array_equal(again(trained.x), trained.y)


LOAD = """
import pathlib, pickle, sys
import numpy as np
import keras
for file in ("LeakyReLU-0.2/model.keras", "ops.elu/model.keras", "ops.elu/model.h5"):
    try:
        keras.saving.load_model(f"{sys.argv[1]}/{file}")
    except (TypeError, ValueError):
        continue
    raise AssertionError(f"{file} loaded without keras_leaky")
import keras_leaky
for folder in pathlib.Path(sys.argv[1]).iterdir():
    models = {
        "keras": keras.saving.load_model(folder / "model.keras"),
        "h5": keras.saving.load_model(folder / "model.h5", compile=False),
        "pickle": pickle.loads((folder / "model.pickle").read_bytes()),
    }
    for way, model in models.items():
        np.save(folder / f"{way}.npy", model(np.load(folder / "x.npy")))
"""


def test_files_load_in_a_fresh_process_once_the_pack_is_imported(recipes, tmp_path):
    outputs = {}
    for name in recipes.cases:
        model, x = recipes.make_called_model(name), recipes.make_input()
        folder = tmp_path / name
        folder.mkdir()
        np.save(folder / "x.npy", x)
        model.save(folder / "model.keras")
        model.save(folder / "model.h5")
        (folder / "model.pickle").write_bytes(pickle.dumps(model))
        outputs[name] = np.asarray(model(x))
    command = [sys.executable, "-c", LOAD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, y in outputs.items():
        for way in ("keras", "h5", "pickle"):
            np.testing.assert_array_equal(
                np.load(tmp_path / name / f"{way}.npy"), y, f"{name}, {way}"
            )


@pytest.mark.parametrize("extension", [".keras", ".h5"])
def test_activations_of_the_issue_survive(extension, tmp_path):
    activations = [layers.LeakyReLU(0.1), ops.elu]
    dense = [keras.layers.Dense(3, activation=activation) for activation in activations]
    model = keras.Sequential([keras.Input((3,)), *dense])
    again = by_file(extension)(model, tmp_path)
    assert type(again.layers[0].activation) is layers.LeakyReLU
    assert again.layers[0].activation.negative_slope == 0.1
    assert again.layers[1].activation is ops.elu


@pytest.mark.parametrize("name", ["keras_leaky>elu", "keras_leaky.ops.elu", "prelu"])
def test_activation_strings_do_not_reach_the_pack(name):
    with pytest.raises(ValueError, match="Could not interpret activation function identifier"):
        keras.layers.Dense(3, activation=name)


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "celu", "selu"])
def test_activation_strings_of_the_same_name_mean_those_of_keras(name):
    assert keras.activations.get(name) is getattr(keras.activations, name)
    assert keras.activations.get(name) is not getattr(ops, name)
