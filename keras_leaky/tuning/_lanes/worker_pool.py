"""Functions on the workers of a Dask cluster, even if workers are lost."""

import contextlib
import logging
import pickle
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from keras_leaky.tuning._lanes.worker_lane import Call, Lane
from keras_leaky.tuning._lanes.worker_outcome import Finished, SchedulerLostError, WorkerLostError
from keras_leaky.tuning._lanes.worker_setup import make_kill, packages, versions_of

_logger = logging.getLogger(__name__)
_SECONDS_BETWEEN_LOOKS = 0.5  # at which workers there are
_SECONDS_BEFORE_SAYING_SO = 60  # that no worker is ready
_SECONDS_TO_ANSWER = 30  # for the scheduler
_SECONDS_TO_KILL = 5
_MAX_DEATHS = 5  # of workers in a row during their start, before the pool stops


class WorkerPool:
    """Calls one function on the workers of a Dask cluster, one call at a time on each.

    If a worker dies, its call is repeated elsewhere. If a call runs past `timeout`, its worker is
    killed, so that its nanny starts a new one, and the call is repeated too. Workers may come and
    go. Dask's own retries are not used: they also blame a call that merely waits on a dying worker,
    and they are silent.

    In a worker that has not imported Keras yet, the backend of this process is set, and the number
    of threads of TensorFlow, on which the bits of a result depend: `TF_NUM_INTRAOP_THREADS` of this
    process, 1 by default. A worker with other settings gets no calls.

    Args:
        client: `distributed.Client`.
        function: Called as `function(shared, *arguments)`. Pickled, as what it returns.
        shared: Any object, such as the data. It is sent to each worker once, and unpickled there
            once. State kept in it is there for the next call on the same worker.
        retries: int >= 0. How often a call is repeated after its worker was lost.
        timeout: Seconds > 0 that a call may take, including the first call on a worker, which
            compiles. None: no limit.
        warn: Function of one sentence about lost or unusable workers. By default it logs a warning.

    Raises:
        ValueError: If `retries` or `timeout` is out of range.

    Example: see `keras_leaky.tuning.local_workers`.
    """

    def __init__(
        self,
        client: Any,
        function: Callable[..., Any],
        shared: Any = None,
        *,
        retries: int = 2,
        timeout: float | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> None:
        if isinstance(retries, bool) or not (isinstance(retries, int) and retries >= 0):
            raise ValueError(f"`retries` must be a whole number >= 0. Received: {retries=}")
        if timeout is not None and not timeout > 0:
            raise ValueError(f"`timeout` must be above 0 seconds, or None. Received: {timeout=}")
        self._client = client
        self._content = _dumps((function, shared))
        self._retries, self._timeout = retries, timeout
        self._warn = warn or _logger.warning
        self._lanes: dict[str, Lane] = {}  # by address of the worker
        self._refused: set[str] = set()  # addresses of workers that get no calls
        self._again: deque[Call] = deque()  # calls whose worker was lost
        self._ended: queue.SimpleQueue = queue.SimpleQueue()  # outcomes of the lanes
        self._finished: list[Finished] = []
        self._n_deaths = 0  # deaths in a row during a worker's start
        self._last_look = float("-inf")
        self._last_ready = time.monotonic()

    @property
    def n_lanes(self) -> int:
        """How many workers take calls now, or will soon."""
        return len(self._lanes)

    @property
    def running(self) -> dict[str, tuple[Any, float]]:
        """Key and seconds so far of every call that a worker is busy with, by worker."""
        lanes = self._lanes.values()
        return {lane.address: (lane.call.key, lane.seconds) for lane in lanes if lane.call}

    def has_room(self) -> bool:
        """Whether a worker is free for another call."""
        return len(self._free_lanes()) > len(self._again)

    def submit(self, key: Any, *arguments: Any) -> None:
        """Lets a worker call `function(shared, *arguments)`: a free one, or the next free one.

        Args:
            key: Anything that identifies the call.
            *arguments: Small objects: they are sent again with every call.
        """
        self._start(Call(key, _dumps(arguments)))

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """The calls that have ended since the last time.

        There may be none if a worker became free in another way, or `seconds` have passed.

        Raises:
            SchedulerLostError: If the scheduler cannot be reached, or no worker can be used.
        """
        end = float("inf") if seconds is None else time.monotonic() + seconds
        n_free = len(self._free_lanes()) if self.running else 0
        try:
            while not self._finished:
                while not self._ended.empty():
                    self._settle(*self._ended.get())
                if time.monotonic() - self._last_look >= _SECONDS_BETWEEN_LOOKS:
                    self._look()
                if len(self._free_lanes()) > n_free or time.monotonic() >= end:
                    break
                if not self._finished:
                    with contextlib.suppress(queue.Empty):
                        self._settle(*self._ended.get(timeout=_SECONDS_BETWEEN_LOOKS / 5))
        except SchedulerLostError:
            if not self._finished and self._ended.empty():  # else the next call raises it again
                raise
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """Releases everything. Busy workers are killed, so that new ones start."""
        busy = list(self.running)
        for lane in self._lanes.values():
            lane.cancel()
        self._lanes.clear()
        if busy and self._client.status == "running":
            self._kill(busy).join(_SECONDS_TO_KILL)

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _free_lanes(self) -> list[Lane]:
        return [lane for lane in self._lanes.values() if lane.is_free]

    def _start(self, call: Call) -> None:
        free = self._free_lanes()
        if not free:  # it has died since the caller asked
            self._again.append(call)
            return
        try:
            free[0].start(call)
        except Exception:
            if self._client.status == "running":
                raise
            self._again.append(call)  # the next look tells why

    def _start_again(self) -> None:
        while self._again and self._free_lanes() and self._client.status == "running":
            self._start(self._again.popleft())

    def _has(self, lane: Lane) -> bool:
        return self._lanes.get(lane.address) is lane

    def _settle(self, lane: Lane, value: Any, error: BaseException | None) -> None:
        """Handles the outcome of a lane."""
        if not self._has(lane):
            return  # it was dropped before
        if error is not None and not lane.is_own(error):
            self._look()  # the worker has gone, or the scheduler
            if self._has(lane):
                self._lose(lane, "was lost")
        elif lane.call is None:
            self._admit(lane, value, error)
        else:
            call = lane.call
            lane.end()
            if error is None:
                try:
                    value = pickle.loads(value)
                except Exception as caught:
                    value, error = None, caught
            self._finished.append(Finished(call.key, value, error, call.lost))
        self._start_again()

    def _admit(self, lane: Lane, versions: Any, error: BaseException | None) -> None:
        """Handles a worker that is ready, or never will be."""
        if error is not None:
            self._lanes.pop(lane.address).cancel()
            self._refused.add(lane.address)
            self._warn(f"The worker at {lane.address} gets no trials: {error}")
            return
        lane.end()
        self._n_deaths = 0
        ours = versions_of(packages())
        others = [f"{k} {versions[k]}, not {ours[k]}" for k in ours if versions[k] != ours[k]]
        if others:
            self._warn(
                f"The worker at {lane.address} has {', '.join(others)}: its results may differ in "
                "the last bits."
            )

    def _look(self) -> None:
        """Finds out which workers were lost, are new, or took too long."""
        alive = self._alive()
        self._last_look = now = time.monotonic()
        for lane in list(self._lanes.values()):
            if lane.address not in alive or lane.has_died:
                self._lose(lane, "was killed" if lane.is_ready else "was killed while it got ready")
            elif lane.is_late:
                self._replace(lane, "did not get ready")
            elif self._timeout and lane.call and lane.seconds > self._timeout:
                self._replace(lane, f"ran past the time limit of {self._timeout:g} s")
        for address in sorted(alive - set(self._lanes) - self._refused):
            self._lanes[address] = Lane(self._client, address, self._content, self._ended)
        if self.running or self._free_lanes():
            self._last_ready = now
        elif now - self._last_ready > _SECONDS_BEFORE_SAYING_SO:
            self._last_ready = now
            if alive and alive <= self._refused:
                raise SchedulerLostError(f"No worker at {_address(self._client)} can be used")
            self._warn(f"No worker is ready yet. Waiting at {_address(self._client)}.")
        self._start_again()

    def _alive(self) -> set[str]:
        """The addresses of all workers."""
        reason = "the connection was lost"
        if self._client.status == "running":
            try:
                return set(self._client.nthreads(callback_timeout=_SECONDS_TO_ANSWER))
            except Exception as error:
                is_lost = isinstance(error, (OSError, TimeoutError))
                if not is_lost and self._client.status == "running":
                    raise
                reason = str(error) or type(error).__name__
        raise SchedulerLostError(
            f"The Dask scheduler at {_address(self._client)} cannot be reached: {reason}"
        )

    def _lose(self, lane: Lane, how: str) -> None:
        """Drops a worker. Its call is repeated unless `retries` is used up."""
        del self._lanes[lane.address]
        lane.cancel()
        call = lane.call
        if call is None:
            if not lane.is_ready:
                self._take_note_of_death(lane, how)
            return
        call.lost.append(f"worker {lane.address} {how}")
        is_last = len(call.lost) > self._retries
        what_next = "the trial is not retried" if is_last else "the trial is retried"
        self._warn(f"Trial {call.key}: {call.lost[-1]}; {what_next}.")
        if is_last:
            error = WorkerLostError(f"{'; '.join(call.lost)} (`retries` is {self._retries})")
            self._finished.append(Finished(call.key, None, error, call.lost))
        else:
            self._again.append(call)

    def _take_note_of_death(self, lane: Lane, how: str) -> None:
        """Warns that a worker was lost while it got ready, and ends after too many."""
        self._n_deaths += 1
        where = f"The worker at {lane.address} {how}."
        text = f"{where} Check that it has enough memory."
        if self._n_deaths >= _MAX_DEATHS:
            raise SchedulerLostError(f"{self._n_deaths} workers in a row were lost. {text}")
        self._warn(text)

    def _replace(self, lane: Lane, why: str) -> None:
        """Drops and kills a worker that takes too long."""
        self._refused.add(lane.address)  # until it is gone
        self._lose(lane, why)
        self._kill([lane.address])

    def _kill(self, addresses: Sequence[str]) -> Thread:
        """Lets the nannies of workers kill and restart them; returns the thread that asks."""

        def kill() -> None:
            try:
                answers = self._client.run(make_kill(), workers=addresses, nanny=True)
            except Exception as error:  # one has gone by itself
                _logger.info("Killing %s: %r", addresses, error)
            else:
                if len(answers) < len(addresses):
                    self._warn(f"No nanny could restart the workers at {', '.join(addresses)}.")
                    return
            self._refused.difference_update(addresses)

        thread = Thread(target=kill, daemon=True)
        thread.start()
        return thread


def _dumps(thing: Any) -> bytes:
    import cloudpickle  # comes with Dask, which is not needed without workers

    return cloudpickle.dumps(thing)


def _address(client: Any) -> str:
    return client.scheduler.address if client.scheduler else "an unknown address"
