"""The folder of a run.

    config.json                                       the settings, the data and the machine
    born_dead.json collapse.json training_death.json  one part each, written when it is finished
    *.csv plots/ summary.json report.html             generated from these

The JSON files in the first two lines hold checksums. A resumed run keeps the parts that are whole.
"""

import contextlib
import csv
import dataclasses
import io
import json
import os
import shutil
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from keras_leaky import storage
from keras_leaky.study import InputError

FORMAT = "keras_leaky dying_relu 4"
_ANY_FORMAT = "keras_leaky dying_relu"
# Settings that must be equal for a run to be resumed.
_KEPT = ("quick", "data", "seed", "budget", "fixed", "data_sha256", "machine")

PartT = TypeVar("PartT")


def holds_run(path: Path) -> bool:
    """Whether a folder says that it holds a run of this recipe, of any version."""
    try:
        content = storage.read_unverified_json(path / "config.json")
    except (OSError, storage.DamagedFileError):
        return False
    return str(content.get("format")).startswith(_ANY_FORMAT)


def is_run(path: Path) -> bool:
    """Whether a folder has files of a run of this recipe, damaged or not."""
    return any((path / f"{name}.json").exists() for name in ("config", "born_dead"))


def check_output(path: Path, resume: bool, overwrite: bool) -> None:
    """Refuses a folder that cannot be written, or that holds something unexpected.

    Raises:
        InputError: Says what is wrong, and what to do.
    """
    received = f"Received: --output {path}"
    try:
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        if not nearest.is_dir():
            raise InputError(f"`--output` must be a folder. {received}, but {nearest} is a file.")
        is_free = nearest != path or storage.is_empty(path)
    except OSError as error:
        raise _cannot_be_written(path, error) from error
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _cannot_be_written(path, f"{nearest} is read-only")
    if is_free or resume or (overwrite and holds_run(path)):
        return
    if holds_run(path):
        ways_out = (
            "Resume it with `--resume`, replace it with `--overwrite`, or choose another folder."
        )
        raise InputError(
            f"`--output` must be a new or empty folder. {received}, which holds a run. {ways_out}"
        )
    raise InputError(
        f"`--output` must be a new or empty folder. {received}, which holds other files. Nothing "
        "was deleted: choose another folder."
    )


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Makes the folder, and keeps other processes out of it.

    Raises:
        InputError: Another run is in it, or it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(storage.folder_lock(path))
        except storage.FolderInUseError as error:
            raise InputError(f"`--output` must be free: {error}.") from error
        except (OSError, storage.DamagedFileError) as error:
            raise _cannot_be_written(path, error) from error
        yield


def start_run(path: Path, config: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
    """Writes config.json of a new run, or checks the one of a run that is resumed.

    Raises:
        InputError: The folder holds a run with other settings, which the message lists.
    """
    if not resume:
        if overwrite:
            _delete_run(path)
        storage.write_json(path / "config.json", {"format": FORMAT, **config}, readable=True)
        return
    stored, now = read_config(path), json.loads(json.dumps(config))
    changed = [
        f"{name}: {stored[name]} then, {now[name]} now"
        for name in _KEPT
        if stored[name] != now[name]
    ]
    if changed:
        raise InputError(
            f"`--resume` needs the settings, data and machine that {path} began with. Changed: "
            f"{'; '.join(changed)}. Restore them, or start a new run."
        )
    storage.remove_leftovers(path)


def _delete_run(path: Path) -> None:
    """Deletes a run, config.json last, so that after a kill the folder still says what it is."""
    shutil.rmtree(path / "plots", ignore_errors=True)
    for file in sorted(path.iterdir(), key=lambda file: file.name == "config.json"):
        if file.suffix in (".json", ".csv", ".html", ".damaged"):
            file.unlink()


def read_config(path: Path) -> dict[str, Any]:
    """Reads config.json.

    Raises:
        InputError: It is missing, damaged, or of an earlier version.
    """
    file = path / "config.json"
    try:
        form = str(storage.read_unverified_json(file).get("format"))
        if form.startswith("keras_leaky") and form != FORMAT:
            raise InputError(
                f"{path} is a run of an earlier version, which this version cannot read. Run the "
                "recipe again."
            )
        return storage.read_json(file)
    except storage.DamagedFileError as error:
        raise InputError(f"{error}. Run the recipe again.") from error
    except OSError as error:
        raise InputError(
            f"{path} holds no run: {file} cannot be read ({error.strerror})."
        ) from error


def write_part(path: Path, name: str, part: Any, seconds: float) -> None:
    """Writes NAME.json: a part whose fields are numbers, text and lists of rows."""
    storage.write_json(path / f"{name}.json", {"seconds": seconds, **dataclasses.asdict(part)})


def read_part(path: Path, name: str, cls: type[PartT]) -> tuple[PartT, float]:
    """Reads NAME.json.

    Returns:
        The part, and the seconds that it took.

    Raises:
        FileNotFoundError: The part is not finished.
        DamagedFileError: The file is not as it was written.
    """
    content = storage.read_json(path / f"{name}.json")
    values = {}
    for field, kind in typing.get_type_hints(cls).items():
        if typing.get_origin(kind) is list:
            (row,) = typing.get_args(kind)
            values[field] = [row(**each) for each in content[field]]
        elif field in content:
            values[field] = content[field]
    return cls(**values), content["seconds"]


def write_table(path: Path, name: str, rows: Sequence[Any]) -> None:
    """Writes rows of one dataclass as NAME.csv, or nothing without rows."""
    if not rows:
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(rows[0]))
    writer.writerows(dataclasses.astuple(row) for row in rows)  # None becomes an empty cell
    storage.write_whole(path / f"{name}.csv", text.getvalue().encode())


def _cannot_be_written(path: Path, reason: object) -> InputError:
    return InputError(
        f"`--output` must be a folder that can be written. Received: --output {path} ({reason})."
    )
