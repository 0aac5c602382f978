"""What has to hold in a worker process before it trains."""

import importlib.metadata
import os

import keras


def thread_settings(n_threads=1):
    """Environment variables for a process that trains with `n_threads` threads."""
    n = str(n_threads)
    settings = {"TF_NUM_INTRAOP_THREADS": n, "TF_NUM_INTEROP_THREADS": n, "OMP_NUM_THREADS": n}
    if keras.backend.backend() == "jax" and n_threads == 1:
        settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        settings["NPROC"] = "1"
    return settings


def worker_threads():
    """Threads of a worker: as this process is told for TensorFlow, 1 otherwise."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")) or 1


def worker_environment():
    """The environment variables of a worker process."""
    settings = {"KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "2"}
    return {**settings, **thread_settings(worker_threads())}


def packages():
    """The packages whose versions a result depends on."""
    return "keras_leaky", "keras", "numpy", keras.backend.backend()


def versions_of(_, names):
    """The versions of installed packages, None for those that are not there."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def make_get_ready():
    """A function for a worker that sets its environment and unpickles what all calls share.

    It refers to nothing of this package from outside: unpickling it would import Keras, whose
    backend it sets.

    Raises:
        RuntimeError: There, if the worker cannot be used.
    """
    wanted = worker_environment()

    def get_ready(content):
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
        # Here and not where Dask unpickles a task, in the thread that answers the scheduler.
        import keras_leaky.tuning  # noqa: F401

        return pickle.loads(content)

    return get_ready


def make_kill():
    """A function for the nanny of a worker, which kills it. The nanny then starts a new one."""

    def kill(dask_worker):
        import os
        import signal

        if dask_worker.pid:  # else it is starting a new one already
            os.kill(dask_worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has none

    return kill


def call_on_worker(work, *arguments):
    """What a worker runs. It returns bytes: what cannot be pickled is an error like any other."""
    import cloudpickle

    function, shared = work
    return cloudpickle.dumps(function(shared, *arguments))
