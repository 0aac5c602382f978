"""The two errors that become one sentence on the command line; every other keeps its traceback."""


class InputError(Exception):
    """What the user asked for cannot be done (exit code 2). The message says what to do."""


class RunError(Exception):
    """The run itself failed (exit code 1)."""


class NoTrialCompletedError(RunError):
    """Every trial of an arm failed."""
