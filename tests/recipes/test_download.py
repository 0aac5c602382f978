import socket
import threading
import time

import pytest

from keras_leaky.study import InputError
from recipes.datasets import load
from recipes.download import DownloadError, download_to_cache


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def silent_proxy(monkeypatch):
    """A server that takes every connection and never says a word: a stalled network."""
    server = socket.create_server(("127.0.0.1", 0))
    connections = []

    def accept():
        while True:
            try:
                connections.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, address)
    yield connections
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)
    for connection in connections:
        connection.close()


@pytest.fixture
def refused_proxy(monkeypatch):
    """An address where nobody listens: a network that says no at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, address)


def test_stalled_download_is_given_up(empty_cache, silent_proxy, capfd):
    start = time.monotonic()
    with pytest.raises(DownloadError, match="no byte arrived for 2 seconds"):
        download_to_cache("mnist", stall_seconds=2)
    assert silent_proxy, "nothing was tried"
    assert time.monotonic() - start < 60
    assert "Downloading data" in capfd.readouterr().out
    assert not list(empty_cache.glob("datasets/*"))


def test_mnist_that_cannot_be_had_becomes_the_digits(empty_cache, refused_proxy):
    arrays = load("mnist")
    assert arrays.kind == "digits"
    assert "could not be downloaded" in (arrays.warning or "")


def test_cifar_that_cannot_be_had_names_both_ways_out(empty_cache, refused_proxy):
    with pytest.raises(InputError) as error:
        load("cifar10")
    assert "--data-dir" in str(error.value)
    assert "--data synthetic" in str(error.value)
