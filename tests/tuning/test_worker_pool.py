"""Calls on worker processes that are killed, stopped, and slow."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

import distributed
import numpy as np
import pytest

from keras_leaky.tuning import SchedulerLostError, WorkerLostError, WorkerPool
from tests.tuning.worker_calls import call, finish, pid

pytestmark = [
    pytest.mark.slow,  # a worker takes seconds to import Keras
    pytest.mark.usefixtures("functions_travel"),
]


@pytest.fixture
def make_pool(client):
    """Makes pools that call a function of the test, and collect what they warn of."""
    pools = []

    def make(shared=None, client=client, **kwargs):
        warnings = []
        pools.append(WorkerPool(client, call, shared, warn=warnings.append, **kwargs))
        return pools[-1], warnings

    yield make
    for pool in pools:
        pool.close()


@contextlib.contextmanager
def start_processes(*flags):
    """A client of a scheduler, and one worker if there are flags for it, as processes."""
    local = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
    dask = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen(
            [*dask, "scheduler", *local, "--port", "0"], stderr=subprocess.PIPE, text=True
        )
    ]
    with processes[0] as scheduler:
        line = next(line for line in scheduler.stderr if "Scheduler at:" in line)
        address = line.split()[-1]
        # What is not read of its log must not stop it.
        threading.Thread(target=scheduler.stderr.read, daemon=True).start()
        if flags:
            command = [*dask, "worker", address, *local, "--nthreads", "1", *flags]
            processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        try:
            with distributed.Client(address, set_as_default=False, timeout=30) as client:
                yield client, scheduler
        finally:
            for process in processes:
                process.kill()
                process.wait()


def wait_for_lanes(pool, n):
    deadline = time.monotonic() + 120
    while len(pool._free_lanes()) < n:
        assert time.monotonic() < deadline
        pool.wait(0.2)
        time.sleep(0.05)


def start_new_worker(client, address=None):
    """Kills a worker and returns the address of the one that takes its place."""
    client.wait_for_workers(2)
    before = set(client.nthreads())
    os.kill(client.run(os.getpid)[address or min(before)], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(new := set(client.nthreads()) - before) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return new.pop()


def send_signal(shared, number, flag=None):
    """Sends this process a signal, if there is a flag only the first time."""
    if flag is None or not os.path.exists(flag):
        if flag is not None:
            open(flag, "w").close()
        os.kill(os.getpid(), number)
    return "done"


def test_calls_return_values_and_workers_keep_what_is_shared(make_pool):
    def count(shared, x):
        shared["n"] = shared.get("n", 0) + 1
        return os.getpid(), shared["n"], shared["factor"] * x

    pool, warnings = make_pool({"factor": 10})
    finished = finish(pool, *[(count, x) for x in range(6)])
    values = [finished[i].value for i in range(6)]
    assert [x for _, _, x in values] == [0, 10, 20, 30, 40, 50]
    n_by_pid = {}
    for p, n, _ in values:
        n_by_pid.setdefault(p, []).append(n)
    assert os.getpid() not in n_by_pid
    assert all(sorted(ns) == list(range(1, len(ns) + 1)) for ns in n_by_pid.values())
    assert all(done.error is None and done.lost == [] for done in finished.values())
    assert warnings == []
    assert pool.wait() == []  # idle


def test_a_call_waits_where_no_worker_is_free_yet(make_pool):
    pool, _ = make_pool()
    pool.submit(0, pid)
    while not (finished := pool.wait()):
        pass
    assert [done.key for done in finished] == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"retries": -1}, "`retries` must be a whole number >= 0. Received: retries=-1"),
        ({"retries": True}, "Received: retries=True"),
        ({"retries": 1.0}, "Received: retries=1.0"),
        ({"timeout": 0}, "`timeout` must be above 0 seconds, or None. Received: timeout=0"),
        ({"timeout": float("nan")}, "Received: timeout=nan"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WorkerPool(None, print, **arguments)


def test_an_exception_comes_back_with_the_traceback_of_the_worker(make_pool):
    def fail(shared):
        raise OSError("as if a file were missing")

    pool, warnings = make_pool()
    done = finish(pool, (fail,), (pid,))
    assert isinstance(done[0].error, OSError)
    assert str(done[0].error) == "as if a file were missing"
    assert "in fail" in "".join(traceback.format_tb(done[0].error.__traceback__))
    assert done[0].value is None
    assert done[1].error is None
    assert warnings == []


def test_what_cannot_be_pickled_is_an_error_of_its_call(make_pool):
    pool, _ = make_pool()
    done = finish(pool, (lambda _: threading.Lock(),), (pid,))
    assert "cannot pickle" in str(done[0].error)
    assert done[1].error is None
    with pytest.raises(TypeError, match="cannot pickle"):
        pool.submit(2, pid, threading.Lock())
    assert finish(pool, (pid,))[0].error is None
    with pytest.raises(TypeError, match="cannot pickle"):
        make_pool(threading.Lock())


def test_results_of_many_megabytes(make_pool):
    data = np.arange(10_000_000)
    pool, _ = make_pool(data)
    done = finish(pool, *[(lambda shared, x: shared * x, x) for x in range(3)])
    for x in range(3):
        np.testing.assert_array_equal(done[x].value, data * x)


def test_a_call_whose_worker_is_killed_is_made_again(make_pool, tmp_path):
    pool, warnings = make_pool()
    flag = str(tmp_path / "flag")
    done = finish(pool, (send_signal, signal.SIGKILL, flag), (pid,), (pid,))
    assert done[0].value == "done"
    [lost] = done[0].lost
    assert lost.startswith("worker tcp://127.0.0.1:")
    assert lost.endswith(" was killed")
    assert warnings == [f"Trial 0: {lost}; the trial is retried."]
    assert done[1].lost == done[2].lost == []


@pytest.mark.parametrize("retries", [0, pytest.param(1, marks=pytest.mark.soak)])
def test_a_call_that_kills_every_worker_is_given_up(make_pool, retries):
    pool, warnings = make_pool(retries=retries)
    done = finish(pool, (send_signal, signal.SIGKILL), (pid,), (pid,))
    assert isinstance(done[0].error, WorkerLostError)
    assert len(done[0].lost) == retries + 1
    assert str(done[0].error) == "; ".join(done[0].lost) + f" (`retries` is {retries})"
    assert warnings[-1].endswith("the trial is not retried.")
    assert done[1].error is done[2].error is None


@pytest.mark.soak
@pytest.mark.parametrize("how", ["sleeps", "is stopped"])
def test_a_worker_that_hangs_is_replaced(make_pool, tmp_path, how):
    def sleep(shared, flag):
        if not os.path.exists(flag):
            open(flag, "w").close()
            time.sleep(3600)
        return "done"

    flag = str(tmp_path / "flag")
    stuck = (sleep, flag) if how == "sleeps" else (send_signal, signal.SIGSTOP, flag)
    pool, warnings = make_pool(timeout=3)
    wait_for_lanes(pool, 2)
    before = set(pool._lanes)
    done = finish(pool, stuck, (pid,))
    assert done[0].value == "done"
    assert done[0].lost == [done[0].lost[0]]
    assert done[0].lost[0].endswith(" ran past the time limit of 3 s")
    wait_for_lanes(pool, 2)  # another one has come
    assert len(before & set(pool._lanes)) == 1
    assert len(warnings) == 1


@pytest.mark.soak
def test_all_workers_killed_at_once(make_pool, client):
    """The data are gone with them."""
    pool, _ = make_pool({"factor": 3})
    wait_for_lanes(pool, 2)
    pids = client.run(os.getpid).values()
    timer = threading.Timer(0.5, lambda: [os.kill(p, signal.SIGKILL) for p in pids])
    timer.start()

    def slow(shared, x):
        time.sleep(1)
        return shared["factor"] * x

    done = finish(pool, (slow, 1), (slow, 2), (slow, 3))
    timer.join()
    assert [done[i].value for i in range(3)] == [3, 6, 9]
    assert [len(done[i].lost) for i in range(3)] == [1, 1, 0]


@pytest.mark.soak
def test_a_worker_that_is_killed_while_it_gets_ready_costs_nothing(make_pool, client):
    pool, warnings = make_pool(np.zeros(10_000_000))
    pids = list(client.run(os.getpid).values())
    pool.wait(0)  # sends them the data
    for p in pids:
        os.kill(p, signal.SIGKILL)
    done = finish(pool, (pid,), (pid,))
    assert done[0].lost == done[1].lost == []
    assert all(" was killed while it got ready" in text for text in warnings)
    assert not {done[0].value, done[1].value} & set(pids)


@pytest.mark.soak
def test_closing_stops_what_runs_and_leaves_the_workers_to_the_next(make_pool, tmp_path):
    def write(shared, path):
        while True:
            with open(path, "a") as file:
                file.write(".")
            time.sleep(0.05)

    path = tmp_path / "written"
    pool, _ = make_pool()
    wait_for_lanes(pool, 2)
    pool.submit(0, write, str(path))
    while not path.exists():
        pool.wait(0.05)
    pool.close()
    size, deadline = -1, time.monotonic() + 20
    while size != (size := path.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert finish(make_pool()[0], (pid,), (pid,), (pid,))[2].error is None
    assert path.stat().st_size == size


@pytest.mark.soak
def test_a_worker_that_comes_late_is_used(make_pool, client):
    client.cluster.scale(0)
    while client.nthreads():
        time.sleep(0.1)
    pool, warnings = make_pool()
    start = time.monotonic()
    assert pool.wait(1.2) == []
    assert time.monotonic() - start > 1
    assert (pool.n_lanes, pool.has_room()) == (0, False)
    client.cluster.scale(2)
    finish(pool, (pid,))
    wait_for_lanes(pool, 2)
    assert warnings == []


@pytest.mark.soak
@pytest.mark.parametrize("variable", ["KERAS_BACKEND", "TF_NUM_INTRAOP_THREADS"])
def test_a_worker_with_other_settings_gets_no_calls(make_pool, client, variable):
    def import_keras_otherwise(variable):
        import keras  # noqa: F401

        os.environ[variable] = "other"

    address = start_new_worker(client)
    client.run(import_keras_otherwise, variable, workers=[address])
    pool, warnings = make_pool()
    wait_for_lanes(pool, 1)
    while not warnings:
        pool.wait(0.2)
        time.sleep(0.1)
    done = finish(pool, *[(pid,)] * 3)
    assert len({end.value for end in done.values()}) == 1
    assert pool.n_lanes == 1
    [warning] = warnings
    assert warning.startswith(
        f"The worker at {address} gets no trials: it has imported Keras with {variable} other, and "
    )
    start_new_worker(client, address)
    wait_for_lanes(pool, 2)


@pytest.mark.soak
def test_a_worker_that_cannot_unpickle_what_is_shared_gets_no_calls(make_pool, monkeypatch):
    monkeypatch.setattr("keras_leaky.tuning._lanes.worker_pool._SECONDS_BEFORE_SAYING_SO", 10)

    class Missing:
        def __reduce__(self):
            return __import__, ("no_such_module",)

    pool, warnings = make_pool(Missing())
    for _ in range(600):
        pool.wait(0.1)
        time.sleep(0.1)
        if len(warnings) == 2:
            break
    assert pool.n_lanes == 0
    assert all("gets no trials: No module named 'no_such_module'" in text for text in warnings)
    with pytest.raises(
        SchedulerLostError, match=r"No worker at tcp://127\.0\.0\.1:\d+ can be used"
    ):
        pool.wait()


@pytest.mark.soak
def test_workers_that_die_again_and_again_before_they_are_ready_end_it(make_pool):
    class Deadly:
        def __reduce__(self):
            return eval, (f"__import__('os').kill(__import__('os').getpid(), {signal.SIGKILL:d})",)

    pool, warnings = make_pool(Deadly())
    with pytest.raises(SchedulerLostError, match="5 workers in a row were lost"):
        pool.wait(120)
    assert len(warnings) == 4
    assert all("Check that it has enough memory." in text for text in warnings)


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_scheduler_that_is_gone_is_said_soon(make_pool, number, monkeypatch):
    monkeypatch.setattr("keras_leaky.tuning._lanes.worker_pool._SECONDS_TO_ANSWER", 3)
    with start_processes() as (client, scheduler):
        pool, _ = make_pool(client=client)
        assert pool.wait(0.1) == []
        scheduler.send_signal(number)
        start = time.monotonic()
        with pytest.raises(SchedulerLostError, match=r"at tcp://127.0.0.1:\d+ cannot be"):
            pool.wait()
        assert time.monotonic() - start < 10
        with pytest.raises(SchedulerLostError):  # and stays so
            pool.wait()
        scheduler.kill()


@pytest.mark.soak
def test_a_new_process_at_the_address_of_one_that_died_starts_from_nothing(make_pool, tmp_path):
    """A worker with a fixed port, whose nanny restarts it within the time between two looks."""

    def threads(shared):
        time.sleep(1)
        return os.getpid(), os.environ["TF_NUM_INTRAOP_THREADS"], shared

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with start_processes("--worker-port", port) as (client, _):
        client.wait_for_workers(1)
        [first] = client.run(os.getpid).values()
        pool, warnings = make_pool("data", client=client)
        wait_for_lanes(pool, 1)
        threading.Timer(0.5, os.kill, (first, signal.SIGKILL)).start()
        [done] = finish(pool, (threads,)).values()
        second, *rest = done.value
        assert second != first
        assert rest == ["1", "data"]
        assert done.lost == [f"worker tcp://127.0.0.1:{port} was killed"]
        os.kill(second, signal.SIGKILL)  # while it is free, which costs no call a try
        while pool.has_room():
            pool.wait(0.1)
        [done] = finish(pool, (threads,)).values()
        assert (done.lost, len(warnings)) == ([], 1)
        pool.close()


@pytest.mark.soak
def test_no_call_is_lost_or_ends_twice_whatever_is_killed(make_pool, client):
    n_calls, is_over = 60, threading.Event()

    def work(shared, x):
        time.sleep(0.2)
        return x * shared

    pool, _ = make_pool(7, retries=1000)
    wait_for_lanes(pool, 2)
    n_killed = 0

    def kill():
        nonlocal n_killed
        chance = random.Random(0)
        while not is_over.wait(chance.uniform(0.2, 4)):
            pids = client.run(os.getpid, on_error="ignore")
            # A pool gives up where workers die again and again before they have got ready.
            now = client.processing().items()
            busy = [pids[a] for a, keys in now if a in pids and "call" in str(keys)]
            for p in busy[: chance.choice([1, 1, 2])]:
                os.kill(p, signal.SIGKILL)
                n_killed += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        done = finish(pool, *[(work, x) for x in range(n_calls)])
    finally:
        is_over.set()
        killer.join()
    assert [done[x].value for x in range(n_calls)] == [7 * x for x in range(n_calls)]
    assert 0 < sum(len(end.lost) for end in done.values()) <= n_killed
