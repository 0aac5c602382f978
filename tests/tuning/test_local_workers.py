"""What worker processes of this machine may see, take and leave behind."""

import ipaddress
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed.system
import numpy as np
import psutil
import pytest

from keras_leaky.tuning import WorkerLostError, WorkerPool, local_workers
from tests.tuning.worker_calls import call, finish, pid
from tests.versions import has

pytestmark = pytest.mark.usefixtures("functions_travel")
ROOT = Path(__file__).parents[2]
DRIVER = """
import os, time
from keras_leaky.tuning import WorkerPool, local_workers

def hang(_):
    time.sleep(3600)

if __name__ == "__main__":
    with local_workers(2) as client, WorkerPool(client, hang) as pool:
        while not pool.has_room():
            pool.wait(0.1)
        pool.submit(0)
        print(*client.run(os.getpid).values(), flush=True)
        pool.wait()
"""


@pytest.mark.parametrize("n_workers", [0, -1, 1.0, "2", True, None])
def test_a_wrong_number_of_workers_is_refused(n_workers):
    message = f"`n_workers` must be a whole number >= 1. Received: n_workers={n_workers!r}"
    with pytest.raises(ValueError, match=message), local_workers(n_workers):
        pass


def test_more_workers_than_the_memory_is_enough_for_are_refused():
    with (
        pytest.raises(ValueError, match="must leave 1 GB of memory to each worker"),
        local_workers(10**6),
    ):
        pass


def test_dask_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = r'Workers need Dask: pip install "keras_leaky\[parallel\]"'
    with pytest.raises(ImportError, match=message), local_workers(1):
        pass


@pytest.mark.slow
def test_workers_are_alone_on_loopback_and_have_one_thread(monkeypatch):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")  # Dask alone would let it stand
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    before = [os.environ.get(name) for name in names]

    def compute(shared):
        import tensorflow as tf

        tf.random.normal((500, 500)) @ tf.random.normal((500, 500))
        threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
        return threads.count("tf_Compute"), dict(os.environ)

    with local_workers(1) as client:
        [done] = finish(WorkerPool(client, call), (compute,)).values()
        n_threads, environment = done.value
        me = psutil.Process()
        ports = [c for p in (me, *me.children(recursive=True)) for c in p.net_connections("inet")]
    listening = {c.laddr.ip for c in ports if c.status == psutil.CONN_LISTEN}
    assert listening
    assert all(ipaddress.ip_address(ip).is_loopback for ip in listening)
    assert [environment[name] for name in names] == ["1", "1", "1"]
    # Older ones name their threads otherwise.
    if has("tensorflow", "2.21") and Path("/proc/self/task").exists():
        assert n_threads == 1
    assert [os.environ.get(name) for name in names] == before


@pytest.mark.soak
@pytest.mark.slow
def test_a_call_that_takes_too_much_memory_is_given_up_and_the_others_go_on(monkeypatch):
    # Of which two workers get 1.1 GB each, and TensorFlow takes half of that.
    monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", 25 * 10**8)

    def take(shared):
        arrays = []
        while True:
            arrays.append(np.ones(10**7))  # 80 MB
            time.sleep(0.05)

    with local_workers(2) as client, WorkerPool(client, call, retries=1) as pool:
        done = finish(pool, (take,), (pid,), (pid,))
    assert isinstance(done[0].error, WorkerLostError)
    assert [text.endswith(" was killed") for text in done[0].lost] == [True, True]
    assert done[1].error is done[2].error is None


@pytest.mark.soak
@pytest.mark.slow
def test_no_process_is_left_where_the_driver_is_killed(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with driver:
        workers = {int(word) for word in driver.stdout.readline().split()}
        assert len(workers) == 2
        children = psutil.Process(driver.pid).children(recursive=True)
        assert workers <= {child.pid for child in children}
        driver.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


@pytest.mark.soak
def test_a_worker_that_dies_twice_comes_back_twice():
    """Also if it is gone 15 seconds after its first death, when Dask looks for it."""
    with local_workers(1) as client:
        for seconds in (14.6, 0):
            [process] = client.run(os.getpid).values()
            os.kill(process, signal.SIGKILL)
            time.sleep(seconds)
        time.sleep(5)
        client.wait_for_workers(1, timeout=60)
        assert [process] != list(client.run(os.getpid).values())
