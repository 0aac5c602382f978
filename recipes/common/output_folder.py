"""The folder that `--output` names: whether a run may be put there, its lock, and making it."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recipes.common.errors import DamagedRunError, InputError
from recipes.common.run_files import storage


def check_folder(
    path: Path, overwrite: bool, is_run: Callable[[Path], bool], ways_out: str
) -> None:
    """Refuses a folder that cannot be written, or that holds something.

    A run is no hindrance if `overwrite` is given.

    Args:
        is_run: Whether a folder holds a run of the recipe.
        ways_out: What can be done about a folder that is not empty, for the message.

    Raises:
        InputError: Says which, and what to do.
    """
    try:
        nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not nearest.is_dir():
            raise InputError(
                f"`--output` must be a folder. Received: --output {path}, but {nearest} is a file."
            )
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # What lies open is seen without Keras, which comes with `storage()`.
        is_free = nearest != path or (
            all(item.name.startswith(".") for item in path.iterdir()) and storage().is_empty(path)
        )
    except OSError as error:
        raise _not_writable(path, error) from error
    if is_free:
        return
    if not overwrite:
        raise InputError(
            f"`--output` must be a new or empty folder. Received: --output {path}, which is not "
            f"empty. {ways_out}"
        )
    if not is_run(path):
        raise InputError(
            "`--overwrite` deletes only a folder that holds a run's config.json, of the same kind. "
            f"Received: --output {path}. Nothing was deleted."
        )


@contextmanager
def output_lock(path: Path) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if it does not exist.

    Raises:
        DamagedRunError: A folder or a link stands in the place of the lock.
        InputError: Another process holds the lock, or there can be none in this place.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(storage().folder_lock(path))
        except storage().FolderInUseError as error:
            raise InputError(f"{error}. Wait for it to end, or choose another folder.") from None
        except storage().DamagedFileError as error:
            advice = "Remove it, if no other process uses the folder."
            raise DamagedRunError(error.path, error.problem, advice) from error
        except OSError as error:
            raise _not_writable(path.resolve(), error) from error
        yield


def make_folder(path: Path, overwrite: bool, write_config: Callable[[], None]) -> None:
    """Makes a folder that `check_folder` has found fit, with `output_lock` held.

    Args:
        path: Resolved, so that a link to a run is replaced where it points to.
        overwrite: Delete what it holds.
        write_config: Writes config.json, which tells the folder from anybody's.

    Raises:
        InputError: It cannot be written.
        DiskFullError: There is no room for the file that `write_config` writes.
    """
    try:
        storage().make_folders(path)
        storage().remove_leftovers(path)
        for item in path.iterdir() if overwrite else ():
            # The lock is held; and without a config.json, what a process leaves that is killed here
            # would be nobody's to delete.
            if item.name in (storage().LOCK_NAME, "config.json"):
                continue
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
        write_config()
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"`--output` must be a folder that can be written. Received: --output {path} "
        f"({error.strerror or error})"
    )
