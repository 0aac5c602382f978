"""One process at a time in a folder."""

import contextlib
import json
import os
import socket

import filelock

_NAME = ".lock"


class FolderInUseError(ValueError):
    """Another process, or another thread of this one, holds the lock of a folder."""


@contextlib.contextmanager
def folder_lock(folder):
    """Holds the lock of a folder; the system frees it when the process ends, however it ends.

    Raises:
        FolderInUseError: If it is held already. The message names process and host.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, _NAME)
    try:
        # A new object for every use: one that is held already would count up and say yes.
        lock = filelock.FileLock(path, timeout=0, thread_local=False)
        lock.acquire()
    except filelock.Timeout:
        raise FolderInUseError(
            f"One search at a time may run in a project, and {_holder(path)} has one in {folder}: "
            "wait until it ends, or give another `project_name`"
        ) from None
    try:
        with open(path, "w") as file:
            json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
        yield
    finally:
        lock.release()


def _holder(path):
    try:
        with open(path) as file:
            holder = json.load(file)
        return f"process {holder['pid']} on host {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
