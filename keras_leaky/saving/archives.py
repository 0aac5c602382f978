"""`.keras` archives from an untrusted source: checks of the zip's directory.

The directory is checked before anything is unpacked. Keras stores members unpacked, so a packed
member means that somebody packed the archive again: `loading` unpacks it to a copy, piece by piece,
and Keras never unpacks anything.
"""

import contextlib
import io
import os
import stat
import zipfile
from collections.abc import Collection, Iterator
from typing import Any

# Limit of the size that an archive or HDF5 file declares, as a multiple of its bytes, and the size
# from which the limit holds. Weights hardly pack at all; deflate makes at most 1,032 bytes of one.
MAX_EXPANSION, MAX_EXPANSION_FROM = 100, 64 << 20
_MAX_READ = 1 << 20  # bytes at once: 10,000 members in the directory


def is_bomb(declared: int, stored: int) -> bool:
    """Whether `declared` bytes cannot come from `stored` bytes in an honest file."""
    return declared > max(MAX_EXPANSION_FROM, MAX_EXPANSION * stored)


class _ShortReads(io.FileIO):
    """A file that is never read by more than a piece: zipfile reads a whole directory at once."""

    def read(self, size=-1):
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _MAX_READ:
            raise zipfile.BadZipFile(f"{size} bytes at once")
        return super().read(size)


@contextlib.contextmanager
def open_archive(path: str) -> Iterator[zipfile.ZipFile]:
    with _ShortReads(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def why_unsafe(path: str, archive: zipfile.ZipFile) -> str | None:
    """Why an archive is unsafe, as the end of a sentence; None for an honest one."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        return "two of its members have one name"
    for info in infos:
        name = ascii(info.filename)[:80]
        parts = info.filename.removesuffix("/").split("/")
        if not all(part.strip(".") and not set("\\:\0") & set(part) for part in parts):
            return f"its member {name} would be written outside of the archive's folder"
        if stat.S_ISLNK(info.external_attr >> 16):
            return f"its member {name} is a link"
        if info.flag_bits & 0x1:
            return f"its member {name} is encrypted"
        # Python unpacks the other methods without a bound.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"its member {name} is packed in a way that Keras does not use"
        if is_bomb(info.file_size, info.compress_size):
            return f"its member {name} would unpack to {info.file_size:,} bytes"
    size = os.path.getsize(path)
    if is_bomb(sum(info.file_size for info in infos), size):
        return "its members are larger than the file can hold"
    if sum(info.compress_size for info in infos) > size:
        return "its members overlap or were cut off"
    return None


def read_through(archive: zipfile.ZipFile, keep: Collection[str]) -> dict[str, bytes]:
    """Reads all members, a piece at a time, as zipfile then compares their checksums.

    Returns:
        dict: the bytes of the members whose names are in `keep`.
    """
    kept = {}
    for info in archive.infolist():
        pieces = []
        with archive.open(info) as member:
            for piece in iter(lambda: member.read(_MAX_READ), b""):
                if info.filename in keep:
                    pieces.append(piece)
        if info.filename in keep:
            kept[info.filename] = b"".join(pieces)
    return kept


class StoredMember(io.RawIOBase):
    """A member that is not packed, as a file with random access."""

    def __init__(self, path: str, info: zipfile.ZipInfo) -> None:
        self._file = open(path, "rb")  # noqa: SIM115, closed with this object
        self._file.seek(info.header_offset + 26)
        lengths = self._file.read(4)  # of the name and of the extra field, which the data follow
        n_name, n_extra = (int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
        self._start, self._size = info.header_offset + 30 + n_name + n_extra, info.file_size
        self._at = 0

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        left = max(self._size - self._at, 0)
        n = self._file.readinto(memoryview(buffer)[:left])
        self._at += n
        return n

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
