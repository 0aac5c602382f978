"""Which schedulers a search connects to, and with what."""

import socket
import subprocess
from pathlib import Path

import dask
import pytest

from keras_leaky.study.errors import InputError
from keras_leaky.study.flags import StudyFlags
from keras_leaky.study.scheduler import check_scheduler, connect
from tests.study.certificate_files import make_certificates, tls

ROOT = Path(__file__).parents[2]
PLAIN = r"`--scheduler` must begin with tls:// unless it is on this machine: over {} anybody"


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786"]
)
def test_a_plain_address_is_for_this_machine(address):
    check_scheduler(StudyFlags(scheduler=address))


@pytest.mark.parametrize("address", ["tcp://192.0.2.1:8786", "192.0.2.1:8786", "tcp://0.0.0.0:1"])
def test_a_plain_address_elsewhere_is_refused_unless_it_is_asked_for(address):
    with pytest.raises(InputError, match=PLAIN.format(address)):
        check_scheduler(StudyFlags(scheduler=address))
    check_scheduler(StudyFlags(scheduler=address, insecure=True))


def test_a_name_that_nobody_knows_is_not_this_machine():
    address = "tcp://no-such-host.invalid:8786"
    with pytest.raises(InputError, match=PLAIN.format(address)):
        check_scheduler(StudyFlags(scheduler=address))


@pytest.mark.parametrize(
    "address",
    ["", "tls://", "tls://host", "tls://host:port", "tcp://host:99999", "ucx://h:1", "http://h:80"],
)
def test_an_address_that_is_none_is_refused(address):
    message = r"must be tls://HOST:PORT or tcp://HOST:PORT\. Received: --scheduler " + address
    with pytest.raises(InputError, match=message):
        check_scheduler(StudyFlags(scheduler=address))


@pytest.mark.parametrize(
    ("flag", "value"),
    [("insecure", True), ("tls_ca_file", "ca"), ("tls_cert", "cert"), ("tls_key", "key")],
)
def test_flags_without_a_scheduler_are_refused(flag, value):
    name = "--" + flag.replace("_", "-")
    with pytest.raises(InputError, match=f"`{name}` needs `--scheduler ADDRESS`. Received: "):
        check_scheduler(StudyFlags(**{flag: value}))


def test_workers_are_started_here_or_elsewhere():
    with pytest.raises(InputError, match="`--workers` starts workers here and `--scheduler` uses"):
        check_scheduler(StudyFlags(scheduler="tcp://127.0.0.1:1", workers=2))


def test_certificates_go_with_tls(certificates):
    with pytest.raises(InputError, match="need an address that begins with tls://"):
        check_scheduler(StudyFlags(scheduler="tcp://127.0.0.1:1", **tls(certificates)))


def test_tls_needs_certificates(certificates):
    address = "tls://192.0.2.1:8786"
    for given in ({}, {"tls_ca_file": certificates / "ca.pem"}):
        with pytest.raises(InputError, match="needs `--tls-ca-file`, `--tls-cert` and `--tls-key`"):
            check_scheduler(StudyFlags(scheduler=address, **given))
    check_scheduler(StudyFlags(scheduler=address, **tls(certificates)))
    files = tls(certificates)
    settings = {
        "distributed.comm.tls.ca-file": str(files["tls_ca_file"]),
        "distributed.comm.tls.client.cert": str(files["tls_cert"]),
        "distributed.comm.tls.client.key": str(files["tls_key"]),
    }
    with dask.config.set(settings):
        check_scheduler(StudyFlags(scheduler=address))


def test_a_certificate_that_is_not_there_is_refused(certificates):
    files = {**tls(certificates), "tls_key": certificates / "no.pem"}
    with pytest.raises(InputError, match=r"There is no certificate or key at .*no\.pem\."):
        check_scheduler(StudyFlags(scheduler="tls://192.0.2.1:8786", **files))


def test_a_key_of_another_certificate_is_refused(certificates):
    files = tls(certificates, "client", key="worker")
    message = "must be two certificates and the key of the second one, in PEM.*client.pem"
    with pytest.raises(InputError, match=message):
        check_scheduler(StudyFlags(scheduler="tls://192.0.2.1:8786", **files))


def test_nobody_there_is_said(monkeypatch):
    monkeypatch.setattr("keras_leaky.study.scheduler._SECONDS_TO_CONNECT", 1)
    with socket.socket() as free:  # bound, so that nobody takes it, and not listening
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(InputError, match=f"No Dask scheduler answers at {address}: Timed out"):
            connect(StudyFlags(scheduler=address))


def test_certificates_can_be_added_and_are_strict(certificates):
    make_certificates(certificates, "another")
    for name in ("scheduler", "worker", "client", "another"):
        command = ["openssl", "verify", "-x509_strict", "-CAfile", certificates / "ca.pem"]
        subprocess.run([*command, certificates / f"{name}.pem"], check=True)
        assert (certificates / f"{name}-key.pem").stat().st_mode & 0o077 == 0


def test_certificates_are_made_where_they_are_asked_for():
    command = ["sh", ROOT / "docs" / "make_certificates.sh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "make_certificates.sh DIR [NAME ...]" in done.stderr
