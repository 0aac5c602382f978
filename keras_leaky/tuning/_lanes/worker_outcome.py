"""Outcomes of a call on a worker."""

from dataclasses import dataclass
from typing import Any


class WorkerLostError(RuntimeError):
    """A call was tried as often as allowed, and every worker was killed or ran out of time."""


class SchedulerLostError(RuntimeError):
    """The Dask scheduler cannot be reached any more, and the running calls are lost.

    Or the scheduler has no usable workers.
    """


@dataclass(frozen=True)
class Finished:
    """A call that has ended.

    Attributes:
        key: As given to `submit`.
        value: The function's result; None if there is an `error`.
        error: The function's exception, or a `WorkerLostError`, or None.
        lost: What happened to workers that did not finish the call, one sentence each.
    """

    key: Any
    value: Any
    error: BaseException | None
    lost: list[str]
