"""Calls of an oracle that leave it usable when they fail."""

import functools
import sys
import threading

import keras_tuner

_METHODS = ("create_trial", "update_trial", "end_trial")


def release_after_errors(oracle):
    """Makes the methods of `oracle` give back its lock also when they raise.

    KerasTuner's `synchronized` does not: after an error, such as that of a full disk, every call
    from another thread would wait forever.
    """
    # The locks are in a private module, and there is no other way to reach them.
    module = sys.modules[keras_tuner.Oracle.__module__]

    def guard(method):
        @functools.wraps(method)
        def call(*args, **kwargs):
            thread = threading.current_thread().name
            was_held = module.THREADS[oracle] == thread
            try:
                return method(*args, **kwargs)
            except BaseException:
                if not was_held and module.THREADS[oracle] == thread:
                    module.THREADS[oracle] = None
                    module.LOCKS[oracle].release()
                raise

        return call

    for name in _METHODS:
        setattr(oracle, name, guard(getattr(oracle, name)))
