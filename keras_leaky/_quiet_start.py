"""Importing TensorFlow without its start-up notes."""

from collections.abc import Callable
from contextlib import AbstractContextManager


def make_start_quietly() -> Callable[[], None]:
    """A function that imports Keras and its backend, and drops TensorFlow's start-up notes.

    It refers to nothing of this package, so that it can be pickled by value: a worker that
    imported this package to find it would import TensorFlow first.
    """
    without_notes = make_without_notes()

    def start_quietly() -> None:
        import sys

        if "keras" in sys.modules:
            return
        with without_notes():
            import keras

            if keras.backend.backend() == "tensorflow":
                import tensorflow

                tensorflow.config.list_physical_devices()  # TensorFlow looks for GPUs only once

    return start_quietly


def make_without_notes() -> Callable[[], AbstractContextManager[None]]:
    """Holds back standard error, and then writes it without TensorFlow's start-up notes."""
    import contextlib

    # Start-up notes of TensorFlow 2.21 without a GPU. They are written before it has read
    # TF_CPP_MIN_LOG_LEVEL, or as errors, and by C++, which knows nothing of `sys.stderr`.
    notes = rb"""^WARNING:\ All\ log\ messages\ before\ absl::InitializeLog\(\)
        |^To\ enable\ the\ following\ instructions:
        |port\.cc:\d+\]\ oneDNN\ custom\ operations\ are\ on
        |cudart_stub\.cc:\d+\]\ Could\ not\ find\ cuda\ drivers
        |\.cc:\d+\]\ failed\ call\ to\ cuInit
        |cpu_feature_guard\.cc:\d+\]
        """

    @contextlib.contextmanager
    def without_notes():
        import os
        import re
        import sys
        import tempfile

        sys.stderr.flush()
        stderr = os.dup(2)
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(stderr, 2)
                os.close(stderr)
                held.seek(0)
                lines = held.read().splitlines(keepends=True)
                kept = [line for line in lines if not re.search(notes, line, re.VERBOSE)]
                os.write(2, b"".join(kept))

    return without_notes
