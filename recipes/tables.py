"""Compressed tables of raw numbers: written whole, and the same bytes for the same rows."""

import csv
import gzip
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from keras_leaky import storage


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Writes a .csv.gz. A value that a row lacks is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    storage.write_whole(path, gzip.compress(text.getvalue().encode(), mtime=0))


def read_rows(path: Path, texts: Collection[str]) -> list[dict[str, Any]]:
    """Rows of a .csv.gz, with numbers where there are any and None for an empty cell.

    Args:
        texts: Columns that stay as they are.
    """
    text = gzip.decompress(path.read_bytes()).decode()
    return [
        {key: cell if key in texts else _value(cell) for key, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]


def _value(cell: str) -> Any:
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell
