"""Building a model as if it were the first."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import keras

Result = TypeVar("Result")


def in_new_session(function: Callable[[], Result]) -> Result:
    """Calls `function` in a state in which Keras has given no names yet.

    It runs in a new thread, because Keras keeps names and the like by thread.
    `keras.utils.clear_session` would also make TensorFlow forget the kernels of compiled functions,
    which costs 0.15 s per trial, and Keras the global dtype policy.
    """
    policy = keras.config.dtype_policy()

    def run() -> Result:
        keras.config.set_dtype_policy(policy)
        return function()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(run).result()
