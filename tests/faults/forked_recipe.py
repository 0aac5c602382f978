"""The recipe in processes that are forked off one that has imported TensorFlow: ready at once."""

import multiprocessing
import os
import resource
import tempfile
import time

from tests.faults.recipe_commands import Ended, run_here
from tests.faults.run_outcomes import results

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    ["recipes.image_search", "keras_leaky.study.report", "keras_leaky.study.study", "tensorflow"]
)


def run_forked(*arguments, prepare=None):
    """Runs the recipe in a process that `prepare()` has been called in before."""
    output, output_end = _forks.Pipe(duplex=False)
    error, error_end = _forks.Pipe(duplex=False)
    ends = output_end, error_end
    begin = time.monotonic()
    child = _forks.Process(target=_be_run, args=(ends, arguments, prepare))
    child.start()
    for end in ends:
        end.close()
    printed, complaint = _read_all(output), _read_all(error)
    child.join()
    return Ended(child.exitcode or 0, printed, complaint, time.monotonic() - begin)


def undisturbed(path, *flags, prepare=None):
    """The results of a search that is left alone."""
    ended = run_forked(*flags, f"--output={path}", prepare=prepare)
    if ended.code:
        raise RuntimeError(f"An undisturbed search failed: {ended}")
    return results(path)


def _be_run(ends, arguments, prepare):
    for number, end in enumerate(ends, start=1):
        os.dup2(end.fileno(), number)
        end.close()
    if prepare:
        prepare()
    ended = run_here(*arguments)
    os.write(1, ended.output.encode())
    os.write(2, ended.error.encode())
    os._exit(ended.code)


def _read_all(pipe):
    content = b""
    while part := os.read(pipe.fileno(), 65536):
        content += part
    return content.decode(errors="replace")


def forbid_writing_after(n):
    """Lets this process write `n` files, and of every later one 10 bytes."""
    n_written, replace = 0, os.replace

    def replace_and_count(*args, **kwargs):
        nonlocal n_written
        replace(*args, **kwargs)
        n_written += 1
        if n_written == n:
            _limit(10)

    os.replace = replace_and_count
    if n == 0:
        _limit(10)


def _limit(n_bytes):
    # Python ignores the signal of it: to write more is an error, "File too large".
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))


def use_temporary_folder(path):
    tempfile.tempdir = str(path)


def use_one_thread():
    """As a worker does."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
