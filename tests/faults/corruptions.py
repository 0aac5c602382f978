"""Run folders whose files are damaged, and gone on with."""

import random
import re
import shutil
from functools import partial

from tests.faults.death_at_step import die_at_step
from tests.faults.forked_recipe import run_forked, undisturbed
from tests.faults.recipe_commands import TINY, Command, resume
from tests.faults.run_outcomes import differences

FLAGS = (*TINY, "--trials=4")  # of each of two arms
_KILLED_AT = {"searching": 60, "retraining": 190}  # steps of writing


def make_runs(folder):
    """A finished study and two that were killed, in the search and in the retrainings.

    Returns:
        The folders, and the results of the finished one.
    """
    expected = undisturbed(folder / "finished", *FLAGS)
    for name, step in _KILLED_AT.items():
        run_forked(*FLAGS, f"--output={folder / name}", prepare=partial(die_at_step, step))
    return [folder / name for name in ("finished", *_KILLED_AT)], expected


def truncate(file, rng, _):
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))] if content else b"")


def flip_bits(file, rng, _):
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 1, 8))):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def delete(file, *_):
    file.unlink()


def fill_with_zeros(file, *_):
    file.write_bytes(bytes(file.stat().st_size))


def cut_from_the_middle(file, rng, _):
    content = file.read_bytes()
    begin, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    file.write_bytes(content[:begin] + content[end:])


def swap_with_another(file, rng, files):
    other = rng.choice([other for other in files if other.is_file()])
    content = file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(content)


def copy_of_another(file, rng, files):
    file.write_bytes(rng.choice([other for other in files if other.is_file()]).read_bytes())


def make_a_folder(file, *_):
    file.unlink()
    file.mkdir()


def overwrite_with_noise(file, rng, _):
    file.write_bytes(rng.randbytes(rng.randrange(1, 5000)))


def link_to_nowhere(file, *_):
    file.unlink()
    file.symlink_to("/nonexistent/file")


FAULTS = (
    *(truncate, flip_bits, delete, fill_with_zeros, cut_from_the_middle, swap_with_another),
    *(copy_of_another, make_a_folder, overwrite_with_noise, link_to_nowhere),
)


def corrupt(path, rng):
    """Does one to three faults to the files of a folder; returns what was done."""
    done = []
    for _ in range(rng.randint(1, 3)):
        files = sorted(file for file in path.rglob("*") if file.is_file())
        file = rng.choice(files)
        fault = rng.choice(FAULTS)
        fault(file, rng, files)
        done.append(f"{fault.__name__} {file.relative_to(path)}")
    return done


def corrupted_runs(folder, n_copies, run, seed=0, every=20):
    """Copies of the three runs, damaged at random and gone on with.

    Args:
        run: Called with a command line, as `run_here`.
        every: Each so many-th is gone on with by a process of its own. 0: none.

    Yields:
        A row each: what was done, how it ended, and what is wrong.
    """
    paths, expected = make_runs(folder)
    rng = random.Random(seed)
    for i in range(n_copies):
        original = paths[i % len(paths)]
        path = folder / "copy"
        shutil.copytree(original, path, symlinks=True)
        done = corrupt(path, rng)
        if every and i % every == every - 1:
            ended = Command(*resume(path), folder=folder).end()
        else:
            ended = run(*resume(path))
        refused = ended.sentence if ended.code == 2 else None
        wrong = differences(path, expected) if ended.code == 0 else []
        yield {
            "copy": i,
            "of": original.name,
            "faults": done,
            "code": ended.code,
            "refused": refused and refused.replace(f"{path}/", ""),
            "refused_file": refused and _file_of(refused, path),
            "wrong": wrong,
            "problems": [] if ended.is_settled else [ended.error],
            "set_aside": len([*path.rglob("*.damaged*")]),
            "seconds": round(ended.seconds, 2),
        }
        shutil.rmtree(path)


def _file_of(sentence, path):
    found = re.search(re.escape(str(path)) + r"/(\S+)", sentence)
    return found.group(1).rstrip(".:,") if found else "?"
