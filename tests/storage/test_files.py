"""Files are at any moment the old one or the new one, whatever stops their writing."""

import contextlib
import errno
import itertools
import os
import pickle
import stat
import subprocess
from pathlib import Path

import pytest

from keras_leaky import storage
from keras_leaky.storage import WriteError, remove_leftovers, set_aside, write_json, write_whole
from tests.storage import child_process

# All that touches a disk between the begin of writing and its end.
STEPS = [
    *((os, name) for name in ("mkdir", "open", "fsync", "replace", "rename", "unlink", "remove")),
    (Path, "open"),
]
OLD, NEW = b"old" * 1000, b"new" * 2000


class Killed(BaseException):
    pass


class Stopper:
    """Lets `n - 1` steps be taken; the next one raises `error`, and those after it too if asked."""

    def __init__(self, monkeypatch, n, error, for_good):
        self.n_steps, self._n, self._error, self._for_good = 0, n, error, for_good
        for owner, name in STEPS:
            monkeypatch.setattr(owner, name, self._stepping(getattr(owner, name)))

    def _stepping(self, function):
        def step(*args, **kwargs):
            self.n_steps += 1
            if self.n_steps == self._n or (self._for_good and self.n_steps > self._n):
                raise self._error
            return function(*args, **kwargs)

        return step


def stop_at_every_step(make, action, error, for_good=False):
    """Yields after each stop (step, what was raised or None); the last time nothing stopped it."""
    for n in itertools.count(1):
        folder = make(n)
        raised = None
        with pytest.MonkeyPatch.context() as monkeypatch:
            stopper = Stopper(monkeypatch, n, error, for_good)
            try:
                action(folder)
            except BaseException as caught:
                raised = caught
        yield n, folder, raised
        if stopper.n_steps < n:
            return


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def make(tmp_path):
    def make(n):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "file").write_bytes(OLD)
        (folder / "other").write_bytes(b"other")
        return folder

    return make


@pytest.mark.parametrize("flush_folder", [True, False])
@pytest.mark.parametrize("name", ["file", "new/newer/file"])
def test_killed_at_any_step_a_file_is_the_old_one_or_the_new_one(name, flush_folder, make):
    def write(folder):
        write_whole(folder / name, NEW, flush_folder)

    before = {"file": OLD} if name == "file" else {}
    seen = set()
    for n, folder, raised in stop_at_every_step(make, write, Killed(), for_good=True):
        found = files_of(folder)
        leftovers = {file for file in found if file.endswith(".tmp")}
        assert {file: found[file] for file in {name} & {*found}} in (
            {name: before[name]} if before else {},
            {name: NEW},
        ), n
        assert len(leftovers) <= 1
        seen |= {(name in found and found[name] == NEW, bool(leftovers), raised is None)}
        remove_leftovers(folder)
        write(folder)
        assert files_of(folder) == {"file": OLD, "other": b"other", name: NEW}
    # Stopped before, with and without a leftover; after; and not at all.
    assert seen >= {(False, False, False), (False, True, False), (True, False, True)}
    assert ((True, False, False) in seen) == flush_folder


@pytest.mark.parametrize("name", ["file", "new/newer/file"])
@pytest.mark.parametrize(
    ("number", "is_full"),
    [
        *((number, True) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
        *((number, False) for number in (errno.EACCES, errno.EROFS, errno.EIO, errno.ENOENT)),
    ],
)
def test_an_error_at_any_step_names_the_file_and_leaves_nothing_behind(name, number, is_full, make):
    for n, folder, raised in stop_at_every_step(
        make, lambda folder: write_whole(folder / name, NEW), OSError(number, os.strerror(number))
    ):
        found = files_of(folder)
        assert not {file for file in found if file.endswith(".tmp")}, n
        if raised is None:
            assert found[name] == NEW
            continue
        assert type(raised) is WriteError
        assert (raised.errno, raised.is_disk_full) == (number, is_full)
        assert raised.filename == str(folder / name)
        assert str(raised) == f"[Errno {number}] {os.strerror(number)}: '{folder / name}'"
        assert found.get(name, OLD) in (OLD, NEW)
        again = pickle.loads(pickle.dumps(raised))
        assert (str(again), again.is_disk_full) == (str(raised), is_full)
    assert n > 5


def test_an_error_that_is_none_of_the_system_is_not_hidden(make):
    interrupted = KeyboardInterrupt()
    for n, folder, raised in stop_at_every_step(
        make, lambda folder: write_whole(folder / "file", NEW), interrupted
    ):
        assert raised in (None, interrupted), n
        assert not list(folder.glob(".*.tmp")), n


def test_new_names_survive_a_loss_of_power(tmp_path, monkeypatch):
    fsync, flushed = os.fsync, []

    def flush(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            flushed.append(os.fstat(number).st_ino)
        fsync(number)

    monkeypatch.setattr(os, "fsync", flush)
    folders = [tmp_path, tmp_path / "new", tmp_path / "new" / "newer"]
    write_whole(folders[-1] / "file", NEW)
    assert flushed == [folder.stat().st_ino for folder in folders]
    set_aside(folders[-1] / "file")
    assert flushed[3:] == [folders[-1].stat().st_ino]


def test_network_file_systems_that_flush_no_folders_are_written_to(tmp_path, monkeypatch):
    fsync = os.fsync
    for number in (errno.EINVAL, errno.ENOTSUP, errno.EIO):

        def flush(file, number=number):
            if os.path.isdir(f"/proc/self/fd/{file}"):
                raise OSError(number, os.strerror(number))
            fsync(file)

        monkeypatch.setattr(os, "fsync", flush)
        expected = pytest.raises(WriteError) if number == errno.EIO else contextlib.nullcontext()
        with expected:
            write_whole(tmp_path / "file", b"%d" % number)


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("file/below", errno.ENOTDIR),
        ("file/below/more", errno.ENOTDIR),
        ("folder", errno.EISDIR),
        pytest.param(
            "/proc/nowhere/file",
            errno.ENOENT,
            marks=pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc"),
        ),
    ],
)
@pytest.mark.parametrize("write", [lambda p: write_whole(p, NEW), lambda p: write_json(p, {})])
def test_a_place_that_cannot_be_written_is_said(place, number, write, tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "folder" / "inside").mkdir(parents=True)  # root may write in any folder
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WriteError) as caught:
        write(tmp_path / place)
    assert (caught.value.errno, caught.value.is_disk_full) == (number, False)
    assert caught.value.filename == str(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in any folder")
def test_a_folder_without_permission_is_said(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WriteError) as caught:
            write_whole(tmp_path / "file", NEW)
    finally:
        tmp_path.chmod(0o700)
    assert caught.value.errno == errno.EACCES


def test_a_file_is_never_half_written_by_a_process_that_is_killed(tmp_path):
    path = tmp_path / "sub" / "table.csv"
    code = f"""
i = 0
while True:
    i += 1
    storage.write_whole({str(path)!r}, bytes([48 + i % 10]) * 200_000)
    if i == 1:
        print("ready", flush=True)
"""
    for delay in (0, 0.003, 0.01, 0.02, 0.05, 0.11):
        with child_process.start(code) as child:
            assert child.stdout.readline() == "ready\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(delay)
            child.kill()
        content = path.read_bytes()
        assert (len(content), len(set(content))) == (200_000, 1)
    remove_leftovers(tmp_path)
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    storage.write_whole({str(path)!r}, bytes(30_000))
except storage.WriteError as error:
    print(error.is_disk_full, error)
"""
    with child_process.start(code) as child:
        said = child.stdout.read()
    assert said == f"True [Errno {errno.EFBIG}] File too large: '{path}'\n"
    assert files_of(tmp_path) == {"file": OLD}


def test_two_that_write_one_file_do_not_meet(tmp_path, monkeypatch):
    path, fsync = tmp_path / "file", os.fsync

    def write_another(number):
        monkeypatch.setattr(os, "fsync", fsync)
        write_whole(path, OLD)
        fsync(number)

    monkeypatch.setattr(os, "fsync", write_another)
    write_whole(path, NEW)
    assert files_of(tmp_path) == {"file": NEW}


def test_leftovers_are_removed_and_nothing_that_looks_like_them(tmp_path):
    kept = [".notes.tmp", "a.0123456789abcdef.tmp", ".a.0123456789ABCDEF.tmp", ".a.123.tmp", "a"]
    for folder in (tmp_path, tmp_path / "below" / "more"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*kept, ".a.0123456789abcdef.tmp", ".a.b.fedcba9876543210.tmp"):
            (folder / name).write_text("")
    (tmp_path / ".folder.0123456789abcdef.tmp").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == sorted(2 * kept)
    assert (tmp_path / ".folder.0123456789abcdef.tmp").is_dir()
    remove_leftovers(tmp_path / "nowhere")


def test_killed_at_any_step_what_is_damaged_has_one_of_two_names(make):
    for n, folder, _ in stop_at_every_step(
        make, lambda folder: set_aside(folder / "file"), Killed(), for_good=True
    ):
        assert [p.read_bytes() for p in folder.glob("file*")] == [OLD], n
        assert (folder / "file").exists() or (folder / "file.damaged").exists()
    assert (folder / "file.damaged").exists()


def test_what_is_damaged_gets_a_name_of_its_own(tmp_path):
    path = tmp_path / "file"
    expected = []
    for i, name in enumerate(("file.damaged", "file.damaged-2", "file.damaged-3")):
        path.write_text(str(i))
        assert set_aside(path) == tmp_path / name
        assert (tmp_path / name).read_text() == str(i)
        expected.append(name)
    path.symlink_to("nowhere")
    (tmp_path / "file.damaged-4").symlink_to("nowhere")  # a link to nothing is in the way too
    assert set_aside(str(path)) == tmp_path / "file.damaged-5"
    path.mkdir()
    assert set_aside(path).is_dir()
    assert not os.path.lexists(path)


def test_checksums_are_those_of_sha256sum(tmp_path):
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "file").write_bytes(b"abc")
    assert storage.checksum_of(b"abc") == storage.checksum_of_file(tmp_path / "file") == known
