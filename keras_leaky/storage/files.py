"""Files that are written whole and flushed, and that show when they were damaged."""

import contextlib
import hashlib
import json
import os

_CHECKSUM_KEY = b'"sha256"'


class WriteError(OSError):
    """A file could not be written, because the disk is full or for another reason."""


class DamagedFileError(ValueError):
    """A file does not hold what was written to it."""


def write_whole(path, data, flush_folder=True):
    """Writes bytes so that the file at `path` is at any moment the old one or the new one.

    Args:
        path: File. Its folder is made if it is missing.
        data: bytes.
        flush_folder: Whether the new file is to be found after a loss of power at once, or when
            the next one in its folder is.

    Raises:
        WriteError: If it cannot be written. The old file is then as it was.
    """
    unfinished = f"{path}.unfinished"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        if flush_folder:
            _flush_folder(os.path.dirname(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.remove(unfinished)  # its space may be what is missing
        reason = f"{error.strerror}. The search ends; what has finished is saved"
        raise WriteError(error.errno, reason, str(path)) from error


def write_json(path, content):
    """Writes a dictionary whole, with a checksum."""
    write_whole(path, encode_json(content))


def encode_json(content):
    """A dictionary as bytes, with the SHA-256 of the text without that entry under "sha256"."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    except TypeError:  # keys of several types have no order
        text = json.dumps(content, separators=(",", ":"))
    data = text.encode()
    separator = b"," if content else b""
    checksum = checksum_of(data).encode()
    return b'%b%b%b:"%b"}' % (data[:-1], separator, _CHECKSUM_KEY, checksum)


def read_json(path, keys_without_checksum):
    """The dictionary in a file, without its checksum.

    Args:
        path: File that `write_json` wrote, or another program, which writes no checksum.
        keys_without_checksum: The keys that the other program writes. With other ones a file needs
            a checksum: if it has none, what is damaged may be its name.

    Raises:
        DamagedFileError: If it is no dictionary, or its checksum is wrong.
        FileNotFoundError: If there is no such file.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        content = json.loads(data)
        checksum = content.pop("sha256", None)
        if checksum is None:
            is_whole = set(content) <= set(keys_without_checksum)
        else:
            is_whole = checksum == checksum_of(
                data[: data.rindex(_CHECKSUM_KEY)].rstrip(b",") + b"}"
            )
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged") from error
    if not is_whole:
        raise DamagedFileError(f"{path} is damaged")
    return content


def checksum_of(data):
    return hashlib.sha256(data).hexdigest()


def checksum_of_file(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path):
    """Renames a damaged file to a name that says so, which is returned."""
    aside, number = f"{path}.damaged", 1
    while os.path.exists(aside):
        number += 1
        aside = f"{path}.damaged-{number}"
    os.rename(path, aside)
    _flush_folder(os.path.dirname(path))
    return aside


def _flush_folder(path):
    """Makes a renaming last. Only POSIX opens folders."""
    if os.name != "posix":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
