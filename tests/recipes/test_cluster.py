"""Scheduler and workers as processes, with TLS, as docs/guides/cluster.md starts them."""

import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import distributed
import pytest
from distributed.security import Security

import keras_leaky
from recipes import mnist
from tests.recipes.tables import read_table
from tests.study.certificate_files import make_certificates, tls

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LOCAL = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0"]
# Epochs enough for a worker to be found busy.
SEARCH = [
    *("--data=synthetic", "--model=mlp", "--train-limit=200", "--batch-size=50", "--epochs=20"),
    *("--precision=float32", "--trials=6", "--finalists=1", "--seeds=2", "--seed=3"),
]


class Cluster:
    """Its workers have the pack and not this checkout; its scheduler has neither."""

    def __init__(self, certificates, folder):
        self.certificates, self.folder = certificates, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{self.port}"
        self.flags = [
            *("--scheduler", self.address),
            *("--tls-ca-file", str(certificates / "ca.pem")),
            *("--tls-cert", str(certificates / "client.pem")),
            *("--tls-key", str(certificates / "client-key.pem")),
        ]
        self._environments = {}
        for name in ("scheduler", "worker"):
            packages = folder / name
            packages.mkdir()
            (packages / "recipes.py").write_text("raise ImportError('there are no recipes')")
            if name == "worker":
                (packages / "keras_leaky").symlink_to(Path(keras_leaky.__file__).parent)
            else:
                (packages / "keras.py").write_text("raise ImportError('there is no Keras')")
            kept = {k: v for k, v in os.environ.items() if not k.startswith("TF_NUM")}
            self._environments[name] = {**kept, "PYTHONPATH": str(packages)}
        self._processes = []

    def start(self):
        scheduler = ["scheduler", "--protocol", "tls", "--port", str(self.port)]
        worker = ["worker", self.address, "--nworkers", "2", "--nthreads", "1"]
        self._processes = [
            self._start("scheduler", *scheduler),
            self._start("worker", *worker, "--local-directory", str(self.folder)),
        ]

    def _start(self, name, *arguments):
        files = tls(self.certificates, name)
        flags = [f"--{key.replace('_', '-')}={path}" for key, path in files.items()]
        with (self.folder / f"{name}.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, *LOCAL, *flags],
                cwd=self.folder,
                env=self._environments[name],
                stderr=log,
            )

    def kill_scheduler(self):
        self._processes[0].kill()

    def stop(self):
        for process in self._processes:
            process.kill()  # the processes of the workers end with that of their nannies
            process.wait()

    def client(self, name="client", **kwargs):
        files = tls(self.certificates, name)
        security = Security(
            tls_ca_file=str(files["tls_ca_file"]),
            tls_client_cert=str(files["tls_cert"]),
            tls_client_key=str(files["tls_key"]),
            require_encryption=True,
        )
        return distributed.Client(
            self.address, security=security, timeout=30, set_as_default=False, **kwargs
        )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def foreign_certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def cluster(certificates, tmp_path_factory):
    cluster = Cluster(certificates, tmp_path_factory.mktemp("cluster"))
    cluster.start()
    yield cluster
    cluster.stop()


def start_search(*flags):
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "recipes.mnist", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(folder):
    """Of trials.csv, without what may differ, and the reasons."""
    found = read_table(folder, "trials")
    return [{k: v for k, v in row.items() if k != "reason"} for row in found], [
        row["reason"] for row in found
    ]


def kill_a_busy_worker(client):
    """Kills one at the beginning of a call, and returns its address."""
    pids = client.run(os.getpid)
    seen = [keys for keys in client.processing().values() if keys]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for address, keys in client.processing().items():
            if keys and keys not in seen and keys[0].startswith("call-"):
                os.kill(pids[address], signal.SIGKILL)
                return address
    pytest.fail("no worker was busy")


@pytest.mark.soak
def test_a_search_goes_on_where_a_worker_is_cut_off(cluster, tmp_path):
    alone = start_search(*SEARCH, "--workers=1", "--output", str(tmp_path / "alone"))
    _, errors = alone.communicate(timeout=300)
    assert alone.returncode == 0, errors

    with cluster.client() as client:
        client.wait_for_workers(2)
        child = start_search(*SEARCH, *cluster.flags, "--output", str(tmp_path / "cluster"))
        lines = iter(child.stdout)
        assert any(line.startswith("[ 2/") for line in lines), child.stderr.read()
        address = kill_a_busy_worker(client)
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    assert f"worker {address} was killed; the trial is retried." in errors
    kept, reasons = rows(tmp_path / "cluster")
    assert kept == rows(tmp_path / "alone")[0]
    assert sorted(set(reasons)) == ["", f"worker {address} was killed"]
    assert (tmp_path / "cluster" / "report.html").exists()


def test_strangers_are_turned_away(
    cluster, foreign_certificates, certificates, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr("keras_leaky.study.scheduler._SECONDS_TO_CONNECT", 5)
    foreign = {**tls(foreign_certificates), "tls_ca_file": certificates / "ca.pem"}
    tries = {
        "another authority": [cluster.address, tls(foreign_certificates)],
        "a certificate of another": [cluster.address, foreign],
        "no TLS": [cluster.address.replace("tls", "tcp"), {}],
    }
    for name, (address, files) in tries.items():
        flags = [f"--{key.replace('_', '-')}={path}" for key, path in files.items()]
        flags += ["--scheduler", address, "--output", str(tmp_path / name)]
        assert mnist.main([*SEARCH, *flags]) == 2
        lines = capfd.readouterr().err.splitlines()
        [error] = [line for line in lines if line.startswith("error: ")]
        assert error.startswith(f"error: No Dask scheduler answers at {address}: ")
        assert not (tmp_path / name).exists()
    # Ours refuses to begin without a certificate, Dask's client too; so does the scheduler.
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", cluster.port)) as connection,
        context.wrap_socket(connection) as encrypted,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        encrypted.recv(1)
    with cluster.client() as client:
        assert client.scheduler_info()["address"] == cluster.address


@pytest.mark.soak
def test_a_search_on_a_cluster_whose_workers_have_no_recipes(cluster, tmp_path):
    assert mnist.main([*SEARCH, *cluster.flags, f"--output={tmp_path / 'run'}"]) == 0
    assert (tmp_path / "run" / "report.html").exists()
    assert len(rows(tmp_path / "run")[0]) == 12


def test_a_plain_address_elsewhere_is_refused_before_anything_is_done(tmp_path, capsys):
    flags = ["--scheduler", "tcp://192.0.2.1:8786"]  # which would not answer
    assert mnist.main([*SEARCH, *flags, f"--output={tmp_path / 'run'}"]) == 2
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().err.startswith("error: `--scheduler` must begin with tls:// unless")


@pytest.mark.soak
def test_a_search_whose_scheduler_is_killed_can_be_resumed(cluster, tmp_path):
    path = tmp_path / "run"
    child = start_search(*SEARCH, *cluster.flags, "--output", str(path))
    assert any(line.startswith("[ 3/") for line in child.stdout), child.stderr.read()
    cluster.kill_scheduler()
    start = time.monotonic()
    assert child.wait(60) == 1
    assert time.monotonic() - start < 30
    _, errors = child.communicate()
    error, n_kept, command = errors.splitlines()[-3:]
    assert error.startswith(f"error: The Dask scheduler at {cluster.address} cannot be reached: ")
    assert "Finished trainings are kept. Resume with:" in n_kept
    assert "Traceback" not in errors
    before = rows(path)[0]
    assert len(before) >= 3

    cluster.stop()
    cluster.start()
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" (kept)") == len(before)
    after = rows(path)[0]
    assert len(after) == 12
    assert all(row in after for row in before)
