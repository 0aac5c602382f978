"""A download by Keras that stops when nothing arrives.

Keras downloads with `urlretrieve` and no time limit, and a name look-up cannot be interrupted in
the same process. So a child process downloads into Keras's cache; its progress bar, which Keras
prints as bytes arrive, is passed on to the terminal and tells that it is alive.
"""

import os
import re
import selectors
import signal
import subprocess
import sys

STALL_SECONDS = 10.0
_IMPORT_SECONDS = 120.0  # limit for importing Keras in the child; not about the network
_READY = b"ready\n"
_COMPLETE = re.compile(rb"(?<!\d)(\d+)/\1(?!\d)")  # Keras's progress bar at its end: n/n


class DownloadError(Exception):
    """The data could not be downloaded; the message says why, without advice."""


def download_to_cache(name: str, stall_seconds: float = STALL_SECONDS) -> None:
    """Lets Keras download the data set `name` (as in `keras.datasets`) into its cache.

    Raises:
        DownloadError: No byte arrived for `stall_seconds`, or the download failed.
    """
    program = (
        "import sys, keras\n"
        "sys.stdout.write('ready\\n'); sys.stdout.flush()\n"
        "try:\n"
        f"    keras.datasets.{name}.load_data()\n"
        "except Exception as error:\n"
        "    sys.exit(str(error))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert child.stdout is not None
    assert child.stderr is not None
    errors: list[bytes] = []
    ready = complete = False
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            selector.register(child.stderr, selectors.EVENT_READ)
            while selector.get_map():
                # Unpacking prints nothing: once all bytes are here the network cannot stall.
                limit = None if complete else stall_seconds if ready else _IMPORT_SECONDS
                events = selector.select(limit)
                if not events:
                    what = "no byte arrived" if ready else "importing Keras did not finish"
                    raise DownloadError(f"{what} for {limit:g} seconds")
                for key, _ in events:
                    chunk = os.read(key.fd, 65536)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is child.stderr:
                        errors.append(chunk)
                    else:
                        ready = ready or chunk.startswith(_READY)
                        complete = complete or _COMPLETE.search(chunk) is not None
                        sys.stdout.write(chunk.removeprefix(_READY).decode(errors="replace"))
                        sys.stdout.flush()
    finally:
        _stop(child)
    if child.returncode != 0:
        lines = b"".join(errors).decode(errors="replace").strip().splitlines()
        raise DownloadError(lines[-1] if lines else f"exit code {child.returncode}")


def _stop(child: subprocess.Popen) -> None:
    """Ends the child: first as Ctrl-C would, so that Keras removes its half-written file."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if child.poll() is not None:
            break
        child.send_signal(number)
        try:
            child.wait(2)
        except subprocess.TimeoutExpired:
            continue
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
