"""What must be set before a test module imports Keras, and what the modules leave behind."""

import gc
import os
import signal

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Threads of NumPy's and SciPy's products wait by spinning, on cores that other tests need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A shell's background jobs ignore Ctrl-C and hand that down to all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def leave_alone_what_stays():
    """What a module leaves for good, such as compiled programs, is not looked through again.

    `keras.utils.clear_session` collects garbage, which took a third of the time of all tests.
    """
    yield
    gc.collect()
    gc.freeze()
