"""JSON files that hold one object each, and its SHA-256, by which damage is found."""

import hashlib
import json
from pathlib import Path
from typing import Any

from recipes.common.atomic import write_atomically
from recipes.common.errors import DamagedFileError, InputError

KEY = "sha256"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes an object, which gets its sum as "sha256".

    Numbers that are not finite become NaN and Infinity, as in KerasTuner's files.

    Raises:
        DiskFullError: There is no room for it.
    """
    as_read = json.loads(json.dumps(content))  # tuples have become lists, keys strings
    text = json.dumps({**as_read, KEY: _sum(as_read)}, indent=2) + "\n"
    write_atomically(path, text.encode())


def read_json(path: Path, if_absent: str, advice: str) -> dict[str, Any]:
    """Reads an object as it was written, without its sum.

    Args:
        if_absent: What it means that there is no such file.
        advice: What to do about a damaged one: a sentence.

    Raises:
        DamagedFileError: It is not as it was written.
        InputError: It is absent or cannot be read.
    """
    return verify(path, read_unverified_json(path, if_absent, advice), advice)


def read_unverified_json(path: Path, if_absent: str, advice: str) -> dict[str, Any]:
    """Reads an object that a user may have edited or another program written, sum and all.

    Args:
        if_absent, advice: As of `read_json`.

    Raises:
        DamagedFileError: It holds no JSON object.
        InputError: It is absent or cannot be read.
    """
    try:
        content = json.loads(path.read_bytes().decode())
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: {if_absent}.") from error
    # A RecursionError comes of thousands of brackets; a folder may stand where a file should.
    except (ValueError, RecursionError, IsADirectoryError, NotADirectoryError) as error:
        raise DamagedFileError(path, str(error), advice) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not isinstance(content, dict):
        raise DamagedFileError(path, "it holds no JSON object", advice)
    return content


def verify(path: Path, content: dict[str, Any], advice: str) -> dict[str, Any]:
    """The content less its sum, which must be there and right.

    Raises:
        DamagedFileError: It is not.
    """
    if KEY not in content:
        raise DamagedFileError(path, f'it lacks its "{KEY}"', advice)
    own = {key: value for key, value in content.items() if key != KEY}
    try:
        is_right = content[KEY] == _sum(own)
    except RecursionError:
        is_right = False
    if not is_right:
        raise DamagedFileError(path, "its SHA-256 is not the one that was written", advice)
    return own


def _sum(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
