"""DATA.npz files that somebody made to do harm."""

import os
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from keras_leaky.study.data_files import read_data
from keras_leaky.study.errors import InputError
from tests.study.data_arrays import write_data


def header(shape="(400, 28, 28)", descr="'|u1'", version=(1, 0)):
    """An .npy header that says so, whatever follows."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text


def with_member(path, member, content, packing=zipfile.ZIP_STORED):
    """The .npz at `path` with such a member, in the place of an array or beside them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name in members | {member: content}:
            archive.writestr(name, content if name == member else members[name])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("(4000000000000, 28, 28)"), "takes 3,136,000,000,000,000 bytes, but its member"),
        (header("(18446744073709551617, 28, 28)"), "`x_train` of shape .* takes"),
        (header("(-400, 28, 28)"), r"`x_train` has the invalid shape \(-400, 28, 28\)"),
        (header("(True, 28, 28)"), r"`x_train` has the invalid shape \(True, 28, 28\)"),
        (header("(" * 300), "could not be read .* the header of `x_train` is invalid"),
        (header("(" * 50), "could not be read .* the header of `x_train` is invalid"),
        (header(descr="'|O'") + bytes(400 * 784), "`x_train` holds Python objects"),
        (header(descr="[('a', 'O')]"), "`x_train` holds Python objects"),
        (header(version=(3, 0)) + bytes(400 * 784), r"has version \(3, 0\) of the .npy format"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(9999), "could not be read"),
        (header() + bytes(400 * 784 - 1), "takes 313,600 bytes, but its member"),
        (header() + bytes(400 * 784 + 100), "takes 313,600 bytes, but its member has 313,7"),
        (b"", "could not be read"),
    ],
)
def test_members_that_lie_are_refused(tmp_path, content, message):
    with_member(write_data(tmp_path), "x_train.npy", content)
    with pytest.raises(InputError, match=message):
        read_data(tmp_path / "data.npz")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "a\\b", "..", ".npy"])
def test_members_that_are_paths_are_refused(tmp_path, name):
    with_member(write_data(tmp_path), name, b"evil")
    with pytest.raises(InputError, match="is a path, not an array"):
        read_data(tmp_path / "data.npz")


def test_members_that_are_links_are_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(write_data(tmp_path), "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="the member 'link' is a path, not an array"):
        read_data(tmp_path / "data.npz")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(write_data(tmp_path), "a") as archive:
        archive.writestr("x_train.npy", header())
    with pytest.raises(InputError, match="two members have one name"):
        read_data(tmp_path / "data.npz")


def test_members_that_are_encrypted_are_refused(tmp_path):
    path = write_data(tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"the member 'x_train\.npy' is encrypted"):
        read_data(tmp_path / "data.npz")


def test_members_that_python_unpacks_without_a_bound_are_refused(tmp_path):
    with_member(write_data(tmp_path), "more", b"", zipfile.ZIP_BZIP2)
    with pytest.raises(InputError, match="is packed in an unusual way"):
        read_data(tmp_path / "data.npz")


def edit_last_member(path, name=None, **fields):
    """Changes what the directory of a zip says of its last member, or, with a name, copies it."""
    content = path.read_bytes()
    at, end = content.rindex(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    entry, tail = bytearray(content[at:end]), bytearray(content[end:])
    if "method" in fields:
        entry[10:12] = struct.pack("<H", fields["method"])
    if "size" in fields:  # in the field for more than 4 GB
        extra = struct.pack("<HHQ", 1, 8, fields["size"])
        entry[24:28], entry[30:32] = b"\xff" * 4, struct.pack("<H", len(extra))
        entry = entry[: 46 + int.from_bytes(entry[28:30], "little")] + extra
    if name is not None:
        entry += entry[:28] + struct.pack("<HH", len(name), 0) + entry[32:46] + name
    tail[12:16] = struct.pack("<I", int.from_bytes(tail[12:16], "little") + at + len(entry) - end)
    path.write_bytes(content[:at] + bytes(entry + tail))


def test_members_that_overlap_are_refused(tmp_path):
    path = write_data(tmp_path, y_train=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("large.npy", bytes(10**6))
    edit_last_member(path, name=b"y_train.npy")
    with pytest.raises(InputError, match="its members overlap or were cut off"):
        read_data(tmp_path / "data.npz")


def test_data_that_end_early_are_refused(tmp_path):
    path = write_data(tmp_path, x_train=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", header() + bytes(399 * 784))
    edit_last_member(path, size=len(header()) + 400 * 784)
    with pytest.raises(InputError, match="`x_train` holds other data than its header says"):
        read_data(tmp_path / "data.npz")


def test_directory_of_any_length_is_not_read(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(30):
            archive.writestr(f"{i:060000}", b"")
    with pytest.raises(InputError, match=r"could not be read .* its directory takes 1,8"):
        read_data(tmp_path / "data.npz")


def test_members_that_are_not_asked_for_are_not_read(tmp_path):
    with_member(write_data(tmp_path), "more.npy", b"no array")
    assert len(read_data(tmp_path / "data.npz").test) == 100


def test_names_of_a_stranger_are_shown_in_short(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        for i in range(20):
            archive.writestr(f"\x1b[2J{i}" + "a" * 100, b"")
    with pytest.raises(InputError, match=r"Received: \\x1b\[2J0a+, .*, \.\.\.\.$") as error:
        read_data(tmp_path / "data.npz")
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < 700 + len(str(tmp_path))


def test_what_libraries_cite_of_a_file_is_shown_in_short(tmp_path):
    path = write_data(tmp_path)
    content = bytearray(path.read_bytes())
    content[27] = 3  # the first name is 779 letters long
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"could not be read .* File name in dir") as error:
        read_data(tmp_path / "data.npz")
    assert len(str(error.value)) < 400 + len(str(path))


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    path = tmp_path / "data.npz"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"must be an \.npz file\. .* which is not a regular file"):
        read_data(tmp_path / "data.npz")


def test_pipe_that_takes_the_place_of_a_file_is_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "data.npz")
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    with pytest.raises(InputError, match="it is not a regular file"):
        read_data(tmp_path / "data.npz")


def test_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "data.npz").symlink_to(write_data(tmp_path / "elsewhere"))
    assert len(read_data(tmp_path / "data.npz").test) == 100


def write_bomb(folder, start, n_zeros, says=None):
    """An data.npz whose x_train unpacks to `start` and zeros, and in which a size may be false."""
    path = write_data(folder, x_train=None)
    piece = 1 << 24
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(piece)) + packer.flush(zlib.Z_FULL_FLUSH)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x_train.npy", first + zeros * (n_zeros // piece) + b"\x03\x00")
    edit_last_member(path, method=zipfile.ZIP_DEFLATED, size=says or len(start) + n_zeros)
    return path


MEASURE = """
import sys
from pathlib import Path
from keras_leaky.study.data_files import read_data
from keras_leaky.study.errors import InputError

def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

read_data(Path(sys.argv[1], "data.npz"))
for folder in sys.argv[2:]:
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from here
    before = memory("VmRSS")
    try:
        read_data(Path(folder, "data.npz"))
    except InputError as error:
        print(folder, error, memory("VmHWM") - before, sep="|")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="measures on Linux alone")
def test_bombs_stay_within_a_bound(tmp_path):
    n_zeros = 637 << 24
    honest_header = header(f"({n_zeros // 784}, 28, 28)")
    path = write_bomb(tmp_path / "a", honest_header, n_zeros)
    assert path.stat().st_size < 11e6
    with zipfile.ZipFile(path) as archive, archive.open("x_train.npy") as member:
        assert member.read(1 << 20)[len(honest_header) :].count(0) == (1 << 20) - len(honest_header)
    write_bomb(tmp_path / "b", b"\x93NUMPY\x02\x00\x00\x00\x00\x40", n_zeros)
    write_bomb(tmp_path / "c", header(), n_zeros, says=len(header()) + 400 * 784)
    messages = {
        "a": "to 10,687,086,592, more than 100 times as many: if that is right, save it",
        "b": "could not be read",
        "c": "Bad CRC-32",
    }
    folders = [str(tmp_path / name) for name in messages]
    command = [sys.executable, "-c", MEASURE, str(write_data(tmp_path / "honest").parent), *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert [folder for folder, _, _ in lines] == folders, done.stderr
    for folder, message, growth in lines:
        print(f"{float(growth):6.1f} MB  {message[-100:]}")
        assert messages[Path(folder).name] in message
        assert float(growth) < 50
