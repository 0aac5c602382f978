"""Files that are written whole: beside their place, and then moved there.

A reader, or a run that is killed, never meets half of one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_model(path: Path, model: Any) -> None:
    """Saves a Keras model to `path`, whole or not at all."""
    with _moved_to(path) as temporary:
        model.save(temporary)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to `path`; whoever reads sees the old file or the new one, whole."""
    path.parent.mkdir(exist_ok=True)
    with _moved_to(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _moved_to(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to, and moves it there unless writing failed."""
    # The ending stays: Keras looks at it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
