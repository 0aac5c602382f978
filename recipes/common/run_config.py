"""config.json of a run: which run may be gone on with, shown, or deleted."""

import re
from pathlib import Path
from typing import Any

from recipes.common.errors import InputError
from recipes.common.output_folder import check_folder
from recipes.common.run_files import read_edited_json, read_run_json

CONFIG_NAME = "config.json"
FORMAT = "keras_leaky run 3"  # tells a run of ours from anybody's folder
_EARLIER_FORMATS = ("keras_leaky run 1", "keras_leaky run 2")
_ARM = re.compile(r"\w[\w.]*(/\w[\w.]*)*")  # it becomes a path below the run folder
_IF_ABSENT = "there is no run to read"


def read_config(path: Path) -> dict[str, Any]:
    """Reads the config.json of a run that is to be gone on with or shown.

    Raises:
        DamagedRunError: It is not as it was written.
        InputError: It is absent, or not that of a run of this version.
    """
    advice = "Start a new run; `--config` takes its settings from this file unless they are lost."
    config = read_edited_json(path, _IF_ABSENT, advice)
    if config.get("format") in _EARLIER_FORMATS:
        raise InputError(
            f"{path} is that of a run of an earlier version, which this one cannot read. Start a "
            "new run; `--config` takes its settings from this file."
        )
    if config.get("format") != FORMAT:
        raise _foreign(path, config)
    config = read_run_json(path, _IF_ABSENT, advice)
    parts = {"given": dict, "options": dict, "fingerprint": dict, "arms": list}
    has_parts = all(isinstance(config.get(part), kind) for part, kind in parts.items())
    if not has_parts or not all(_ARM.fullmatch(str(arm)) for arm in config["arms"]):
        raise _foreign(path, config)
    return config


def read_given(path: Path) -> dict[str, Any]:
    """The settings that a run was given. Its user may have edited them since.

    Raises:
        InputError: The file is absent, or not that of a run.
    """
    config = read_edited_json(path, _IF_ABSENT, "Choose another.")
    given = config.get("given")
    if config.get("format") not in (FORMAT, *_EARLIER_FORMATS) or not isinstance(given, dict):
        raise _foreign(path, config)
    return given


def check_recipe(path: Path, config: dict[str, Any], recipe: str) -> None:
    """Refuses to go on with the run of another recipe.

    Raises:
        InputError: Names that recipe.
    """
    if config.get("recipe", recipe) != recipe:
        raise InputError(
            f"`--resume` must be given to the recipe that made the run. Received: --output {path}, "
            f"a run of `python -m recipes.{config['recipe']}`."
        )


def check_output(path: Path, overwrite: bool) -> None:
    """Refuses a folder that cannot be written, or that holds something.

    A run is no hindrance if `overwrite` is given.

    Raises:
        InputError: Says which, and what to do.
    """
    ways_out = "Choose another, go on with that run by `--resume`, or replace it by `--overwrite`."
    check_folder(path, overwrite, _is_run, ways_out)


def _is_run(folder: Path) -> bool:
    path = folder / CONFIG_NAME
    try:
        is_earlier = read_edited_json(path, "", "").get("format") in _EARLIER_FORMATS
        return is_earlier or bool(read_config(path))
    except InputError:
        return False


def _foreign(path: Path, config: dict[str, Any]) -> InputError:
    if str(config.get("format")).startswith("keras_leaky dying_relu"):
        return InputError(
            f"{path} is that of a run of `python -m recipes.dying_relu`, which does not resume."
        )
    return InputError(f"{path} is not the config.json of a run of these recipes.")
