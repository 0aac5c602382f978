"""What `load_model` says of files that cannot be loaded."""

import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_leaky
from keras_leaky import load_model

KERAS = f"Keras {keras.__version__}"
both_formats = pytest.mark.parametrize("suffix", [".keras", ".h5"])


class Mine(keras.layers.Layer):
    def call(self, inputs):
        return inputs


class Picky(Mine):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        if size > 1:
            raise RuntimeError("size")
        self.size = size

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def my_function(y, x=None):
    return y if x is None else keras.ops.mean(keras.ops.square(y - x))


def sequential(*layers):
    return keras.Sequential([keras.Input((3,)), *layers])


def save(model, path):
    model.save(path)
    return path


def edit_config(path, *replacements):
    """Replaces text in the config of a `.keras` or `.h5` file."""

    def edit(text):
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        return text

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = edit(file.attrs["model_config"])
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = edit(members["config.json"].decode()).encode()
    return write_zip(path, members)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def refuse(path, sentence, cause=(TypeError, ValueError), **options):
    """Loading `path` fails with `sentence`, in which PATH stands for the path."""
    with pytest.raises(ValueError, match=r"(?s).") as error:
        load_model(path, **options)
    assert str(error.value) == sentence.replace("PATH", repr(str(path)))
    assert isinstance(error.value.__cause__, cause)
    return error.value


HERE = __name__.split(".")[0]


def unknown(kind, name, short=None, package=None):
    remedy = f"Pass `custom_objects={{'{name}': {short or name}}}`"
    remedy += f", or import `{package}` first if that registers it" if package else ""
    return f"PATH needs {kind} `{name}`, which {KERAS} does not know. {remedy}."


@both_formats
def test_class_that_nobody_knows(suffix, tmp_path):
    models = [
        sequential(keras.layers.Dense(2), Mine()),
        sequential(keras.layers.Dense(2, activation=Mine())),
        sequential(sequential(keras.layers.Dense(2), Mine())),
    ]
    for i, model in enumerate(models):
        path = save(model, tmp_path / f"model{suffix}")
        # An .h5 file names the module of an activation alone.
        package = HERE if suffix == ".keras" or i == 1 else None
        error = refuse(path, unknown("class", "Mine", package=package))
        assert len(str(error)) < len(str(path)) + 180
        load_model(path, custom_objects={"Mine": Mine})


def test_what_keras_says_instead_is_long_and_stays_the_cause(tmp_path):
    model = sequential(*[keras.layers.Dense(2) for _ in range(5)], Mine())
    path = save(model, tmp_path / "model.keras")
    with pytest.raises(TypeError) as stock:
        keras.saving.load_model(path)
    error = refuse(path, unknown("class", "Mine", package=HERE))
    assert len(str(stock.value)) > 5000
    assert str(error.__cause__) == str(stock.value)


@both_formats
def test_class_that_was_registered_or_lies_in_a_package(suffix, tmp_path):
    registered = keras.saving.register_keras_serializable("their_package", "Theirs")(
        type("Theirs", (Mine,), {})
    )
    path = save(sequential(registered()), tmp_path / f"model{suffix}")
    try:
        load_model(path)
    finally:
        keras.saving.get_custom_objects().pop("their_package>Theirs")
    name = "their_package>Theirs"
    refuse(path, unknown("class", name, "Theirs", "their_package"))
    if suffix == ".keras":
        # As it is saved without being registered.
        module = json.dumps(registered.__module__)
        edits = (f'"module": {module}', '"module": "a.b"'), (f'"{name}"', '"Theirs"')
        refuse(edit_config(path, *edits), unknown("class", "Theirs", package="a"))


def test_class_of_a_script_is_not_taken_for_the_one_of_keras(tmp_path):
    path = save(sequential(Mine()), tmp_path / "model.keras")
    edit_config(
        path,
        (f'"module": "{__name__}"', '"module": null'),
        ('"Mine", "config": {', '"LeakyReLU", "config": {"alpha": 0.5, '),
        ('"registered_name": "Mine"', '"registered_name": "LeakyReLU"'),
    )
    refuse(path, unknown("class", "LeakyReLU"))


@both_formats
def test_class_of_a_newer_keras_leaky(suffix, tmp_path):
    path = save(sequential(keras_leaky.layers.ELU()), tmp_path / f"model{suffix}")
    edit_config(path, ("keras_leaky>ELU", "keras_leaky>GELU"))
    refuse(
        path,
        "PATH needs class `keras_leaky>GELU`, which a newer keras_leaky has: upgrade keras_leaky.",
    )


@both_formats
def test_function_that_nobody_knows(suffix, tmp_path):
    model = sequential(keras.layers.Dense(2, activation=my_function))
    path = save(model, tmp_path / f"model{suffix}")
    refuse(path, unknown("function", "my_function"))
    load_model(path, custom_objects={"my_function": my_function})


def test_function_by_its_name_alone(tmp_path):
    path = save(sequential(keras.layers.Dense(2, name="d")), tmp_path / "model.h5")
    edit_config(path, ('"activation": "linear"', '"activation": "my_function"'))
    refuse(
        path,
        "PATH cannot be read: layer 'd' of class `Dense`: Could not interpret activation function "
        "identifier: my_function. If it is your own class, pass it in `custom_objects={...}`.",
    )
    load_model(path, custom_objects={"my_function": my_function})


@both_formats
def test_arguments_that_a_class_does_not_take(suffix, tmp_path):
    path = save(sequential(keras_leaky.layers.ELU(0.5, name="e")), tmp_path / f"model{suffix}")
    edit_config(path, ('"alpha": 0.5', '"alpha": 0.5, "beta": 1'))
    refuse(
        path,
        "PATH cannot be read: layer 'e' of class `ELU`: Unrecognized keyword arguments passed to "
        "ELU: {'beta': 1}. The class took other arguments when the file was saved: update its "
        "package, or pass a class that takes these arguments in `custom_objects={...}`.",
    )


@both_formats
def test_values_that_a_class_refuses(suffix, tmp_path):
    path = save(sequential(keras_leaky.layers.ELU(0.5, name="e")), tmp_path / f"model{suffix}")
    edit_config(path, ('"alpha": 0.5', '"alpha": -0.5'))
    refuse(
        path,
        "PATH cannot be read: layer 'e' of class `ELU`: `alpha` of layer 'e' must be a finite real "
        "number of at least 0. Received: alpha=-0.5.",
    )


@both_formats
def test_lambda(suffix, tmp_path):
    path = save(sequential(keras.layers.Lambda(lambda x: 2 * x)), tmp_path / f"model{suffix}")
    refuse(
        path,
        "PATH holds a Python lambda, and loading one runs the code in it. If you trust the file, "
        "pass `safe_mode=False`.",
    )
    np.testing.assert_array_equal(load_model(path, safe_mode=False)(np.ones((1, 3))), [[2, 2, 2]])


def compiled(suffix, folder):
    model = sequential(keras.layers.Dense(2))
    model.compile("adam", loss=my_function, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return save(model, folder / f"model{suffix}")


def test_loss_that_nobody_knows_in_a_keras_file(tmp_path):
    path = compiled(".keras", tmp_path)
    refuse(path, unknown("function", "my_function") + " Or pass `compile=False`.")
    assert load_model(path, custom_objects={"my_function": my_function}).loss is my_function
    assert not load_model(path, compile=False).compiled


def test_loss_that_nobody_knows_in_an_h5_file(tmp_path):
    path = compiled(".h5", tmp_path)
    with pytest.raises(
        ValueError,
        match=r"The model in '.*' cannot be compiled with its saved loss='my_function', "
        r"metrics=\['accuracy'\]: .* Pass your own classes in `custom_objects=\{...\}`, or pass "
        r"`compile=False` and call `compile` on the model\.$",
    ):
        load_model(path)
    assert load_model(path, custom_objects={"my_function": my_function}).loss is my_function
    assert not load_model(path, compile=False).compiled


def test_weights_of_another_model(tmp_path):
    path = save(sequential(keras.layers.Dense(2, name="d")), tmp_path / "model.keras")
    with zipfile.ZipFile(save(sequential(Mine()), tmp_path / "other.keras")) as archive:
        other = archive.read("model.weights.h5")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    write_zip(path, members | {"model.weights.h5": other})
    refuse(
        path,
        "The weights in PATH do not fit the layers in it: 1 object(s) failed, the first <Dense "
        "name=d, built=True>: Layer 'd' expected 2 variables, but received 0 variables during "
        "loading. Expected: ['kernel', 'bias']. If Keras 2.13 wrote the file, save it as .h5 "
        "there, because its .keras files name weights in another way.",
    )


def test_weights_of_another_model_in_an_h5_file(tmp_path):
    path = save(sequential(keras.layers.Dense(2, name="d")), tmp_path / "model.h5")
    edit_config(path, ('"use_bias": true', '"use_bias": false'))
    refuse(
        path,
        "The weights in PATH do not fit the layers in it: Weight count mismatch for layer #0 "
        "(named d in the current model, d in the save file). Layer expects 1 weight(s). Received 2 "
        "saved weight(s).",
    )


def test_unexpected_errors_stay_what_they_are(tmp_path):
    path = save(sequential(Picky(1)), tmp_path / "model.h5")
    edit_config(path, ('"size": 1', '"size": 2'))
    with pytest.raises(TypeError, match="size") as stock:
        keras.saving.load_model(path, {"Picky": Picky})
    assert isinstance(stock.value.__context__, RuntimeError)

    class Broken(Mine):
        @classmethod
        def from_config(cls, config):
            raise ValueError("a bug")

    path = save(sequential(Mine()), tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"^a bug$"):
        load_model(path, custom_objects={"Mine": Broken})


NO_MODEL = "`path` must be a model in a .keras file (a zip archive) or an .h5 file (HDF5), but "
DAMAGED = NO_MODEL + "the file is damaged or was cut short: copy or download it again. "


@both_formats
def test_file_that_was_cut_short(suffix, tmp_path):
    path = save(sequential(keras.layers.Dense(2)), tmp_path / f"model{suffix}")
    path.write_bytes(path.read_bytes()[:-1000])
    cause = zipfile.BadZipFile if suffix == ".keras" else OSError
    refuse(path, DAMAGED + "Received: path=PATH", cause=cause)


@pytest.mark.parametrize("needs_a_copy", [False, True])
def test_weights_that_are_damaged(needs_a_copy, tmp_path):
    path = save(sequential(keras.layers.Dense(2)), tmp_path / "model.keras")
    content = bytearray(path.read_bytes())
    at = content.index(b"\x89HDF") + 600
    content[at : at + 8] = b"\xff" * 8
    path = path.with_suffix(".bin" if needs_a_copy else ".keras")
    path.write_bytes(content)
    refuse(path, DAMAGED + "Received: path=PATH", cause=zipfile.BadZipFile)


def test_config_that_is_no_json(tmp_path):
    members = {"config.json": "{", "model.weights.h5": ""}
    path = write_zip(tmp_path / "model.keras", members)
    refuse(path, DAMAGED + "Received: path=PATH", cause=json.JSONDecodeError)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty, which is neither"),
        (b"version https://git-lfs", "the file begins with b'version ', which is neither"),
    ],
)
def test_file_of_another_kind(content, reason, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    refuse(path, f"{NO_MODEL}{reason}. Received: path=PATH", cause=type(None))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a": ""}, "the archive lacks config.json or model.weights.*"),
        ({"config.json": "{}"}, "the archive lacks config.json or model.weights.*"),
        (
            {"config.json": "{}", "model.weights.h5": ""},
            "the config in the file is not the config of a model",
        ),
    ],
)
def test_archive_of_another_kind(members, reason, tmp_path):
    path = write_zip(tmp_path / "model.keras", members)
    refuse(path, f"{NO_MODEL}{reason}. Received: path=PATH", cause=type(None))


def test_weights_without_a_model(tmp_path):
    path = tmp_path / "model.weights.h5"
    sequential(keras.layers.Dense(2)).save_weights(path)
    refuse(
        path,
        NO_MODEL + "the file holds no model config: if it holds only weights, make the model "
        "and call `model.load_weights(path)`. Received: path=PATH",
        cause=type(None),
    )


def test_nothing_at_the_path(tmp_path):
    path = tmp_path / "model.keras"
    message = f"`path` must name a file that exists. Received: path={str(path)!r}"
    with pytest.raises(FileNotFoundError, match="^" + re.escape(message) + "$"):
        load_model(path)


def test_folder_that_keras_does_not_know(tmp_path):
    refuse(
        tmp_path,
        "`path` must be a .keras or .h5 file or a folder of Keras. Received: path=PATH",
    )


def test_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    refuse(
        tmp_path,
        "`path` must not be a SavedModel, which Keras 3 does not load. Load it in Keras 2 (`pip "
        "install tf_keras`) and save it as `model.keras`, or call it as the layer "
        "`keras.layers.TFSMLayer(path, call_endpoint='serving_default')`. Received: path=PATH",
        cause=type(None),
    )


@pytest.mark.parametrize("path", [None, 1, ["model.keras"]], ids=repr)
def test_path_that_is_none(path):
    message = f"`path` must be a str or os.PathLike. Received: path={path!r}"
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        load_model(path)
