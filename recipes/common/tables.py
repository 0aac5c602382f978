"""Rows of a dataclass as CSV, read back exactly."""

import csv
import dataclasses
import io
import json
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from recipes.common.errors import InputError

RowT = TypeVar("RowT")


def format_rows(rows: Sequence[RowT], cls: type[RowT]) -> bytes:
    """Writes `rows` under the names of their fields; a list becomes JSON in its cell."""
    return format_header(cls) + format_lines(rows, cls)


def format_header(cls: type) -> bytes:
    """The first line of a table."""
    return ",".join(_columns(cls)).encode() + b"\n"


def format_lines(rows: Sequence[RowT], cls: type[RowT]) -> bytes:
    """The other lines."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = _columns(cls)
    for row in rows:  # None becomes an empty cell
        cells = [getattr(row, name) for name in names]
        writer.writerow([json.dumps(v) if isinstance(v, list) else v for v in cells])
    return text.getvalue().encode()


def read_rows(path: Path, cls: type[RowT]) -> list[RowT]:
    """Reads a file of what `format_rows` gave.

    Raises:
        InputError: The file is damaged or of another kind.
    """
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if reader.fieldnames != _columns(cls):
                raise ValueError(f"wrong header {reader.fieldnames}")
            return [_parse_row(cls, row) for row in reader]
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of a run: {error!r}") from error


def _columns(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _parse_row(cls: type[RowT], row: dict[str, str]) -> RowT:
    """Turns the cells of one row back into what was written; `repr` of a float reads back exact."""
    values: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(cls).items():
        if isinstance(kind, types.UnionType):
            kind = typing.get_args(kind)[0] if row[name] else lambda _: None
        elif kind is bool:
            kind = "True".__eq__
        elif typing.get_origin(kind) is list:
            kind = json.loads
        values[name] = kind(row[name])
    return cls(**values)
