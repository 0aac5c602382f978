"""Connecting to a Dask scheduler that the user has started, safely."""

import ipaddress
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keras_leaky.study.errors import InputError

if TYPE_CHECKING:  # which checks itself by what is here
    from keras_leaky.study.flags import StudyFlags

_SECONDS_TO_CONNECT = 15


def check_scheduler(flags: "StudyFlags") -> None:
    """Refuses an address over which anybody could read the run, or run code in its name.

    Raises:
        InputError: Says what to do.
    """
    address = flags.scheduler
    tls = (flags.tls_ca_file, flags.tls_cert, flags.tls_key)
    if address is None:
        for name in ("insecure", "tls_ca_file", "tls_cert", "tls_key"):
            if getattr(flags, name):
                flag = "--" + name.replace("_", "-")
                raise InputError(f"`{flag}` needs `--scheduler ADDRESS`. Received: {flag} alone")
        return
    if flags.workers not in ("auto", 0):
        raise InputError(
            "`--workers` starts workers here and `--scheduler` uses other workers: give one of them"
        )
    protocol, host = _split(address)
    if protocol == "tls":
        for path in tls:
            if path is not None and not Path(path).expanduser().is_file():
                raise InputError(f"There is no certificate or key at {path}.")
        _security(flags)
        return
    if any(tls):
        raise InputError(
            "`--tls-ca-file`, `--tls-cert` and `--tls-key` need an address that begins with "
            f"tls://. Received: --scheduler {address}"
        )
    if not flags.insecure and not _is_loopback(host):
        raise InputError(
            f"`--scheduler` must begin with tls:// unless it is on this machine: over {address} "
            "anybody in between can run code on every worker and on this machine. Set up "
            "certificates (docs/guides/cluster.md), or give `--insecure` if you trust the network."
        )


def connect(flags: "StudyFlags") -> Any:
    """A Dask client of the scheduler. TLS uses Dask's configuration if no flag is given.

    Raises:
        InputError: It cannot be reached, or one side refuses the other's certificate.
    """
    from distributed import Client

    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the pool says what matters
    is_plain = _split(str(flags.scheduler))[0] == "tcp"
    security = None if is_plain else _security(flags)
    try:
        return Client(flags.scheduler, security=security, timeout=_SECONDS_TO_CONNECT)
    except (OSError, TimeoutError) as error:  # ssl's errors are OSErrors
        raise InputError(
            f"No Dask scheduler answers at {flags.scheduler}: {error}. Check that it is running, "
            "with the same kind of address and the same certificates."
        ) from error


def _security(flags: "StudyFlags") -> Any:
    """Dask's settings for TLS."""
    from distributed.security import Security

    given = {
        "tls_ca_file": flags.tls_ca_file,
        "tls_client_cert": flags.tls_cert,
        "tls_client_key": flags.tls_key,
    }
    files = {name: str(Path(path).expanduser()) for name, path in given.items() if path}
    security = Security(require_encryption=True, **files)
    if not (security.tls_ca_file and security.tls_client_cert):
        raise InputError(
            "A tls:// address needs `--tls-ca-file`, `--tls-cert` and `--tls-key`, or the same "
            "settings in Dask's configuration; docs/guides/cluster.md shows how to make "
            "certificates."
        )
    try:
        security.get_connection_args("client")
    except OSError as error:  # ssl's errors are OSErrors
        received = security.tls_ca_file, security.tls_client_cert, security.tls_client_key
        raise InputError(
            "`--tls-ca-file`, `--tls-cert` and `--tls-key` must be two certificates and the key "
            f"of the second one, in PEM format. Received: {', '.join(map(str, received))} ({error})"
        ) from error
    return security


def _split(address: str) -> tuple[str, str]:
    """Protocol and host."""
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        is_complete = parts.hostname and parts.port
    except ValueError:
        parts, is_complete = urlsplit(""), False
    if parts.scheme not in ("tcp", "tls") or not is_complete:
        raise InputError(
            "`--scheduler` must be tls://HOST:PORT or tcp://HOST:PORT. "
            f"Received: --scheduler {address}"
        )
    return parts.scheme, parts.hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(info[4][0]).is_loopback for info in found)
