"""Damaged files, refused or set aside: nobody reads them again, and nothing of them is lost."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from keras_leaky import storage
from recipes.common.errors import DamagedRunError
from recipes.common.run_files import read_run_json

RESUME = "Resume the run, which makes it again."

RecordT = TypeVar("RecordT")


class Damage:
    """Finds what is damaged in a folder.

    Args:
        repair: Set it aside. Else it is refused, and nothing is changed.

    Attributes:
        notes: A sentence about each file that was set aside.
    """

    def __init__(self, folder: Path, repair: bool = True) -> None:
        self._folder, self._repair = folder, repair
        self.notes: list[str] = []

    def found(self, error: DamagedRunError, what_now: str) -> None:
        """Sets a damaged file aside, if there is one, and notes it.

        Args:
            what_now: How the run goes on, as the end of a sentence.

        Raises:
            DamagedRunError: It is refused.
        """
        if not self._repair:
            raise error
        name = error.path.relative_to(self._folder)
        kept = ""
        if _exists(error.path):
            kept = f" It is kept as {storage.set_aside(error.path).name}."
        self.notes.append(f"{name} is damaged: {error.problem}.{kept} {what_now}")

    def read(
        self, path: Path, what_now: str, is_own: Callable[[dict[str, Any]], bool] = bool
    ) -> dict[str, Any] | None:
        """Reads a JSON file. None if there is none, or if it was damaged.

        Args:
            is_own: Whether a content belongs into this file: another may have been copied here.

        Raises:
            DamagedRunError: As of `found`.
            InputError: It cannot be read.
        """
        if not _exists(path):
            return None
        try:
            if not path.exists():
                raise DamagedRunError(path, "it is a link to nothing", RESUME)
            content = read_run_json(path, "it was there just now", RESUME)
            if is_own(content):
                return content
            raise DamagedRunError(path, "it is the content of another file", RESUME)
        except DamagedRunError as error:
            self.found(error, what_now)
        return None

    def read_records(
        self,
        paths: Iterable[Path],
        parse: Callable[[dict[str, Any]], RecordT],
        place: Callable[[RecordT], Path],
        what_now: str,
    ) -> dict[Path, RecordT]:
        """Reads those records that are whole.

        Args:
            parse: Makes a record of the content of a file, or raises a ValueError.
            place: The path that a record belongs at.

        Raises:
            DamagedRunError: As of `found`.
            InputError: One of them cannot be read.
        """
        records = {}
        for path in sorted(paths):
            content = self.read(path, what_now)
            if content is None:
                continue
            try:
                record = parse(content)
                if place(record) != path:
                    raise ValueError(f"it belongs at {place(record).relative_to(self._folder)}")
            except (ValueError, OverflowError) as error:
                self.found(DamagedRunError(path, str(error), RESUME), what_now)
            else:
                records[path] = record
        return records

    def check_table(self, path: Path, content: bytes) -> None:
        """Looks for lines of a table that none of the records gives.

        That lines are missing is what a process that was killed leaves behind.

        Args:
            content: What the file should be.

        Raises:
            DamagedRunError: As of `found`.
        """
        if not path.is_file():
            return
        found = path.read_bytes()
        header = content.partition(b"\n")[0] + b"\n"
        known = set(content.split(b"\n"))
        if not found.startswith(header) or not found.endswith(b"\n"):
            problem = "it lacks its beginning or its end"
        elif not known.issuperset(found.split(b"\n")):
            problem = "it holds rows of which there is no record"
        else:
            return
        self.found(DamagedRunError(path, problem, RESUME), "It is written anew.")

    def clear_folder(self, path: Path) -> None:
        """Sets aside what stands where a folder should be."""
        if _exists(path) and not path.is_dir():
            self.found(DamagedRunError(path, "it is no folder", RESUME), "It is made again.")

    def clear_file(self, path: Path) -> None:
        """Sets aside a folder that stands where a file should be."""
        if path.is_dir():
            self.found(DamagedRunError(path, "it is a folder", RESUME), "It is written anew.")


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
