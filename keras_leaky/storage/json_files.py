"""JSON files that hold one object each, with a SHA-256 that reveals damage.

The last entry of an object is "sha256": the SHA-256 of all that stands before it, without the comma
and closed by a brace. Every byte counts, so that a file that was edited is damaged too.
"""

import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from keras_leaky.storage.files import checksum_of, write_whole

_KEY = "sha256"
_ENDS_WITH_CHECKSUM = re.compile(rb'[0-9a-f]{64}"\s*}\s*\Z')


class DamagedFileError(ValueError):
    """A file does not hold what was written to it.

    Attributes:
        path: Its path.
        problem: Why it is damaged.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = Path(path), problem

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.problem}"


def write_json(
    path: str | os.PathLike[str], content: Mapping[Any, Any], readable: bool = False
) -> None:
    """Writes an object atomically, with its checksum.

    Numbers that are not finite become NaN and Infinity, as in KerasTuner's files.

    Args:
        path: File. Its folder is made if it is missing.
        content: The object; "sha256" must not be a key of it.
        readable: Put each entry on its own line, for people.

    Raises:
        WriteError: If it cannot be written. The old file is then as it was.
    """
    write_whole(path, encode_json(content, readable))


def encode_json(content: Mapping[Any, Any], readable: bool = False) -> bytes:
    """The bytes that `write_json` writes."""
    style: dict[str, Any] = {"indent": 2} if readable else {"separators": (",", ":")}
    text = json.dumps(content, **style)
    return _with_checksum(text[:-1].rstrip().encode())[readable]


def read_json(
    path: str | os.PathLike[str], keys_without_checksum: Collection[str] = ()
) -> dict[str, Any]:
    """Reads an object as it was written, without its checksum.

    Args:
        path: File that `write_json` wrote, or another program without a checksum.
        keys_without_checksum: The keys that the other program writes. A file with other keys needs
            a checksum: if it has none, the name of the checksum may be damaged.

    Raises:
        DamagedFileError: If the content differs from the content that was written.
        OSError: If it cannot be read; FileNotFoundError if there is none.
    """
    data, content = _read(path)
    if _KEY not in content:
        is_foreign = content and content.keys() <= {*keys_without_checksum}
        if not is_foreign or _ENDS_WITH_CHECKSUM.search(data):
            raise DamagedFileError(path, f'it lacks its "{_KEY}"')
        return content
    del content[_KEY]
    before = data[: data.rfind(b'"%b"' % _KEY.encode())].rstrip(b", \n")
    if data not in _with_checksum(before):
        raise DamagedFileError(path, "its SHA-256 does not match")
    return content


def read_unverified_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads an object that a user may have edited, without its checksum.

    Raises:
        DamagedFileError: If it is not a JSON object.
        OSError: If it cannot be read; FileNotFoundError if there is none.
    """
    content = _read(path)[1]
    content.pop(_KEY, None)
    return content


def _read(path: str | os.PathLike[str]) -> tuple[bytes, dict[str, Any]]:
    try:
        data = Path(path).read_bytes()
        content = json.loads(data)
    # A RecursionError comes of thousands of brackets; a folder may stand where a file should.
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise DamagedFileError(path, str(error)) from error
    if not isinstance(content, dict):
        raise DamagedFileError(path, "it does not hold a JSON object")
    return data, content


def _with_checksum(before: bytes) -> tuple[bytes, bytes]:
    """The whole file, compact and readable, from the part before the checksum."""
    comma = b"" if before == b"{" else b","
    key, checksum = _KEY.encode(), checksum_of(before + b"}").encode()
    return (
        b'%b%b"%b":"%b"}' % (before, comma, key, checksum),
        b'%b%b\n  "%b": "%b"\n}\n' % (before, comma, key, checksum),
    )
