"""Searches in processes of their own, for faults to befall them."""

import contextlib
import functools
import io
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

from recipes.mnist import main

ROOT = Path(__file__).parents[2]
TINY = (
    *("--data=synthetic", "--model=mlp", "--precision=float32", "--train-limit=200"),
    *("--batch-size=50", "--epochs=3", "--seeds=2", "--seed=1", "--finalists=2"),
)
# TensorFlow's own, which it prints whatever it is told.
_NOISE = re.compile(r"(WARNING: All log messages before absl|[IWE]0000 ).*")
_SENTENCE = re.compile(r"error: [^\n]+")
_KEPT = re.compile(r"Finished trainings are kept\. Resume with:")
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
        """The one sentence that it printed about its end, None if it printed anything else.

        Warnings, such as of other damaged files, may stand before it.
        """
        lines = self.error.split("\n")
        first = next((i for i, line in enumerate(lines) if line.startswith("error: ")), 0)
        sentence, *rest = lines[first:]
        is_all = not rest or (len(rest) == 2 and _KEPT.match(rest[0]))
        is_one = is_all and not self.has_traceback and _SENTENCE.fullmatch(sentence)
        return sentence if is_one else None

    @property
    def way_on(self):
        """The arguments of the command that it printed to resume with, none if it printed none."""
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

    def has_begun_to_load_tensorflow(self):
        """Whether its libraries are in the process, long before the import is over."""
        return "/tensorflow/" in Path(f"/proc/{self.process.pid}/maps").read_text()

    def wait_for(self, condition, seconds=300, pause=0.02):
        """Waits until `condition()` holds or the process has ended; whether it holds."""
        end = time.monotonic() + seconds
        while not (holds := condition()) and self.is_running() and time.monotonic() < end:
            time.sleep(pause)
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
            code = main([*map(str, arguments)])
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
    has_run = (path / "study.json").exists()
    return resume(path) if has_run else (*flags, f"--output={path}")
