"""`keras_leaky.storage` for a project, with errors that say how the search ends."""

import contextlib
import os
from collections.abc import Iterator

from keras_leaky import storage
from keras_leaky.tuning._keras_tuner import FatalWriteError


@contextlib.contextmanager
def _fatal_errors() -> Iterator[None]:
    try:
        yield
    except storage.WriteError as error:
        reason = f"{error.strerror}. The search ends; finished trials are saved"
        raise FatalWriteError(error.errno, reason, error.filename) from error


write_whole = _fatal_errors()(storage.write_whole)


@contextlib.contextmanager
def project_lock(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the lock of a project.

    Raises:
        ValueError: If another process, or thread, searches in it. The message names it.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(storage.folder_lock(folder))
        except storage.FolderInUseError as error:
            raise ValueError(
                f"One search at a time may run in a project, and {error.holder} has one in "
                f"{folder}: wait until it ends, or give another `project_name`"
            ) from None
        yield
