"""Two processes in one folder, processes that are told to stop, and folders that go away."""

import contextlib
import os
import shutil
import signal
import subprocess

import psutil

from tests.faults.forked_recipe import run_forked, undisturbed, use_one_thread
from tests.faults.full_disks import small_disk
from tests.faults.kills import orphans, study_flags
from tests.faults.recipe_commands import Command, resume, run_here
from tests.faults.run_outcomes import differences, lost, make_row, n_ended, records

# Epochs enough for a signal to arrive before the trainings that are left have ended.
FLAGS = (*study_flags(4, 0), "--activation=relu", "--epochs=30")


def two_processes(folder):
    """A second process in the folder of a study, which is killed after that."""
    path = folder / "shared"
    first = Command(*FLAGS, f"--output={path}", folder=folder)
    first.wait_for(lambda: n_ended(path))
    problems, codes = [], []
    for arguments in (resume(path), (*FLAGS, f"--output={path}", "--overwrite")):
        second = run_here(*arguments)
        codes.append(second.code)
        if f"is in use by process {first.process.pid} on" not in (second.sentence or ""):
            problems.append(second.error)
    first.process.kill()
    codes += [first.end().code, run_here(*resume(path)).code]
    if codes != [2, 2, -signal.SIGKILL, 0]:
        problems.append(f"exit codes {codes}")
    wrong = differences(path, undisturbed(folder / "whole", *FLAGS))
    yield make_row("two processes", codes, problems, wrong)


def stopped_studies(folder, signals=None):
    """Studies on two workers that are told to stop, as by Ctrl-C: all of a process group."""
    # A worker has one thread, so this process may stand for the workers.
    expected = undisturbed(folder / "whole", *FLAGS, prepare=use_one_thread)
    for name, number, to_all, code in (
        ("Ctrl-C", signal.SIGINT, True, 130),
        ("SIGINT to the driver", signal.SIGINT, False, 130),
        ("SIGTERM to the driver", signal.SIGTERM, False, -signal.SIGTERM),
    ):
        if signals is not None and name not in signals:
            continue
        path = folder / name
        flags = (*FLAGS, "--workers=2", f"--output={path}")
        command = Command(*flags, folder=folder, own_group=True)
        command.wait_for(lambda p=path: n_ended(p))
        below = psutil.Process(command.process.pid).children(recursive=True)
        if to_all:
            os.killpg(command.process.pid, number)
        else:
            command.process.send_signal(number)
        ended = command.end()
        problems = orphans(below)
        if ended.code != code or ended.has_traceback:
            problems.append(f"exit code {ended.code}: {ended.error}")
        known = records(path)
        if code == 130 and not ended.way_on:
            problems.append(f"no way to go on: {ended.error}")
        arguments = ended.way_on or resume(path)
        again = run_forked(*arguments, "--workers=0", prepare=use_one_thread)
        if again.code or again.has_traceback:
            problems.append(again.error)
        problems += [f"lost: {name}" for name in lost(path, known)]
        codes = [ended.code, again.code]
        yield make_row(name, codes, problems, differences(path, expected))


def interrupted_starts(folder, early=(0.01, 0.03, 0.05, 0.1, 0.2, 0.5), late=(0, 1, 2, 4)):
    """Ctrl-C at a moment of the start: nothing is left behind, or a study that resumes.

    Args:
        folder: A folder for the runs.
        early: Seconds after the start. Until Python has called anything of ours, it says itself
            that it was interrupted. Until the command line has been imported, the signal ends it
            without a word.
        late: Seconds after it has begun to load TensorFlow, when the end is ours to tell.
    """
    for is_late, moments in ((False, early), (True, late)):
        for moment in moments:
            event = "the import of TensorFlow" if is_late else "the start"
            name = f"Ctrl-C {moment} s after {event}"
            path = folder / f"{'late' if is_late else 'early'}-{moment}"
            command = Command(*FLAGS, f"--output={path}", folder=folder)
            if is_late:
                command.wait_for(command.has_begun_to_load_tensorflow, pause=0.001)
            end = command.seconds + moment if is_late else moment
            command.wait_for(lambda c=command, e=end: c.seconds >= e, pause=0.001)
            command.process.send_signal(signal.SIGINT)
            ended = command.end()
            problems = [] if not is_late or ended.code == 130 else [f"exit code {ended.code}"]
            if is_late and ended.has_traceback:
                problems.append(ended.error)
            if path.exists() and not (path / "study.json").exists():
                problems.append(f"left behind: {[*path.glob('*')]}")
            yield make_row(name, [ended.code], problems)


def unusable_folders(folder):
    """Folders that cannot be written, that go away, or that have a name to trip over."""
    refused = run_here(*FLAGS, "--output=/proc/nowhere/run")
    problems = [] if refused.code == 2 and refused.sentence else [refused.error]
    yield make_row("a folder nobody can write", [refused.code], problems)

    expected = undisturbed(folder / "whole", *FLAGS)
    path = folder / "a run's ünïcode 名前 -- folder"
    command = Command(*FLAGS, f"--output={path}", folder=folder)
    command.wait_for(lambda: n_ended(path))
    command.process.send_signal(signal.SIGINT)
    ended = command.end()
    again = run_here(*ended.way_on)
    codes = [ended.code, again.code]
    problems = [] if codes == [130, 0] else [ended.error, again.error]
    yield make_row("a folder of odd name", codes, problems, differences(path, expected))

    path = folder / "deleted"
    command = Command(*FLAGS, f"--output={path}", folder=folder)
    command.wait_for(lambda: n_ended(path))
    shutil.rmtree(path, ignore_errors=True)
    ended = command.end()
    problems = [] if ended.code == 1 and ended.sentence else [f"{ended.output}\n{ended.error}"]
    yield make_row("a folder that is deleted", [ended.code], problems)

    with contextlib.suppress(PermissionError), small_disk(folder / "disk", 16384):
        path = folder / "disk" / "run"
        shutil.copytree(folder / "whole", path)
        _remount(folder / "disk", "ro")
        refused = run_here(*resume(path))
        _remount(folder / "disk", "rw")
        again = run_here(*resume(path))
        codes = [refused.code, again.code]
        problems = [] if codes == [2, 0] and refused.sentence else [refused.error, again.error]
        yield make_row("a disk that is read-only", codes, problems, differences(path, expected))


def _remount(path, option):
    subprocess.run(["mount", "-o", f"remount,{option}", path], check=True)
