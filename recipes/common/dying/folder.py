"""The folder of a run: the only file that knows its file names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recipes.common.atomic import write_atomically
from recipes.common.errors import InputError, RunError
from recipes.common.json_files import read_json, write_json
from recipes.common.output_folder import check_folder, make_folder
from recipes.common.tables import RowT, read_rows, write_rows

FORMAT = "keras_leaky dying_relu 1"  # in config.json; tells a run of this recipe from the others


class DyingFolder:
    """Writes one run, each file whole. Make one with `create`.

    A file that cannot be written is a `RunError`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

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
            folder.path, overwrite, lambda: write_json(folder.path / "config.json", content)
        )
        return folder

    def read_json(self, name: str) -> dict[str, Any]:
        return read_json(self.path / f"{name}.json", "the run did not get that far")

    def read_table(self, name: str, cls: type[RowT]) -> list[RowT]:
        return read_rows(self.path / f"{name}.csv", cls)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        with self._writing(f"{name}.json") as path:
            write_json(path, dict(content))

    def write_table(self, name: str, rows: Sequence[Any]) -> None:
        """Writes rows of one dataclass as NAME.csv."""
        with self._writing(f"{name}.csv") as path:
            write_rows(path, rows, type(rows[0]))

    def write_plots(self, plots: Mapping[str, bytes]) -> None:
        for name, png in plots.items():
            with self._writing(f"plots/{name}.png") as path:
                write_atomically(path, png)

    def write_page(self, html: str) -> None:
        with self._writing(self.page.name) as path:
            write_atomically(path, html.encode())

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
    check_folder(path, overwrite, is_run, "Choose another, or replace a run by `--overwrite`.")


def is_run(path: Path) -> bool:
    """Whether a folder holds a run of this recipe."""
    try:
        config = read_json(path / "config.json", "there is no run")
    except InputError:
        return False
    return config.get("format") == FORMAT
