"""Searches in processes of their own, for faults to befall them, and what came out of them."""

import contextlib
import csv
import functools
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_leaky  # noqa: F401  # its initializer is in best.keras
from recipes.common.main import main
from recipes.common.run_folder import RunFolder
from recipes.common.search_options import MnistOptions

ROOT = Path(__file__).parents[1]
TINY = (
    *("--data=synthetic", "--model=mlp", "--precision=float32", "--train-limit=200"),
    *("--batch-size=50", "--epochs=3", "--activation=relu", "--seeds=2", "--seed=1"),
)
# TensorFlow's own, which it prints whatever it is told.
_NOISE = re.compile(r"(WARNING: All log messages before absl|[IWE]0000 ).*")
_SENTENCE = re.compile(r"error: [^\n]+")
_KEPT = re.compile(r"\d+ finished trials are kept\. Go on with:")
_WAY_ON = re.compile(r"^  python -m recipes\.mnist (.*)$", re.MULTILINE)


@dataclass
class Ended:
    """A process that has ended, or a call of `main` that has returned.

    Attributes:
        code: Its exit code; the number of the signal that killed it, as a negative number.
        output, error: What it printed, the error without the noise of TensorFlow.
        seconds: How long it took.
    """

    code: int
    output: str
    error: str
    seconds: float = field(default=0.0, compare=False)

    def __post_init__(self):
        lines = [line for line in self.error.splitlines() if not _NOISE.match(line)]
        self.error = "\n".join(lines).strip()

    @property
    def has_traceback(self):
        return "Traceback" in self.error + self.output

    @property
    def sentence(self):
        """The one sentence that it printed about its end, None if it printed anything else."""
        first, *rest = self.error.split("\n")
        is_all = not rest or (len(rest) == 2 and _KEPT.match(rest[0]))
        return first if is_all and _SENTENCE.fullmatch(first) else None

    @property
    def way_on(self):
        """The arguments of the command that it printed to go on with, none if it printed none."""
        found = _WAY_ON.search(self.error)
        return shlex.split(found.group(1)) if found else []

    @property
    def is_settled(self):
        """Whether it finished, or was refused with one sentence."""
        return self.code == 0 or (self.code == 2 and self.sentence is not None)


class Command:
    """A recipe that runs in a process of its own, as a user starts it.

    Args:
        *arguments: Of `python -m recipes.RECIPE`.
        folder: For its temporary files and for what it prints, which is not piped: the workers of
            a process that was killed would keep the pipe open.
        recipe: Another one than mnist.
        own_group: Put it in a process group of its own, as a shell does, for Ctrl-C.
    """

    def __init__(self, *arguments, folder, recipe="mnist", own_group=False, **environment):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self.temporary = self._folder / "tmp"
        self.temporary.mkdir()
        self._begin = time.monotonic()
        with self._open("output", "wb") as output, self._open("error", "wb") as error:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", f"recipes.{recipe}", *map(str, arguments)],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(self.temporary), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=error,
                process_group=0 if own_group else None,
                # The background jobs of a shell ignore Ctrl-C and hand that down to all they start.
                preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def seconds(self):
        return time.monotonic() - self._begin

    @property
    def output(self):
        return self._read("output")

    def is_running(self):
        return self.process.poll() is None

    def wait_for(self, condition, seconds=300):
        """Waits until `condition()` holds or the process has ended; whether it holds."""
        end = time.monotonic() + seconds
        while not (holds := condition()) and self.is_running() and time.monotonic() < end:
            time.sleep(0.02)
        return holds

    def end(self, seconds=600):
        """Waits for the end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
            return Ended(code, self.output, f"hung for {seconds} s\n{self._read('error')}")
        return Ended(code, self.output, self._read("error"), self.seconds)

    def _open(self, name, mode):
        return (self._folder / name).open(mode)

    def _read(self, name):
        return (self._folder / name).read_text(errors="replace")


def run_here(*arguments):
    """Runs the recipe in this process, whose TensorFlow is warm."""
    output, error, begin = io.StringIO(), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
        try:
            code = main(MnistOptions, "mnist", [*map(str, arguments)])
        except SystemExit as end:  # of tyro, about a wrong flag
            code = end.code if isinstance(end.code, int) else 1
        except Exception:
            traceback.print_exc()
            code = 1
    return Ended(code, output.getvalue(), error.getvalue(), time.monotonic() - begin)


def resume(path, *flags):
    """The command line that goes on with a run."""
    return ("--resume", f"--output={path}", *flags)


def go_on(path, *flags):
    """The command line that goes on with a run, or begins it if there is none yet."""
    has_run = (path / "config.json").exists()
    return resume(path) if has_run else (*flags, f"--output={path}")


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
    """What is not as it should be after a run was gone on with.

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
