"""One process at a time in a folder."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import filelock

from keras_leaky.storage.files import is_leftover, make_folders
from keras_leaky.storage.json_files import DamagedFileError

LOCK_NAME = ".lock"


class FolderInUseError(ValueError):
    """Another process, or another user of the lock in this one, holds the lock of a folder.

    Attributes:
        folder: Its path.
        holder: Process and host, in words.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(folder, holder)
        self.folder, self.holder = folder, holder

    def __str__(self) -> str:
        return f"{self.folder} is in use by {self.holder}"


@contextlib.contextmanager
def folder_lock(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if it does not exist.

    The operating system frees the lock when its process ends, in any way. The file stays: deleting
    it would let two processes hold a lock each. A folder that was made here is deleted again if
    nothing was put into it.

    Raises:
        FolderInUseError: If the lock is held already. The message names process and host.
        DamagedFileError: If a folder or a link stands in its place.
        OSError: If a lock is impossible in this place.
    """
    folder = Path(folder).resolve()
    path, made, holder = folder / LOCK_NAME, [], ""
    try:
        made = make_folders(folder)
        if path.is_symlink() or path.is_dir():
            raise DamagedFileError(
                path, "it is not a file. Delete it if no other process is running"
            )
        holder = _read_holder(path)  # before filelock 4, to ask for a lock empties its file
        # A new object for every use: one that is held already would count up and say yes.
        lock = filelock.FileLock(path, thread_local=False)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise FolderInUseError(folder, holder or "another process") from None
    except OSError:
        _remove_empty(made)
        raise
    try:
        with contextlib.suppress(OSError):  # a full disk: the holder's name is not worth a failure
            path.write_text(f"process {os.getpid()} on host {socket.gethostname()}")
        yield
    finally:
        _remove_empty(made)
        lock.release()


def is_empty(folder: Path) -> bool:
    """Whether a folder is empty, apart from files that a process leaves if it is killed at once."""
    return all(item.name == LOCK_NAME or is_leftover(item) for item in folder.iterdir())


def _read_holder(path: Path) -> str:
    try:
        return " ".join(path.read_text(errors="replace")[:200].split())
    except OSError:
        return ""


def _remove_empty(made: list[Path]) -> None:
    """Removes the folders that were made here, from the inside out, if they are empty."""
    with contextlib.suppress(OSError):
        for folder in made:
            if is_empty(folder):
                (folder / LOCK_NAME).unlink(missing_ok=True)
                folder.rmdir()
