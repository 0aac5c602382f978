"""Model files with any damage: the same model, or a ValueError about the file."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_leaky
from keras_leaky import load_model

X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `honest.keras` and `honest.h5`."""
    folder = tmp_path_factory.mktemp("models")
    inputs = keras.Input((3,))
    hidden = keras_leaky.layers.PReLU(0.1)(keras.layers.Dense(4)(inputs))
    model = keras.Model(inputs, keras_leaky.layers.LeakyReLU(0.2)(hidden))
    model.compile("adam", "mse")
    for suffix in (".keras", ".h5"):
        model.save(folder / f"honest{suffix}")
    return folder


def load_or_refuse(path):
    try:
        return load_model(path)
    except ValueError as error:
        message = str(error)
    assert str(path) in message
    assert len(message) < 2000
    return None


positions = st.one_of(
    st.floats(0, 1, exclude_max=True),  # anywhere
    st.integers(1, 300).map(lambda n: -n),  # in the directory of the zip
    st.integers(0, 200),  # in the first headers
)
changes = st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=5)
cuts = st.one_of(st.none(), st.floats(0, 1))


def damage(honest, path, found, cut):
    content = bytearray(honest.read_bytes())
    for position, byte in found:
        at = int(position * len(content)) if isinstance(position, float) else position
        content[at] = byte
    path.write_bytes(content[: None if cut is None else int(cut * len(content))])
    return path


@given(changes, cuts)
def test_changed_bytes_of_an_archive(folder, found, cut):
    path = damage(folder / "honest.keras", folder / "damaged.keras", found, cut)
    model = load_or_refuse(path)
    if model is not None:  # the checksums of the zip leave nothing but the same
        expected = keras.saving.load_model(folder / "honest.keras")(X)
        np.testing.assert_array_equal(model(X), expected)


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x89HDF\r\n"])
)
def test_random_bytes(folder, content, start):
    path = folder / "random.keras"
    path.write_bytes(start + content)
    assert load_or_refuse(path) is None


anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.floats(allow_nan=False),
        st.text(max_size=5),
        st.sampled_from(["Dense", "keras.layers", "keras", "function", "__numpy__", "relu"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["class_name", "config", "module", "name", "layers", "value"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=6,
)


def places(config, path=()):
    """Every place in a config, as the keys that lead there."""
    yield path
    items = config.items() if isinstance(config, dict) else enumerate(config)
    for key, value in items if isinstance(config, dict | list) else ():
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@given(st.data())
@settings(max_examples=60)
def test_configs_with_anything_somewhere(folder, suffix, data):
    honest, path = folder / f"honest{suffix}", folder / f"changed{suffix}"
    path.write_bytes(honest.read_bytes())
    if suffix == ".h5":
        with h5py.File(honest) as file:
            text = file.attrs["model_config"]
    else:
        with zipfile.ZipFile(honest) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        text = members["config.json"]
    config = {"all": json.loads(text)}
    *parents, last = ("all", *data.draw(st.sampled_from(list(places(config["all"])))))
    place = config
    for key in parents:
        place = place[key]
    place[last] = data.draw(anything)
    text = json.dumps(config["all"])
    if suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = text
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (members | {"config.json": text}).items():
                archive.writestr(name, content)
    load_or_refuse(path)
