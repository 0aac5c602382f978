"""Files that are written whole: beside their place, and then moved there.

A reader, or a run that is killed, never meets half of one; and once written they outlive a power
failure.
"""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recipes.common.errors import DiskFullError, RunError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: the process may not write larger files
_LEFTOVER = re.compile(r"\..+\.\d+\.tmp")


def model_bytes(model: Any) -> bytes:
    """The content of a .keras file of a Keras model.

    Raises:
        DiskFullError: There is no room for it among the temporary files.
    """
    # Keras writes to a path alone, and its errors do not say whether the disk was full: so the
    # folder of the run gets bytes.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        with _failure_said(path):
            model.save(path)
            return path.read_bytes()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to `path`; whoever reads sees the old file or the new one, whole.

    Raises:
        DiskFullError: There is no room for it. The old file is still there.
        RunError: The folder was moved or deleted meanwhile.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _failure_said(path):
        make_folders(path.parent)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):  # the reason of the failure is the one to tell
                temporary.unlink(missing_ok=True)
        _flush_folder(path.parent)


def make_folders(path: Path) -> list[Path]:
    """Makes a folder and those above it, and returns the new ones from the inside out."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)
    return missing


def remove_leftovers(folder: Path) -> None:
    """Removes the half-written files of processes that were killed."""
    for path in folder.rglob(".*.tmp"):
        if is_leftover(path):
            path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether this is such a file."""
    return bool(_LEFTOVER.fullmatch(path.name)) and not path.is_dir()


def _flush_folder(path: Path) -> None:
    """Makes a new name in a folder last, where the system can."""
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


@contextmanager
def _failure_said(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RunError(f"{path} cannot be written: its folder is gone.") from error
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFullError(
            f"{path} cannot be written: {os.strerror(error.errno)}. What was finished before is "
            "kept; make room and go on."
        ) from error
