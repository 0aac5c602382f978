"""What came out of the searches that faults befell, and whether it is as it should be."""

import csv
import json
from typing import Any

import keras
import numpy as np

import keras_leaky  # noqa: F401  # its initializer is in best.keras
from recipes.common.run_folder import RunFolder


def results(path):
    """Everything that must be the same however a finished run came about.

    Left out: seconds, and the reason of a trial, which may name a worker that was killed.

    Raises:
        InputError: The run is not finished, or damaged.
    """
    run = RunFolder.open(path, repair=False)
    summary = run.read_json("summary")
    del summary["seconds"]
    return {
        "trials": [_bare(row) for row in run.trials],
        "trials.csv": _columns(run.trials_file, "seconds", "reason"),
        "epochs.csv": (path / "epochs.csv").read_bytes(),
        "retrainings": [_bare(row) for row in run.retrainings],
        "retrainings.csv": _columns(path / "retrainings.csv", "seconds", "reason"),
        "dead_units.csv": (path / "dead_units.csv").read_bytes(),
        "summary": repr(summary),
        "best.keras": _predict(run.best_model),
        "model_row": _bare(run.model_row),
        "files": sorted(str(file.relative_to(path)) for file in _own_files(path)),
    }


def differences(path, expected):
    """What of the results of a run is not as expected: nothing, if all is well."""
    try:
        found = results(path)
    except Exception as error:
        return [f"it cannot be read: {error!r}"]
    return [name for name in expected if found[name] != expected[name]]


def records(path):
    """What is known of every finished trial and retraining, by the path of its record."""
    found = {}
    for pattern in ("search/**/trial.json", "retrainings/**/*.json"):
        for file in path.glob(pattern):
            found[file] = file.stat().st_mtime_ns if "search" in pattern else _row_of(file)
    return found


def after(path, known, expected):
    """The faults of a run that was resumed.

    Args:
        known: As of `records`, from before.
        expected: As of `results`.
    """
    now = records(path)
    return {
        "lost": [file.parent.name for file in known if now.get(file) != known[file]],
        "wrong": differences(path, expected),
        "leftovers": leftovers(path),
    }


def make_row(name, codes, problems, wrong=()):
    """What became of one case."""
    return {"search": name, "codes": codes, "wrong": [*wrong], "problems": [*problems]}


def is_good(row):
    """Whether nothing was lost and nothing was wrong."""
    return not any(row.get(key) for key in ("lost", "wrong", "leftovers", "problems"))


def leftovers(path):
    """Half-written files."""
    return sorted(str(file.relative_to(path)) for file in path.rglob(".*.tmp"))


def _row_of(file):
    """Less the sum of the model, which a later retraining may take away."""
    return json.loads(file.read_text())["row"]


def _own_files(path):
    files = (file for file in path.rglob("*") if file.is_file())
    return (file for file in files if ".damaged" not in str(file) and file.name != ".lock")


def _bare(row):
    return row and repr({k: v for k, v in vars(row).items() if k not in ("seconds", "reason")})


def _columns(path, *without):
    with path.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    return [{k: v for k, v in row.items() if k not in without} for row in rows]


def _predict(path):
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28), "uint8")
    model: Any = keras.saving.load_model(path, compile=False)
    return np.asarray(keras.ops.convert_to_numpy(model(images))).tobytes()
