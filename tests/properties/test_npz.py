"""Files of images with any damage: the same arrays, or one sentence."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes

from keras_leaky.study.data_files import read_data
from keras_leaky.study.errors import InputError
from tests.study.data_arrays import write_data


def digest_of(data):
    digest = hashlib.sha256()
    for part in data.parts.values():
        for array in part:
            digest.update(str((array.shape, array.dtype)).encode() + array.tobytes())
    return digest.hexdigest()


def load_or_refuse(folder):
    """The arrays' digest, or None after an InputError of some sense; nothing else comes."""
    try:
        return digest_of(read_data(folder / "data.npz"))
    except InputError as error:
        message = str(error)
    assert "data.npz" in message
    assert len(message) < 2000
    return None


class Packed(tuple):
    """A path, the digest of its arrays, its bytes packed and not, its members; shown in short."""

    __repr__ = object.__repr__


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    path = write_data(folder)
    digest = digest_of(read_data(folder / "data.npz"))
    stored = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Packed((path, digest, [stored, small.getvalue()], members))


positions = st.one_of(
    st.floats(0, 1, exclude_max=True),  # anywhere: mostly pixels
    st.integers(1, 700).map(lambda n: -n),  # in the directory of the zip
    st.integers(0, 200),  # in the first headers
)
changes = st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=8)


@given(st.integers(0, 1), changes, st.one_of(st.none(), st.floats(0, 1)))
def test_changed_bytes(packed, which, found, cut):
    path, digest, contents, _ = packed
    content = bytearray(contents[which])
    for position, byte in found:
        at = int(position * len(content)) if isinstance(position, float) else position
        content[at] = byte
    path.write_bytes(content[: None if cut is None else int(cut * len(content))])
    assert load_or_refuse(path.parent) in (None, digest)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY"]))
def test_random_bytes(packed, content, start):
    packed[0].write_bytes(start + content)
    assert load_or_refuse(packed[0].parent) is None


@given(
    st.sampled_from(["x_train", "y_train", "x_test", "y_test"]),
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda text: b"\x93NUMPY\x01\x00" + text),
        st.tuples(st.binary(max_size=4), st.text("(){}[]',:0123456789L descr", max_size=150)).map(
            lambda t: b"\x93NUMPY\x01\x00" + len(t[1]).to_bytes(2, "little") + t[1].encode() + t[0]
        ),
    ),
)
def test_headers_of_any_text(packed, name, content):
    path, _, _, members = packed
    with zipfile.ZipFile(path, "w") as archive:
        for other, honest in members.items():
            archive.writestr(other, content if other == name + ".npy" else honest)
    assert load_or_refuse(path.parent) is None


@given(
    st.sampled_from(["x_train", "y_train", "source"]),
    scalar_dtypes().flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_side=4))),
)
def test_arrays_of_any_kind(packed, name, array):
    path, _, _, members = packed
    file = io.BytesIO()
    np.save(file, array)
    with zipfile.ZipFile(path, "w") as archive:
        for other, honest in (members | {name + ".npy": file.getvalue()}).items():
            archive.writestr(other, honest)
    digest = load_or_refuse(path.parent)
    is_title = name == "source" and array.dtype.kind == "U" and array.shape == ()
    assert digest is None or is_title
