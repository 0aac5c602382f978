"""Files that are written whole: beside their place, and then moved there.

A reader, or a run that is killed, never meets half of one.
"""

import os
from pathlib import Path
from typing import Any


def write_model(path: Path, model: Any) -> None:
    """Saves a Keras model to `path`, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")  # Keras looks at it
    try:
        model.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to `path`; whoever reads sees the old file or the new one, whole."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
