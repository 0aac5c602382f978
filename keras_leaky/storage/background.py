"""Writing in a thread, so that the caller need not wait for the disk."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_N_WAITING = 16  # waiting writes are in memory, weights too


class BackgroundWriter:
    """Calls functions that write, one after another, in the order in which they were given.

    After a failure, later functions are not called: their files may refer to a missing file. Use it
    as a context manager, which waits at its end.

    Example:

    >>> from keras_leaky.storage.background import BackgroundWriter
    >>> with BackgroundWriter() as writer:
    ...     writer.submit(print, "written")
    written
    """

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(_N_WAITING)
        self._executor = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None
        self._error: BaseException | None = None

    def submit(self, function: Callable[..., Any], *args: Any) -> None:
        """Queues a call `function(*args)`. Waits if many calls are queued already.

        Raises:
            BaseException: The exception of an earlier function.
        """
        self._raise()
        self._places.acquire()
        self._last = self._executor.submit(self._call, function, args)

    def flush(self) -> None:
        """Waits until all is written.

        Raises:
            BaseException: As for `submit`.
        """
        if self._last is not None:
            self._last.result()
        self._raise()

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            if self._error is None:
                function(*args)
        except BaseException as error:
            self._error = error
        finally:
            self._places.release()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def __enter__(self) -> "BackgroundWriter":
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._executor.shutdown()
        if error is None:
            self._raise()
