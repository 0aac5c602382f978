"""Files that are written atomically: to a temporary file beside their place, then renamed.

A reader never sees half a file, even if the writer is killed. Written files survive a loss of
power.
"""

import contextlib
import errno
import hashlib
import itertools
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: the process may not write larger files
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)


class WriteError(OSError):
    """A file could not be written; `filename` is its path, `strerror` the reason."""

    @property
    def is_disk_full(self) -> bool:
        """Whether space ran out: a full disk, a quota, or a limit on the size of files."""
        return self.errno in _FULL


@contextlib.contextmanager
def write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError into the `WriteError` of a file.

    Args:
        path: The file that is written, which may differ from the file that the error names.
    """
    try:
        yield
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error


def write_whole(path: str | os.PathLike[str], data: bytes, flush_folder: bool = True) -> None:
    """Writes bytes so that the file at `path` is at any moment the old one or the new one.

    Args:
        path: File. Its folder is made if it is missing.
        data: Its new content.
        flush_folder: Whether the new file survives a loss of power at once, or only when the next
            file in its folder does.

    Raises:
        WriteError: If it cannot be written. The old file is then as it was.
    """
    path = Path(path)
    # A unique name: another process, or thread, may be writing the same file.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with write_errors(path):
        make_folders(path.parent)
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to report
                unfinished.unlink()  # its space may be needed
            raise
        if flush_folder:
            _flush_folder(path.parent)


def make_folders(path: str | os.PathLike[str]) -> list[Path]:
    """Makes a folder and those above it, and returns the new ones from the inside out.

    Raises:
        OSError: If one cannot be made.
    """
    path = Path(path)
    missing = list(itertools.takewhile(lambda folder: not folder.is_dir(), (path, *path.parents)))
    for folder in reversed(missing):
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError:  # a file, where a folder should be
            number = errno.ENOTDIR
            raise NotADirectoryError(number, os.strerror(number), str(folder)) from None
        _flush_folder(folder.parent)
    return missing


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Removes the half-written files of processes that were killed, also from the folders below.

    No other process may be writing there: see `folder_lock`.
    """
    for base, _, names in os.walk(folder):
        for name in filter(_LEFTOVER.fullmatch, names):
            with contextlib.suppress(OSError):  # one that stays does no harm
                os.remove(os.path.join(base, name))


def is_leftover(path: Path) -> bool:
    """Whether this is such a half-written file."""
    return bool(_LEFTOVER.fullmatch(path.name)) and not path.is_dir()


def set_aside(path: str | os.PathLike[str]) -> Path:
    """Renames a damaged file, or whatever has its name.

    Returns:
        Its new path: NAME.damaged, or NAME.damaged-2 and so on if that exists already.

    Raises:
        OSError: If it cannot be renamed.
    """
    path = Path(path)
    names = (f"{path.name}.damaged{f'-{n}' if n > 1 else ''}" for n in itertools.count(1))
    aside = next(new for new in map(path.with_name, names) if not os.path.lexists(new))
    path.rename(aside)
    _flush_folder(path.parent)
    return aside


def checksum_of(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def checksum_of_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: If it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_folder(path: Path) -> None:
    """Makes a new name in a folder durable, if the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
            raise
    finally:
        os.close(folder)
