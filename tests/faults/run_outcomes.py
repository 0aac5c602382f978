"""What came out of the studies that faults befell, and whether it is as it should be."""

import csv
import json
from collections import Counter
from typing import Any

import keras
import numpy as np

import keras_leaky.layers  # noqa: F401  # they are in best.keras
from keras_leaky.study import load

# What depends on the clock. A reason may name a worker that was killed.
_TIMES = {"seconds", "epoch_seconds", "reason"}


def results(path):
    """Everything that must be the same however a finished study came about, but for the times.

    Raises:
        InputError: The study is damaged.
        OSError: It is not finished.
    """
    outcome = load(path)
    tables = ("trials", "epochs", "retrainings", "dead_units")
    return {
        **{f"{name}.csv": read_table(path / f"{name}.csv") for name in tables},
        **{name: [_bare(row) for row in getattr(outcome, name)] for name in tables},
        "verdict": outcome.verdict,
        "summary.json": _without_times(json.loads((path / "summary.json").read_text())),
        "best.keras": _predict(outcome.best_model()),
        "report.html": (path / "report.html").exists(),
        "files": sorted(str(file.relative_to(path)) for file in _own_files(path)),
    }


def differences(path, expected):
    """What of the results of a study is not as expected: nothing, if all is well."""
    try:
        found = results(path)
    except Exception as error:
        return [f"it cannot be read: {error!r}"]
    return [name for name in expected if found[name] != expected[name]]


def differences_in_number(path, expected):
    """What differs where a study need not try the points of the other: how many there are."""
    try:
        found = results(path)
    except Exception as error:
        return [f"it cannot be read: {error!r}"]
    return [
        name
        for name in ("trials.csv", "epochs.csv", "retrainings.csv", "dead_units.csv")
        if _count(found[name]) != _count(expected[name])
    ]


def records(path):
    """What is known of every training that has ended, by the path of its record."""
    found = {}
    for file in path.glob("search/*/trial_*/trial.json"):
        content = json.loads(file.read_text())
        if content["status"] in ("COMPLETED", "FAILED"):
            found[file] = content["score"], content["keras_leaky"]["log"]
    for file in path.glob("retrainings/*/*.json"):
        content = json.loads(file.read_text())
        # The only copy of a model goes when a better one is written. Killed then, the study trains
        # it again.
        is_of_model = content["model_sha256"] is not None
        found[file] = _without_times(content["row"]) if is_of_model else content["row"]
    return found


def n_ended(path):
    """How many trainings have ended so far; the study may be running."""
    files = [*path.glob("search/*/trial_*/trial.json"), *path.glob("retrainings/*/*.json")]
    return sum('"RUNNING"' not in file.read_text() for file in files)


def after(path, known, expected):
    """The faults of a study that was resumed.

    Args:
        known: As of `records`, from before.
        expected: As of `results`.
    """
    return {
        "lost": lost(path, known),
        "wrong": differences(path, expected),
        "leftovers": leftovers(path),
    }


def lost(path, known):
    """The trainings of `known`, as of `records`, that were made again."""
    now = records(path)
    return [
        str(file.relative_to(path))
        for file, content in known.items()
        if now.get(file) != content
        and _without_times(now.get(file)) != content  # one that has no model any more
    ]


def make_row(name, codes, problems, wrong=()):
    """What became of one case."""
    return {"search": name, "codes": codes, "wrong": [*wrong], "problems": [*problems]}


def is_good(row):
    """Whether nothing was lost and nothing was wrong."""
    return not any(row.get(key) for key in ("lost", "wrong", "leftovers", "problems"))


def leftovers(path):
    """Half-written files."""
    return sorted(str(file.relative_to(path)) for file in path.rglob(".*.tmp"))


def read_table(path):
    """The rows of a table, without times and reasons."""
    with path.open(newline="") as file:
        return [_without_times(row) for row in csv.DictReader(file)]


def read_reasons(path):
    """Of all trials."""
    return [row.reason for row in load(path).trials]


def _count(rows):
    """How many rows each arm has."""
    return Counter((row["arm"], row.get("status"), row.get("stage")) for row in rows)


def _without_times(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _without_times(v) for k, v in content.items() if k not in _TIMES}
    return [*map(_without_times, content)] if isinstance(content, list) else content


def _own_files(path):
    files = (file for file in path.rglob("*") if file.is_file())
    return (file for file in files if ".damaged" not in str(file) and file.name != ".lock")


def _bare(row):
    return repr({k: _as_text(v) for k, v in vars(row).items() if k not in _TIMES})


def _as_text(value):
    return value.tobytes() if isinstance(value, np.ndarray) else value


def _predict(model):
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28), "uint8")
    return np.asarray(keras.ops.convert_to_numpy(model(images))).tobytes()
