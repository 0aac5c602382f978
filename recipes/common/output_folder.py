"""The folder that `--output` names: whether a run may be put there, and making it."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from recipes.common.errors import InputError


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
        is_empty = nearest != path or not any(path.iterdir())
    except OSError as error:
        raise _not_writable(path, error) from error
    if is_empty:
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


def make_folder(path: Path, overwrite: bool, write_config: Callable[[], None]) -> None:
    """Makes a folder that `check_folder` has found fit, or leaves everything as it was.

    Args:
        path: Resolved, so that a link to a run is replaced where it points to.
        write_config: Puts into the folder what tells it from anybody's.

    Raises:
        InputError: It cannot be written.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        if overwrite and path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        write_config()
    except OSError as error:
        for folder in missing:  # from the inside out; only what was made here, only if empty
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"`--output` must be a folder that can be written. Received: --output {path} "
        f"({error.strerror or error})"
    )
