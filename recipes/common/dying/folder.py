"""The folder of a run: the only file that knows its file names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.common.errors import DamagedRunError, InputError, RunError
from recipes.common.output_folder import check_folder, make_folder
from recipes.common.run_files import (
    read_edited_json,
    read_run_json,
    storage,
    write_run_file,
    write_run_json,
)
from recipes.common.tables import RowT, format_rows, read_rows

FORMAT = "keras_leaky dying_relu 3"  # in config.json; tells a run of this recipe from the others
_EARLIER_FORMATS = ("keras_leaky dying_relu 1", "keras_leaky dying_relu 2")
_AGAIN = "Run the recipe again."
_SUMS = "tables_sha256"  # in summary.json


class DyingFolder:
    """Writes one run, each file whole. Make one with `create`.

    A file that cannot be written is a `RunError`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sums: dict[str, str] = {}  # of the tables written so far

    @property
    def page(self) -> Path:
        return self.path / "report.html"

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any], overwrite: bool) -> "DyingFolder":
        """Makes the folder and puts config.json into it.

        Raises:
            InputError: The folder is not empty, is not ours to delete, or cannot be written.
        """
        check_output(path, overwrite)
        folder, content = cls(path.resolve()), {"format": FORMAT, **config}
        make_folder(
            folder.path, overwrite, lambda: write_run_json(folder.path / "config.json", content)
        )
        return folder

    @classmethod
    def open(cls, path: Path) -> "DyingFolder":
        """Opens a run that exists.

        Raises:
            InputError: It was made by an earlier version, or cannot be read.
        """
        if _read_format(path) in _EARLIER_FORMATS:
            raise InputError(
                f"{path} is a run of an earlier version, which this one cannot draw again."
            )
        return cls(path)

    def read_json(self, name: str) -> dict[str, Any]:
        return read_run_json(self.path / f"{name}.json", "the run did not get that far", _AGAIN)

    def read_table(self, name: str, cls: type[RowT]) -> list[RowT]:
        """Reads a table of a finished run: nothing where it had no rows.

        Raises:
            DamagedRunError: It is not as it was written.
        """
        path, expected = self.path / f"{name}.csv", self.read_json("summary")[_SUMS].get(name)
        if expected is None:
            return []
        if not path.is_file() or storage().checksum_of_file(path) != expected:
            raise DamagedRunError(path, "its SHA-256 is not the one in summary.json", _AGAIN)
        return read_rows(path, cls)

    def write_summary(self, content: Mapping[str, Any]) -> None:
        """Writes summary.json, which also tells damaged tables from whole ones."""
        self.write_json("summary", {**content, _SUMS: self._sums})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        with self._writing(f"{name}.json") as path:
            write_run_json(path, content)

    def write_table(self, name: str, rows: Sequence[Any]) -> None:
        """Writes rows of one dataclass as NAME.csv."""
        with self._writing(f"{name}.csv") as path:
            content = format_rows(rows, type(rows[0]))
            write_run_file(path, content)
        self._sums[name] = storage().checksum_of(content)

    def write_plots(self, plots: Mapping[str, bytes]) -> None:
        for name, png in plots.items():
            with self._writing(f"plots/{name}.png") as path:
                write_run_file(path, png)

    def write_page(self, html: str) -> None:
        with self._writing(self.page.name) as path:
            write_run_file(path, html.encode())

    @contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        # Not an InputError: the folder could be written when the run began.
        path = self.path / name
        try:
            yield path
        except OSError as error:
            raise RunError(f"{path} cannot be written: {error.strerror}") from error


def check_output(path: Path, overwrite: bool) -> None:
    """Refuses a folder that cannot be written, or that holds something.

    A run of this recipe is no hindrance if `overwrite` is given.

    Raises:
        InputError: Says which, and what to do.
    """
    ways_out = "Choose another, or replace a run by `--overwrite`."
    check_folder(path, overwrite, _may_be_deleted, ways_out)


def is_run(path: Path) -> bool:
    """Whether a folder says that it holds a run of this recipe."""
    return _read_format(path) in (FORMAT, *_EARLIER_FORMATS)


def _may_be_deleted(path: Path) -> bool:
    try:
        return _read_format(path) in _EARLIER_FORMATS or (
            DyingFolder(path).read_json("config").get("format") == FORMAT
        )
    except InputError:
        return False


def _read_format(path: Path) -> Any:
    """What config.json, damaged or not, says of its format."""
    try:
        return read_edited_json(path / "config.json", "there is no run", _AGAIN).get("format")
    except InputError:
        return None
