"""Files of a run, by `keras_leaky.storage`, whose errors become sentences of the command line."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.common.errors import DamagedRunError, DiskFullError, InputError, RunError
from recipes.common.quiet_start import start_quietly


def storage():  # -> the module, which pyright sees for itself
    """`keras_leaky.storage`, imported when it is needed, as the package brings in Keras.

    What is wrong with the flags is said before, by code that does not call this.
    """
    start_quietly()
    from keras_leaky import storage

    return storage


def write_run_file(path: Path, content: bytes) -> None:
    """Writes `content` to `path`; whoever reads sees the old file or the new one, whole.

    Raises:
        DiskFullError: There is no room for it. The old file is still there.
        RunError: The folder was moved or deleted meanwhile.
        OSError: It cannot be written for another reason.
    """
    with run_errors():
        storage().write_whole(path, content)


def write_run_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes an object with its checksum, likewise."""
    with run_errors():
        storage().write_json(path, content, readable=True)


@contextmanager
def run_errors() -> Iterator[None]:
    """Turns a full disk and a missing folder into errors of the run. Other errors stay."""
    try:
        yield
    except storage().WriteError as error:
        if error.is_disk_full:
            raise DiskFullError(
                f"{error.filename} cannot be written: {error.strerror}. What was finished before "
                "is kept; make room and go on."
            ) from error
        if error.errno == errno.ENOENT:
            raise RunError(f"{error.filename} cannot be written: its folder is gone.") from error
        raise


def read_run_json(path: Path, if_absent: str, advice: str) -> dict[str, Any]:
    """Reads an object as it was written, without its checksum.

    Args:
        if_absent: What it means that there is no such file.
        advice: What to do about a damaged one: a sentence.

    Raises:
        DamagedRunError: It is not as it was written.
        InputError: It is absent or cannot be read.
    """
    with _read_errors(path, if_absent, advice):
        return storage().read_json(path)


def read_edited_json(path: Path, if_absent: str, advice: str) -> dict[str, Any]:
    """Reads an object that a user may have edited or another program written.

    Args:
        if_absent, advice: As of `read_run_json`.

    Raises:
        DamagedRunError: It holds no JSON object.
        InputError: It is absent or cannot be read.
    """
    with _read_errors(path, if_absent, advice):
        return storage().read_unverified_json(path)


@contextmanager
def _read_errors(path: Path, if_absent: str, advice: str) -> Iterator[None]:
    try:
        if not path.exists():  # said without Keras
            raise InputError(f"{path} does not exist: {if_absent}.")
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except storage().DamagedFileError as error:
        raise DamagedRunError(path, error.problem, advice) from error
