"""The errors that become one sentence on the command line; every other keeps its traceback."""

from pathlib import Path


class InputError(Exception):
    """What the user asked for cannot be done (exit code 2). The message says what to do."""


class DamagedRunError(InputError):
    """A file of a run is not as it was written.

    Attributes:
        path: Its path.
        problem: What is wrong with it.
    """

    def __init__(self, path: Path, problem: str, advice: str) -> None:
        super().__init__(f"{path} is damaged: {problem}. {advice}")
        self.path, self.problem = path, problem


class RunError(Exception):
    """The run itself failed (exit code 1)."""


class DiskFullError(RunError):
    """There is no room for a file of the run."""


class NoTrialCompletedError(RunError):
    """Every trial of an arm failed."""
