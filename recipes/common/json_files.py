"""JSON files that hold one object each."""

import json
from pathlib import Path
from typing import Any

from recipes.common.atomic import write_atomically
from recipes.common.errors import InputError


def write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, allow_nan=False, default=str) + "\n"
    write_atomically(path, text.encode())


def read_json(path: Path, if_absent: str) -> dict[str, Any]:
    """Reads an object.

    Args:
        if_absent: What it means that there is no such file.

    Raises:
        InputError: The file is absent or damaged.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: {if_absent}.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object.")
    return content
