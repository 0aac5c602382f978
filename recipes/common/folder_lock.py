"""One process a run folder: the second is refused."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from recipes.common.atomic import is_leftover, make_folders
from recipes.common.errors import DamagedFileError, InputError

LOCK_NAME = ".lock"


@contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if it does not exist.

    The operating system frees the lock when its process ends, however it ends. The file stays: to
    delete it would let two processes hold a lock each. Only a folder that was made here goes again
    if nothing was put into it.

    Raises:
        DamagedFileError: A folder or a link stands in its place.
        InputError: Another process holds the lock, or there can be none in this place.
    """
    path = path.resolve()
    made: list[Path] = []
    try:
        made = make_folders(path)
        holder = _read_holder(path)  # before filelock 4, to ask for a lock empties its file
        lock = filelock.FileLock(path / LOCK_NAME)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise InputError(
            f"{path} is in use by {holder or 'another process'}. Wait for it to end, or choose "
            "another folder."
        ) from None
    except OSError as error:
        _remove_empty(made)
        file = path / LOCK_NAME
        if file.is_dir() or file.is_symlink():
            advice = "Remove it, if no other process uses the folder."
            raise DamagedFileError(file, "it is no file", advice) from error
        raise InputError(
            f"`--output` must be a folder that can be written. Received: --output {path} "
            f"({error.strerror or error})"
        ) from error
    try:
        with suppress(OSError):  # a full disk: who holds the lock is worth no failure
            (path / LOCK_NAME).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        _remove_empty(made)
        lock.release()


def is_empty(path: Path) -> bool:
    """Whether a folder holds nothing but what a process leaves that was killed at once."""
    return all(item.name == LOCK_NAME or is_leftover(item) for item in path.iterdir())


def _read_holder(path: Path) -> str:
    try:
        return (path / LOCK_NAME).read_text(errors="replace")[:200]
    except OSError:
        return ""


def _remove_empty(made: list[Path]) -> None:
    """Removes what was made here, from the inside out, as far as it is empty."""
    with suppress(OSError):
        for folder in made:
            if is_empty(folder):
                (folder / LOCK_NAME).unlink(missing_ok=True)
                folder.rmdir()
