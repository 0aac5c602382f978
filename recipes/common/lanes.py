"""Where jobs run: in this process, or on the workers of a Dask cluster."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from keras_leaky.tuning import SchedulerLostError, WorkerLostError, WorkerPool, local_workers
from recipes import common
from recipes.common.errors import InputError, RunError
from recipes.common.options import RunOptions
from recipes.common.progress import Progress
from recipes.common.scheduler import connect
from recipes.common.work import Job, Workplace, perform


class Source(Protocol):
    """Something that has jobs, such as the search of an arm."""

    is_done: bool

    def next_job(self) -> Job | None: ...

    def finish(self, job: Job, outcome: dict[str, Any], lost: list[str]) -> None: ...

    def save(self) -> None:
        """Writes down what has changed, once for all jobs that began or ended together."""
        ...


class Lanes(Protocol):
    """What runs jobs."""

    def has_room(self) -> bool: ...

    def start(self, job: Job) -> None: ...

    def wait(self) -> list[tuple[Job, dict[str, Any], list[str]]]: ...


class OwnLane:
    """This process, with all its threads: one job at a time."""

    def __init__(self, place: Workplace, progress: Progress) -> None:
        self._place, self._progress = place, progress
        self._job: Job | None = None

    def has_room(self) -> bool:
        return self._job is None

    def start(self, job: Job) -> None:
        self._job = job
        self._progress.started(job)

    def wait(self) -> list[tuple[Job, dict[str, Any], list[str]]]:
        job, self._job = self._job, None
        if job is None:
            return []
        return [(job, perform(self._place, vars(job), self._progress.epoch_done), [])]


class WorkerLanes:
    """The workers of a Dask cluster, each with one job at a time."""

    def __init__(self, pool: WorkerPool, progress: Progress) -> None:
        self._pool, self._progress = pool, progress
        self._error: Exception | None = None

    def has_room(self) -> bool:
        return self._pool.has_room()

    def start(self, job: Job) -> None:
        self._progress.begin()
        self._pool.submit(job, vars(job))

    def wait(self) -> list[tuple[Job, dict[str, Any], list[str]]]:
        if self._error is not None:
            raise self._error
        try:
            finished = self._pool.wait(seconds=1)
        except SchedulerLostError as error:
            raise RunError(f"{error}. What had finished is kept.") from error
        running: Any = self._pool.running  # its keys are our jobs
        self._progress.show_lanes(running, self._pool.n_lanes)
        found = []
        for done in finished:
            try:
                found.append((done.key, self._outcome(done), done.lost))
            except Exception as error:
                self._error = error  # raised once the others are recorded
        if self._error is not None and not found:
            raise self._error
        return found

    def _outcome(self, done: Any) -> dict[str, Any]:
        if done.error is None:
            return done.value
        if not isinstance(done.error, WorkerLostError):
            raise done.error  # a bug: with the traceback of the worker
        if done.key.phase == "retrain":
            raise RunError(f"A {done.key} was given up: {done.error}.")
        failure = f"given up after {len(done.lost)} tries"
        return {"failure": failure, "is_out_of_memory": False, "epochs": [], "seconds": 0.0}


@contextmanager
def open_lanes(options: RunOptions, place: Workplace, progress: Progress) -> Iterator[Lanes]:
    """The lanes that `--workers` or `--scheduler` ask for; without either, this process.

    Raises:
        InputError: The scheduler cannot be reached, or must not be.
    """
    if not (options.workers or options.scheduler):
        yield OwnLane(place, progress)
        return
    import cloudpickle

    cloudpickle.register_pickle_by_value(common)  # workers need not have this checkout
    client = connect(options) if options.scheduler else _local(options.workers)
    try:
        with (
            client as connected,
            WorkerPool(
                connected,
                perform,
                place,
                retries=options.retries,
                timeout=options.trial_timeout,
                warn=progress.warn,
            ) as pool,
        ):
            yield WorkerLanes(pool, progress)
    finally:
        cloudpickle.unregister_pickle_by_value(common)


@contextmanager
def _local(n_workers: int) -> Iterator[Any]:
    with ExitStack() as stack:
        try:
            client = stack.enter_context(local_workers(n_workers))
        except ValueError as error:  # too many for the memory
            raise InputError(f"`--workers` cannot be {n_workers}: {error}.") from error
        yield client


def run_jobs(sources: Sequence[Source], lanes: Lanes) -> None:
    """Runs the jobs of all sources; those of the first have precedence.

    Raises:
        RunError: As of the sources, or the scheduler has gone away.
    """
    by_job: dict[Job, Source] = {}
    while True:
        while lanes.has_room():
            found = next(((s, job) for s in sources if (job := s.next_job())), None)
            if found is None:
                break
            source, job = found
            by_job[job] = source
            lanes.start(job)
        if not by_job and all(source.is_done for source in sources):
            return
        if not by_job and lanes.has_room():
            raise RuntimeError("Nothing runs, nothing is proposed, and not everything is done.")
        _save(sources)
        finished = lanes.wait()
        try:
            for job, outcome, lost in finished:
                by_job.pop(job).finish(job, outcome, lost)
        finally:
            _save(sources)


def _save(sources: Sequence[Source]) -> None:
    for source in sources:
        source.save()
