"""One scheduler for all trainings: trials of any number of searches, and single trainings.

Sources have jobs, lanes do them: this process, or the workers of a cluster. If the first source has
no job for a lane, the next source gives one, so that no lane waits at the end of a search.
"""

import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from keras_leaky.tuning._lanes.worker_outcome import Finished
from keras_leaky.tuning._lanes.worker_pool import WorkerPool

_SECONDS_BETWEEN_QUESTIONS = 0.05  # to sources that may have a job soon


@dataclass(frozen=True, eq=False)
class Job:
    """Something to train.

    Attributes:
        name: Name of the job for its source and for people.
        arguments: For `work` of its source, on a worker. Small: they are sent with every job.
    """

    name: Hashable
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return str(self.name)


class Source(Protocol):
    """Something that has jobs, such as a search.

    Attributes:
        work: The object that its jobs share. Each worker gets it once and calls
            `work(*job.arguments)`. State kept in it is there for the next job on the same worker.
    """

    work: Any

    @property
    def is_done(self) -> bool:
        """Whether all its jobs have ended, and no more will come."""
        ...

    def next_job(self) -> Job | None:
        """The next job; None if there is none now."""
        ...

    def perform(self, job: Job) -> Any:
        """Does a job in this process."""
        ...

    def record(self, job: Job, finished: Finished) -> None:
        """Records the outcome of a job."""
        ...


class Lanes(Protocol):
    """A group of lanes, which do jobs."""

    def has_room(self) -> bool: ...

    def start(self, source: Source, job: Job) -> None: ...

    def wait(self) -> list[Finished]:
        """The jobs that have ended, each the `key` of its outcome. There may be none."""
        ...


class OwnLane:
    """This process, with all its threads: one job at a time, done in `wait`."""

    def __init__(self) -> None:
        self._todo: tuple[Source, Job] | None = None

    def has_room(self) -> bool:
        return self._todo is None

    def start(self, source: Source, job: Job) -> None:
        self._todo = source, job

    def wait(self) -> list[Finished]:
        assert self._todo is not None
        (source, job), self._todo = self._todo, None
        try:
            return [Finished(job, source.perform(job), None, [])]
        except Exception as error:
            return [Finished(job, None, error, [])]


class WorkerLanes:
    """The workers of a Dask cluster, each with one job at a time."""

    def __init__(self, pool: WorkerPool, sources: Sequence[Source]) -> None:
        self._pool, self._sources = pool, sources

    def has_room(self) -> bool:
        return self._pool.has_room()

    def start(self, source: Source, job: Job) -> None:
        self._pool.submit(job, self._sources.index(source), job.arguments)

    @property
    def running(self) -> Any:
        """Job and seconds so far of every worker that is busy."""
        return self._pool.running

    def wait(self) -> list[Finished]:
        return self._pool.wait()


@contextmanager
def open_lanes(
    sources: Sequence[Source],
    client: Any = None,
    *,
    retries: int = 2,
    timeout: float | None = None,
) -> Iterator[Lanes]:
    """The workers of `client`, or this process if there is no client.

    Args:
        sources: All sources whose jobs the lanes will do.
        client, retries, timeout: As for `WorkerPool`.
    """
    if client is None:
        yield OwnLane()
        return
    works = [source.work for source in sources]
    with WorkerPool(client, _work, works, retries=retries, timeout=timeout) as pool:
        yield WorkerLanes(pool, sources)


def _work(works: list[Any], index: int, arguments: tuple[Any, ...]) -> Any:
    return works[index](*arguments)


def run_jobs(sources: Sequence[Source], lanes: Lanes) -> None:
    """Does the jobs of all sources. The jobs of the first source have precedence.

    Raises:
        SchedulerLostError: If there are workers, and the connection to the scheduler is lost.
    """
    running: dict[Job, Source] = {}
    while True:
        while lanes.has_room():
            found = next(((s, job) for s in sources if (job := s.next_job())), None)
            if found is None:
                break
            source, job = found
            running[job] = source
            lanes.start(source, job)
        if not running and all(source.is_done for source in sources):
            return
        if not running and lanes.has_room():
            time.sleep(_SECONDS_BETWEEN_QUESTIONS)
            continue
        for finished in lanes.wait():  # or for a worker
            running.pop(finished.key).record(finished.key, finished)
