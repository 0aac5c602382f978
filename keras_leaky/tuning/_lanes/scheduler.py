"""One scheduler for all that is to be trained: trials of any number of searches, single trainings.

Sources have jobs, lanes do them: this process, or the workers of a cluster. A lane that the first
source has no job for gets one of the next, so that none waits at the end of a search.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from keras_leaky.tuning._lanes.worker_outcome import Finished
from keras_leaky.tuning._lanes.worker_pool import WorkerPool

_SECONDS_BETWEEN_QUESTIONS = 0.05  # to sources that may have a job soon


@dataclass(frozen=True)
class Job:
    """Something to train.

    Attributes:
        name: To know it by, and what people are told of it. No two jobs of a source have one.
        arguments: For `work` of its source, on a worker. Small: they are sent with every job.
    """

    name: Hashable
    arguments: tuple[Any, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return str(self.name)


class Source(Protocol):
    """Something that has jobs, such as a search.

    Attributes:
        work: What its jobs share. Each worker gets it once, and calls `work(*job.arguments)`: what
            that keeps in it, the next job on the same worker finds.
    """

    work: Any

    @property
    def is_done(self) -> bool:
        """Whether all its jobs have ended, and no other will come."""
        ...

    def next_job(self) -> Job | None:
        """The next job, None if there is none now."""
        ...

    def perform(self, job: Job) -> Any:
        """Does a job in this process."""
        ...

    def record(self, job: Job, finished: Finished) -> None:
        """Takes note of what has become of a job."""
        ...


class Lanes(Protocol):
    """What does jobs."""

    def has_room(self) -> bool: ...

    def start(self, source: Source, job: Job) -> None: ...

    def wait(self) -> list[tuple[Source, Job, Finished]]:
        """The jobs that have ended; there may be none. Called while some are running."""
        ...


class OwnLane:
    """This process, with all its threads: one job at a time, done in `wait`."""

    def __init__(self) -> None:
        self._todo: tuple[Source, Job] | None = None

    def has_room(self) -> bool:
        return self._todo is None

    def start(self, source: Source, job: Job) -> None:
        self._todo = source, job

    def wait(self) -> list[tuple[Source, Job, Finished]]:
        assert self._todo is not None
        (source, job), self._todo = self._todo, None
        value, error = None, None
        try:
            value = source.perform(job)
        except Exception as caught:
            error = caught
        return [(source, job, Finished(job, value, error, []))]


class WorkerLanes:
    """The workers of a Dask cluster, each with one job at a time."""

    def __init__(self, pool: WorkerPool, sources: Sequence[Source]) -> None:
        self._pool, self._sources = pool, sources

    def has_room(self) -> bool:
        return self._pool.has_room()

    def start(self, source: Source, job: Job) -> None:
        index = next(i for i, known in enumerate(self._sources) if known is source)
        self._pool.submit(_Key(index, job), index, job.arguments)

    def wait(self) -> list[tuple[Source, Job, Finished]]:
        ended = [(finished.key, finished) for finished in self._pool.wait()]
        return [(self._sources[key.source], key.job, finished) for key, finished in ended]


@dataclass(frozen=True)
class _Key:
    source: int
    job: Job

    def __str__(self) -> str:
        return str(self.job)


@contextmanager
def open_lanes(
    sources: Sequence[Source],
    client: Any = None,
    *,
    retries: int = 2,
    timeout: float | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Lanes]:
    """The workers of `client`, or without one this process.

    Args:
        sources: All that the lanes will do jobs of.
        client, retries, timeout, warn: As of `WorkerPool`.
    """
    if client is None:
        yield OwnLane()
        return
    works = [source.work for source in sources]
    with WorkerPool(client, _work, works, retries=retries, timeout=timeout, warn=warn) as pool:
        yield WorkerLanes(pool, sources)


def _work(works: list[Any], index: int, arguments: tuple[Any, ...]) -> Any:
    return works[index](*arguments)


def run_jobs(sources: Sequence[Source], lanes: Lanes) -> None:
    """Does the jobs of all sources; those of the first have precedence.

    Raises:
        SchedulerLostError: If workers were to do it, and the scheduler has gone away.
    """
    n_running = 0
    while True:
        while lanes.has_room():
            found = next(((s, job) for s in sources if (job := s.next_job())), None)
            if found is None:
                break
            lanes.start(*found)
            n_running += 1
        if n_running:
            for source, job, finished in lanes.wait():
                n_running -= 1
                source.record(job, finished)
        elif all(source.is_done for source in sources):
            return
        elif lanes.has_room():
            time.sleep(_SECONDS_BETWEEN_QUESTIONS)
        else:
            lanes.wait()  # for a worker
