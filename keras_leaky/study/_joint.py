"""Several nets: a study each, one scheduler, one page across them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_leaky import storage
from keras_leaky.study._progress import make_console
from keras_leaky.study._running import print_outcome, run_together
from keras_leaky.study.errors import InputError
from keras_leaky.study.loading import load
from keras_leaky.study.outcome import Outcome
from keras_leaky.study.report import write_joint_report
from keras_leaky.study.study import Study

_FILE = "nets.json"


def run_studies(
    studies: Mapping[str, Study],
    x: Any,
    y: Any = None,
    *,
    directory: str | os.PathLike[str],
    title: str = "",
    verbose: int = 1,
    **kwargs: Any,
) -> dict[str, Outcome]:
    """Runs the studies of several nets on the same data, and draws one page across them.

    All trials and retrainings share the same workers. Corrections for the number of arms are made
    within a net.

    Args:
        studies: Studies by the name of their net. The directory of each must lie directly in
            `directory`.
        x: As for `Study.run`.
        y: As for `Study.run`.
        directory: Folder of the page, report.html.
        title: Title of the page.
        verbose: 1 for a progress display and the verdicts, 0 for silence.
        **kwargs: As for `Study.run`.

    Returns:
        The `Outcome` of each net, by name.

    Raises:
        InputError, StudyFailedError: As from `Study.run`.
    """
    if not studies:
        raise InputError("`studies` must hold at least one study. Received: none")
    folder = Path(os.path.expanduser(directory))
    places = {name: study.directory for name, study in studies.items()}
    for name, place in places.items():
        if place.resolve().parent != folder.resolve():
            raise InputError(
                f"`studies` must have their directories in {folder}. Received: {place} for {name!r}"
            )
    outcomes = run_together(studies, x, y, verbose=verbose, **kwargs)
    content = {"title": title, "nets": {name: place.name for name, place in places.items()}}
    storage.write_json(folder / _FILE, content, readable=True)
    page = write_joint_report(outcomes, folder, title)
    if verbose:
        for outcome in outcomes.values():
            print_outcome(outcome)
        make_console(1).print(f"Page: {page.resolve()}", markup=False)
    return outcomes


def load_all(directory: str | os.PathLike[str]) -> tuple[str, dict[str, Outcome]]:
    """Title and outcomes of what `run_studies` ran, from its folder.

    Raises:
        InputError: If the folder holds no such run.
    """
    folder = Path(os.path.expanduser(directory))
    try:
        content = storage.read_json(folder / _FILE)
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} holds no studies of several nets: there is no {_FILE}."
        ) from error
    except storage.DamagedFileError as error:
        raise InputError(f"{error}. Run the studies again to regenerate it.") from error
    return content["title"], {name: load(folder / place) for name, place in content["nets"].items()}
