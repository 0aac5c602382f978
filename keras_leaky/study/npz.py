"""Reading an .npz from an untrusted source: it is checked before any of it is unpacked.

A zip and the .npy files in it each say how large they are, and either can lie. So sizes are held
against each other and against a bound first, memory is taken for what was accepted, and no more is
unpacked than that.
"""

import io
import math
import os
import stat
import struct
import textwrap
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from keras_leaky.study.errors import InputError

__all__ = ["Header", "read_arrays"]

_MAX_READ = 1 << 20  # bytes per read; the directory of a zip with 4 arrays takes some 200
_MAX_HEADER = 4096  # bytes; the header of a plain array takes 128
# Deflate makes at most 1,032 bytes of one. MNIST comes to 5, labels in order to several hundred.
_MAX_EXPANSION = 100
_MAX_EXPANSION_FROM = 16 << 20  # bytes below which the ratio is not checked
# What NumPy, zipfile and zlib raise over a file that is no .npz, is damaged, or is encrypted.
_BROKEN_FILE = (
    OSError, ValueError, EOFError, TypeError, RuntimeError, OverflowError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """The header of an .npy file, which describes its array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool
    start: int  # of the data in the file

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


Check = Callable[[dict[str, Header]], None]


class _ShortReads(io.FileIO):
    """A file that is never read by more than a piece: zipfile reads a whole directory at once."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _MAX_READ:
            raise zipfile.BadZipFile(f"its directory takes {size:,} bytes")
        return super().read(size) or b""


def read_arrays(
    path: Path, names: tuple[str, ...], optional: tuple[str, ...], check: Check
) -> dict[str, np.ndarray]:
    """Reads the arrays `names` of the .npz at `path`, and those of `optional` that it holds.

    Args:
        check: Gets every header before an array is unpacked, and raises InputError for a forbidden
            one. Arrays whose headers it removes are not unpacked.

    Raises:
        InputError: Names the file, the array, the rule and what was received.
    """
    try:
        with _open(path) as file, zipfile.ZipFile(file) as archive:
            members = _members(archive, os.fstat(file.fileno()).st_size)
            if missing := [name for name in names if name not in members]:
                raise InputError(
                    f"{path} must hold the arrays {', '.join(names)}. Missing: "
                    f"{', '.join(missing)}. Received: {_list(members)}."
                )
            wanted = {name: members[name] for name in (*names, *optional) if name in members}
            headers = {name: _read_header(archive, info) for name, info in wanted.items()}
            for name, info in wanted.items():
                _check_member(name, info, headers[name])
            check(headers)
            return {
                name: _read(archive, wanted[name], header, name) for name, header in headers.items()
            }
    except InputError:  # a ValueError too
        raise
    except _BROKEN_FILE as error:
        reason = textwrap.shorten(str(error), 300)  # zipfile and NumPy cite the file at any length
        raise InputError(
            f"{path} could not be read as an .npz of plain arrays: {reason}"
        ) from error


def _open(path: Path) -> BinaryIO:
    # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError("it is not a regular file")
    return _ShortReads(number)


def _list(members: dict[str, zipfile.ZipInfo]) -> str:
    """Names for a message: few, short and printable, as they may come from an untrusted source."""
    names = [ascii(name)[1:-1][:40] for name in list(members)[:10]]
    return ", ".join(names + ["..."] * (len(members) > 10)) or "none"


def _members(archive: zipfile.ZipFile, n_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """The members by the names of their arrays, where the directory is one that NumPy writes."""
    infos = archive.infolist()
    members = {info.filename.removesuffix(".npy"): info for info in infos}
    if len(members) < len(infos):
        raise ValueError("two members have one name")
    for name, info in members.items():
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        if is_link or not name.strip(".") or set("/\\\0") & set(name):
            raise ValueError(f"the member {ascii(info.filename)[:80]} is a path, not an array")
        if info.flag_bits & 0x1:
            raise ValueError(f"the member {ascii(info.filename)[:80]} is encrypted")
        # Python unpacks the other methods without a bound.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"the member {ascii(info.filename)[:80]} is packed in an unusual way")
    if sum(info.compress_size for info in infos) > n_bytes:
        raise ValueError("its members overlap or were cut off")
    return members


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    with archive.open(info) as member:
        start = io.BytesIO(member.read(_MAX_HEADER))  # a header, too, can say that it has gigabytes
    version = npy_format.read_magic(start)
    readers = {
        (1, 0): npy_format.read_array_header_1_0,
        (2, 0): npy_format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(
            f"`{info.filename[:-4]}` has version {version} of the .npy format, which cannot be read"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # about a header that Python 2 wrote
            shape, is_fortran, dtype = readers[version](start, max_header_size=_MAX_HEADER)
    # Errors of Python's parser, which NumPy calls.
    except (SyntaxError, tokenize.TokenError, MemoryError, RecursionError) as error:
        raise ValueError(f"the header of `{info.filename[:-4]}` is invalid") from error
    if any(isinstance(size, bool) or size < 0 for size in shape):
        raise ValueError(f"`{info.filename[:-4]}` has the invalid shape {shape}")
    return Header(shape, dtype, is_fortran, start.tell())


def _check_member(name: str, info: zipfile.ZipInfo, header: Header) -> None:
    """Checks that hold for every array."""
    if header.dtype.hasobject:
        raise ValueError(f"`{name}` holds Python objects, which are not unpickled")
    if info.file_size != header.start + header.n_bytes:
        raise ValueError(
            f"`{name}` of shape {header.shape} and dtype {header.dtype} takes {header.n_bytes:,} "
            f"bytes, but its member has {info.file_size:,}"
        )
    if header.n_bytes > max(_MAX_EXPANSION_FROM, _MAX_EXPANSION * info.compress_size):
        raise ValueError(
            f"`{name}` would unpack {info.compress_size:,} bytes to {header.n_bytes:,}, more than "
            f"{_MAX_EXPANSION} times as many: if that is right, save it uncompressed with np.savez"
        )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header, name: str) -> np.ndarray:
    shape = header.shape[::-1] if header.is_fortran else header.shape
    array = np.empty(shape, header.dtype)  # takes memory only where it is written to
    flat = array.reshape(-1).view(np.uint8)
    with archive.open(info) as member:
        member.read(header.start)
        at = 0
        while at < len(flat) and (piece := member.read(min(_MAX_READ, len(flat) - at))):
            flat[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at += len(piece)
        if at < len(flat) or member.read(1):  # the second also has zipfile compare the checksum
            raise ValueError(f"`{name}` holds other data than its header says")
    if header.is_fortran:
        array = np.ascontiguousarray(array.T)
    return array.astype(header.dtype.newbyteorder("="), copy=False)
