"""Worker processes on this machine."""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import spawn
from typing import Any

from keras_leaky.tuning._lanes.worker_setup import worker_environment

_NEVER = 10**9  # seconds
_NAME_OF_WORKERS = "Dask Worker process (from Nanny)"
_N_TRIES = 3
_LEAST_MEMORY = 1e9  # bytes; TensorFlow alone takes half of it
_MEMORY_FRACTION = 0.9  # of the machine's, for all workers; the rest is for this process


@contextlib.contextmanager
def local_workers(n_workers: int) -> Iterator[Any]:
    """A Dask client with `n_workers` processes on this machine, each with one thread.

    Two processes of one thread train more than one of two threads. They listen only on the loopback
    interface. A process that exceeds its share of the memory is killed and restarted, like a
    process that dies for another reason.

    The processes do not import the main module of this one, so a script needs no
    `if __name__ == "__main__":`. Functions and classes of the script travel with the work.

    Args:
        n_workers: int >= 1.

    Raises:
        ValueError: If `n_workers` is not a whole number >= 1, or too many for the memory.
        ImportError: If Dask is not installed: `pip install "keras_leaky[parallel]"`.

    Example:

    ```python
    with local_workers(4) as client:
        tuner.search(x, y, validation_split=0.2, epochs=2, client=client)
    ```
    """
    if isinstance(n_workers, bool) or not isinstance(n_workers, int) or n_workers < 1:
        raise ValueError(f"`n_workers` must be a whole number >= 1. Received: {n_workers=}")
    try:
        from dask import config
        from distributed import Client, LocalCluster
        from distributed.system import MEMORY_LIMIT
    except ImportError as error:
        raise ImportError('Workers need Dask: pip install "keras_leaky[parallel]"') from error
    memory_limit = int(MEMORY_LIMIT * _MEMORY_FRACTION / n_workers)
    if memory_limit < _LEAST_MEMORY:
        raise ValueError(
            f"`n_workers` must leave 1 GB of memory to each worker. Received: {n_workers=}, with "
            f"{MEMORY_LIMIT / 1e9:.1f} GB of memory"
        )
    settings = {
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        # Dask drops a worker for good if it has not come back after 15 s, even if it died again.
        "distributed.deploy.lost-worker-timeout": _NEVER,
        "logging.distributed": "critical",
        # Ctrl-C goes to all processes of a terminal, and is this one's business.
        "distributed.worker.preload": [
            "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
        ],
    }
    with _environment(worker_environment()), _without_main_module(), config.set(settings):
        start = functools.partial(
            LocalCluster,
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=memory_limit,
            silence_logs=logging.CRITICAL,
        )
        with _tried(start) as cluster, Client(cluster) as client:
            yield client


def _tried(start: Callable[[], Any]) -> Any:
    """Starts a cluster, again if a process dies during its start: nannies ignore that yet."""
    for _ in range(_N_TRIES - 1):
        with contextlib.suppress(RuntimeError):
            return start()
    return start()


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keeps Python from importing the main module of this process in the workers.

    It would run a script again that has no guard, and again in every worker that is replaced. A
    process that the script itself starts meanwhile is left alone.
    """
    prepare = spawn.get_preparation_data

    def prepare_without_main(name: str) -> dict[str, Any]:
        data = prepare(name)
        if name == _NAME_OF_WORKERS:
            data.pop("init_main_from_name", None)
            data.pop("init_main_from_path", None)
        return data

    spawn.get_preparation_data = prepare_without_main
    try:
        yield
    finally:
        spawn.get_preparation_data = prepare


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables for the processes that this one starts, and restores them.

    They must be set before a worker process imports TensorFlow. Dask's own setting
    `distributed.nanny.pre-spawn-environ` also sets them here, leaves them, and does not replace
    existing values.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
