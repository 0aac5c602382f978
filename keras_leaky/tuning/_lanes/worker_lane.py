"""One process of a worker of a Dask cluster, which takes one call at a time."""

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from keras_leaky.tuning._lanes.worker_setup import make_call, make_describe, make_get_ready

_SECONDS_TO_GET_READY = 600  # to import Keras, and to end what another client began


@dataclass
class Call:
    """One call of the function.

    Attributes:
        key: Name of the call for the caller.
        arguments: Pickled arguments of the function, after the shared one.
        lost: What happened to workers that did not finish the call, one sentence each.
    """

    key: Any
    arguments: bytes
    lost: list[str] = field(default_factory=list)


class Lane:
    """A worker process: getting ready, free, or busy with a call.

    Each outcome is put into `ended` as (lane, value, error). The value is the result of a call, in
    bytes, or the versions of its packages once the lane is ready. A thread waits for it, because a
    worker may never answer.

    Args:
        client: `distributed.Client`.
        address: Address of the worker.
        content: The function and the shared object, in bytes.
        ended: A queue.

    Attributes:
        is_ready: Whether it has got ready, busy or not.
        call: The current call; None if it is free.
    """

    def __init__(self, client: Any, address: str, content: bytes, ended: queue.SimpleQueue) -> None:
        self.address = address
        self.call: Call | None = None
        self._client, self._ended = client, ended
        self._work: Any = None  # Dask's future of the function and the shared object
        self._future: Any = None  # of the current work
        self.is_ready = False
        self._to_wait_for: queue.SimpleQueue = queue.SimpleQueue()
        Thread(target=self._wait, daemon=True).start()
        self._begin(lambda: self._get_ready(content))

    @property
    def is_free(self) -> bool:
        return self.is_ready and self.call is None and not self.has_died

    @property
    def is_late(self) -> bool:
        """Whether it has been getting ready for too long."""
        return not self.is_ready and self.seconds > _SECONDS_TO_GET_READY

    @property
    def seconds(self) -> float:
        """Seconds since the current work began."""
        return time.monotonic() - self._since

    @property
    def has_died(self) -> bool:
        """Whether the process has died; a new process may have its address, but not its memory."""
        return self.is_ready and self._work.status != "finished"

    def start(self, call: Call) -> None:
        """Makes it start a call."""
        self._future = self._submit(make_call(), self._work, call.arguments)
        self.call = call
        self._begin(self._future.result)

    def is_own(self, error: BaseException) -> bool:
        """Whether an error came from the worker's code, and not from its death."""
        has_run = self._future is not None and self._future.status == "error"
        return has_run and type(error).__name__ != "KilledWorker"

    def end(self) -> None:
        """Notes that the current work has ended."""
        self.is_ready = True
        self.call = self._future = None  # a result that is still referenced would be made again

    def cancel(self) -> None:
        """Releases the worker. A running call continues there nevertheless."""
        self._to_wait_for.put(None)
        if self._future is not None and self._client.status == "running":
            self._future.cancel(force=True)

    def _get_ready(self, content: bytes) -> Any:
        [sent] = self._client.scatter([content], workers=[self.address], hash=False)
        self._work = self._submit(make_get_ready(), sent)
        self._future = self._submit(make_describe(), self._work)
        return self._future.result()

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._client.submit(
            function, *arguments, workers=[self.address], pure=False, retries=0
        )

    def _begin(self, function: Callable[[], Any]) -> None:
        self._since = time.monotonic()
        self._to_wait_for.put(function)

    def _wait(self) -> None:
        for function in iter(self._to_wait_for.get, None):
            try:
                outcome = function(), None
            except BaseException as error:  # asyncio's CancelledError is no Exception
                outcome = None, error
            self._ended.put((self, *outcome))
