"""Searches whose disk is full, and gone on with once there is room."""

import contextlib
import shutil
import subprocess
from functools import partial

from tests.faults.forked_recipe import (
    forbid_writing_after,
    run_forked,
    undisturbed,
    use_temporary_folder,
)
from tests.faults.kills import study_flags
from tests.faults.recipe_commands import go_on
from tests.faults.run_outcomes import after, records

FLAGS = (*study_flags(3, 0), "--activation=relu")
SIZES = (8, 32, 128, 512, 1024, 2048, 3000)  # kB; a whole run of FLAGS takes about 4,000


def file_limits(folder, numbers=None):
    """Searches that may not write any more after so many files, for each number of files.

    Args:
        numbers: Which; None for all of them.
    """
    expected = undisturbed(folder / "whole", *FLAGS)
    n = -1
    while numbers is None or n < max(numbers):
        n += 1
        if numbers is not None and n not in numbers:
            continue
        path = folder / f"after-{n}"
        ended = run_forked(*FLAGS, f"--output={path}", prepare=partial(forbid_writing_after, n))
        if ended.code == 0:
            return  # it writes fewer
        yield _go_on(f"full after {n} files", path, ended, expected)
        shutil.rmtree(path)


def small_disks(folder, sizes=SIZES):
    """Searches on disks of so many kB, and one whose disk for temporary files is too small."""
    expected = undisturbed(folder / "whole", *FLAGS)
    for size in sizes:
        with small_disk(folder / "disk", size):
            path = folder / "disk" / "run"
            ended = run_forked(*FLAGS, f"--output={path}")
            subprocess.run(["mount", "-o", "remount,size=64m", folder / "disk"], check=True)
            yield _go_on(f"disk of {size} kB", path, ended, expected)
    with small_disk(folder / "disk", 64):
        path = folder / "small-tmp"
        ended = run_forked(
            *FLAGS,
            f"--output={path}",
            prepare=partial(use_temporary_folder, folder / "disk"),
        )
    yield _go_on("temporary files on a disk of 64 kB", path, ended, expected)


@contextlib.contextmanager
def small_disk(path, n_kilobytes):
    """A file system of that size in memory. Whoever cannot mount one gets a PermissionError."""
    path.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={n_kilobytes}k", "tmpfs", path]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def _go_on(name, path, ended, expected):
    """A row: how it ended, and what came out when there was room again."""
    known = records(path)
    again = run_forked(*go_on(path, *FLAGS))
    is_as_it_should = ended.code == 1 and ended.sentence and not again.code
    return {
        "disk": name,
        "codes": [ended.code, again.code],
        "sentence": (ended.sentence or "").replace(f"{path}/", ""),
        **after(path, known, expected),
        "problems": [] if is_as_it_should else [ended.error, again.error],
    }
