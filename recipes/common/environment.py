"""What a figure needs beside it: machine, threads and versions."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

PACKAGES = (
    *("keras_leaky", "keras", "tensorflow", "jax", "torch", "keras-tuner"),
    *("numpy", "scipy", "scikit-learn"),
)


def describe_environment(command: Sequence[str]) -> dict[str, Any]:
    """Returns what environment.json holds.

    Args:
        command: The command as the user gave it.
    """
    return {
        "command": shlex.join(command),
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": _processor(),
        "n_threads": n_threads(),
        "python": sys.version.split()[0],
        "backend": keras.backend.backend(),
        "git_revision": _git_revision(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # such as TensorFlow under another name
        return None


def n_threads(default: int | None = None) -> int:
    """Threads that TensorFlow uses inside one operation; results depend on it to the last bits.

    Args:
        default: Where TF_NUM_INTRAOP_THREADS does not say it; None for all cores.
    """
    if setting := int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")) or default:
        return setting
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git_revision() -> str | None:
    """The commit of this checkout, None where there is none."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
