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
        key: What the caller knows it by.
        arguments: Of the function, after what is shared, pickled.
        lost: What became of workers that did not bring it to an end, one sentence each.
    """

    key: Any
    arguments: bytes
    lost: list[str] = field(default_factory=list)


class Lane:
    """A worker process: getting ready, free, or busy with a call.

    Whatever it comes to is put into `ended`, as (lane, value, error): what a call returned, in
    bytes, or the versions of its packages once it is ready. A thread waits for it, as a worker may
    never answer.

    Args:
        client: `distributed.Client`.
        address: Of the worker.
        content: The function and what is shared, in bytes.
        ended: A queue.

    Attributes:
        is_ready: Whether it has got ready, busy or not.
        call: What it is busy with, None if it is not.
    """

    def __init__(self, client: Any, address: str, content: bytes, ended: queue.SimpleQueue) -> None:
        self.address = address
        self.call: Call | None = None
        self._client, self._ended = client, ended
        self._work: Any = None  # Dask's future of the function and what is shared, unpickled there
        self._future: Any = None  # of what it is doing
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
        """Since it began what it is doing."""
        return time.monotonic() - self._since

    @property
    def has_died(self) -> bool:
        """Whether it has; a new process may have its address, but not what was in it."""
        return self.is_ready and self._work.status != "finished"

    def start(self, call: Call) -> None:
        """Has it make a call."""
        self._future = self._submit(make_call(), self._work, call.arguments)
        self.call = call
        self._begin(self._future.result)

    def is_own(self, error: BaseException) -> bool:
        """Whether an error came up in what the worker ran, and not from its death."""
        has_run = self._future is not None and self._future.status == "error"
        return has_run and type(error).__name__ != "KilledWorker"

    def end(self) -> None:
        """Takes note that what it was doing has ended."""
        self.is_ready = True
        self.call = self._future = None  # a result that is still referenced would be made again

    def cancel(self) -> None:
        """Lets go of the worker. A call that is running goes on there all the same."""
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
