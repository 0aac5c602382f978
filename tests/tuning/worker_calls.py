"""Calls of functions of a test on the workers of a `WorkerPool`."""

import os
import time


def call(shared, function, *arguments):
    return function(shared, *arguments)


def finish(pool, *calls):
    """Makes calls, keyed by their number, and returns them by key once they have ended."""
    calls, finished = list(enumerate(calls)), {}
    n_calls, deadline = len(calls), time.monotonic() + 240
    while len(finished) < n_calls:
        assert time.monotonic() < deadline, (finished, pool.running)
        while calls and pool.has_room():
            key, arguments = calls.pop(0)
            pool.submit(key, *arguments)
        for done in pool.wait(1):
            assert done.key not in finished, "a call ended twice"
            finished[done.key] = done
    return finished


def pid(shared):
    return os.getpid()
