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

    The operating system frees the lock when its process ends, however it ends. The file stays: to
    delete it would let two processes hold a lock each. Only a folder that was made here goes again
    if nothing was put into it.

    Raises:
        FolderInUseError: If the lock is held already. The message names process and host.
        DamagedFileError: If a folder or a link stands in its place.
        OSError: If there can be none in this place.
    """
    folder = Path(folder).resolve()
    path, made, holder = folder / LOCK_NAME, [], ""
    try:
        made = make_folders(folder)
        if path.is_symlink() or path.is_dir():
            raise DamagedFileError(path, "it is no file. Delete it if no other process is at work")
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
        with contextlib.suppress(OSError):  # a full disk: who holds the lock is worth no failure
            path.write_text(f"process {os.getpid()} on host {socket.gethostname()}")
        yield
    finally:
        _remove_empty(made)
        lock.release()


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what a process leaves that was killed at once."""
    return all(item.name == LOCK_NAME or is_leftover(item) for item in folder.iterdir())


def _read_holder(path: Path) -> str:
    try:
        return " ".join(path.read_text(errors="replace")[:200].split())
    except OSError:
        return ""


def _remove_empty(made: list[Path]) -> None:
    """Removes what was made here, from the inside out, as far as it is empty."""
    with contextlib.suppress(OSError):
        for folder in made:
            if is_empty(folder):
                (folder / LOCK_NAME).unlink(missing_ok=True)
                folder.rmdir()
