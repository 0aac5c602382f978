"""What becomes of a call on a worker."""

from dataclasses import dataclass
from typing import Any


class WorkerLostError(RuntimeError):
    """A call was tried as often as allowed, and every worker was killed or ran out of time."""


class SchedulerLostError(RuntimeError):
    """The Dask scheduler has gone away, and with it what the workers were doing.

    Or it has no workers that can be used.
    """


@dataclass(frozen=True)
class Finished:
    """A call that has ended.

    Attributes:
        key: As given to `submit`.
        value: What the function returned, None if there is an `error`.
        error: What the function raised, or a `WorkerLostError`, or None.
        lost: What became of workers that did not bring it to an end, one sentence each.
    """

    key: Any
    value: Any
    error: BaseException | None
    lost: list[str]
