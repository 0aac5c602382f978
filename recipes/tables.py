"""Folders of raw numbers: compressed tables, and the settings that they were made with."""

import csv
import gzip
import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from keras_leaky import storage
from keras_leaky.study import InputError


def check_folder(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """Writes the settings of a new run to a file; refuses the folder of another run.

    Raises:
        InputError: The settings in the folder are others, or damaged.
    """
    try:
        before = storage.read_json(folder / name)
    except FileNotFoundError:
        storage.write_json(folder / name, settings, readable=True)
        return
    except storage.DamagedFileError as error:
        raise InputError(f"{error}. Start again in another folder.") from error
    if before != settings:
        raise InputError(
            "`--out` must be a new folder, or the folder of the same run. Received: "
            f"{folder}, made with {before}, but this run has {settings}"
        )


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


def table_head(*names: str) -> list[str]:
    """The first two lines of a table in Markdown: its columns, and the rule below them."""
    columns = "".join(f"| {name} " if name else "| " for name in names)
    return [f"{columns}|", "| --- " * len(names) + "|"]


def _value(cell: str) -> Any:
    try:
        return (int(cell) if cell.isdigit() else float(cell)) if cell else None
    except ValueError:
        return cell
