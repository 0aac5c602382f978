"""Importing TensorFlow without its start-up notes."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from keras_leaky import import_parts

# Start-up notes of TensorFlow 2.21 without a GPU. They are written before it has read
# TF_CPP_MIN_LOG_LEVEL, or as errors, and by C++, which knows nothing of `sys.stderr`.
_NOTES = re.compile(
    rb"""^WARNING:\ All\ log\ messages\ before\ absl::InitializeLog\(\)
    |^To\ enable\ the\ following\ instructions:
    |port\.cc:\d+\]\ oneDNN\ custom\ operations\ are\ on
    |cudart_stub\.cc:\d+\]\ Could\ not\ find\ cuda\ drivers
    |\.cc:\d+\]\ failed\ call\ to\ cuInit
    |cpu_feature_guard\.cc:\d+\]
    """,
    re.VERBOSE,
)


def start_quietly() -> None:
    """Imports Keras, its backend and the parts of this package that a script would import.

    TensorFlow also looks for GPUs here, which it does only once.
    """
    if "keras" not in sys.modules:
        with _without_notes():
            import keras

            if keras.backend.backend() == "tensorflow":
                import tensorflow

                tensorflow.config.list_physical_devices()
    import_parts()


@contextmanager
def _without_notes() -> Iterator[None]:
    """Holds back standard error, and then writes it without the start-up notes."""
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
            os.write(2, b"".join(line for line in lines if not _NOTES.search(line)))
