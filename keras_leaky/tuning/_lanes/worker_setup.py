"""The setup of a worker process before it trains."""

import functools
import importlib.metadata
import os
from collections.abc import Callable
from typing import Any

import keras

from keras_leaky._quiet_start import make_start_quietly


def thread_settings(n_threads: int = 1) -> dict[str, str]:
    """Environment variables for a process that trains with `n_threads` threads."""
    n = str(n_threads)
    settings = {"TF_NUM_INTRAOP_THREADS": n, "TF_NUM_INTEROP_THREADS": n, "OMP_NUM_THREADS": n}
    if keras.backend.backend() == "jax" and n_threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        settings["NPROC"] = "1"
    return settings


def worker_threads() -> int:
    """Threads of a worker: this process's setting for TensorFlow, else 1."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")) or 1


def worker_environment() -> dict[str, str]:
    """The environment variables of a worker process."""
    settings = {"KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "2"}
    return {**settings, **thread_settings(worker_threads())}


def packages() -> tuple[str, ...]:
    """The packages whose versions a result depends on."""
    return "keras_leaky", "keras", "numpy", keras.backend.backend()


@functools.cache
def versions_of(names: tuple[str, ...]) -> dict[str, str | None]:
    """The versions of packages; None for a package that is not installed."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


# What follows makes functions that are pickled by value, and refer to nothing of this package from
# outside. A Dask scheduler unpickles everything that it passes on: it would import Keras to find
# them, or not find them. A worker has to have its environment set before it imports Keras.


def make_get_ready() -> Callable[[bytes], Any]:
    """For a worker: sets its environment and unpickles what all calls share.

    Raises:
        RuntimeError: There, if the worker cannot be used.
    """
    wanted = worker_environment()
    start_quietly = make_start_quietly()

    def get_ready(content: bytes) -> Any:
        import os
        import pickle
        import sys

        for name, value in wanted.items():
            found = os.environ.get(name, "not set")
            if "keras" not in sys.modules:
                os.environ[name] = value
            elif name.startswith(("KERAS", "TF_NUM")) and found != value:
                raise RuntimeError(
                    f"it has imported Keras with {name} {found}, and {value} is wanted."
                )
        start_quietly()
        return pickle.loads(content)

    return get_ready


def make_describe() -> Callable[[Any], dict[str, str | None]]:
    """For a worker that is ready: the versions of its packages."""
    names = packages()

    def describe(work: Any) -> dict[str, str | None]:
        from keras_leaky.tuning._lanes.worker_setup import versions_of

        return versions_of(names)

    return describe


def make_call() -> Callable[[Any, bytes], bytes]:
    """For a worker: calls the function. Arguments and result are bytes.

    A result that cannot be pickled is then an error like any other.
    """

    def call(work: Any, arguments: bytes) -> bytes:
        import pickle

        import cloudpickle

        function, shared = work
        return cloudpickle.dumps(function(shared, *pickle.loads(arguments)))

    return call


def make_kill() -> Callable[[Any], None]:
    """For the nanny of a worker: kills it. The nanny then starts a new one."""

    def kill(dask_worker: Any) -> None:
        import os
        import signal

        if dask_worker.pid:  # else it is starting a new one already
            os.kill(dask_worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has none

    return kill
