"""Machine, threads and versions, which belong beside every figure."""

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import keras

__all__ = ["count_threads", "describe_environment"]

_PACKAGES = (
    *("keras_leaky", "keras", "tensorflow", "jax", "torch", "keras-tuner"),
    *("numpy", "scipy", "statsmodels"),
)


def describe_environment() -> dict[str, Any]:
    """The content of environment.json."""
    return {
        "command": shlex.join(sys.orig_argv),
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "processor": _processor(),
        "n_threads": count_threads(),
        "python": sys.version.split()[0],
        "backend": keras.backend.backend(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def count_threads(default: int | None = None) -> int:
    """Threads that TensorFlow uses inside one operation; results depend on it to the last bits.

    Args:
        default: Number if TF_NUM_INTRAOP_THREADS is not set; None for all cores.
    """
    if setting := int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0")) or default:
        return setting
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # such as TensorFlow under another name
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
