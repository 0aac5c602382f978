"""A process that kills itself at a given step of its writing."""

import os
import signal


def die_at_step(n, functions=("fsync", "replace")):
    """Kills this process before its n-th call of those functions of `os`.

    By default a step is a flush, or moving a file into place.
    """
    steps = 0

    def stepping(function):
        def step(*args, **kwargs):
            nonlocal steps
            steps += 1
            if steps == n:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return step

    for name in functions:
        setattr(os, name, stepping(getattr(os, name)))
