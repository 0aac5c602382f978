"""One process at a time in a folder, whatever becomes of it."""

import errno
import os
import pickle
import signal
import socket
import threading
from pathlib import Path

import pytest

from keras_leaky.storage import DamagedFileError, FolderInUseError, folder_lock, is_empty
from tests.storage import child_process
from tests.versions import has

HERE = f"on host {socket.gethostname()}"


def is_free(folder):
    try:
        with folder_lock(folder):
            return True
    except FolderInUseError:
        return False


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path / folder."""
    code = f"""
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it
with storage.folder_lock({str(tmp_path / "folder")!r}):
    open({str(tmp_path / "folder" / "file")!r}, "w").close()
    print("held", flush=True)
    time.sleep(60)
"""
    with child_process.start(code) as child:
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


@pytest.mark.skipif(not has("filelock", "4"), reason="to ask for a lock empties its file there")
def test_another_process_is_named_with_its_host_and_changes_nothing(tmp_path, holder):
    folder = tmp_path / "folder"
    (tmp_path / "link").symlink_to("folder")
    before = {p: p.read_bytes() for p in folder.iterdir()}
    for path in (folder, str(folder), tmp_path / "link", folder / ".." / "folder"):
        with pytest.raises(FolderInUseError) as caught, folder_lock(path):
            pass
        assert str(caught.value) == f"{folder} is in use by process {holder.pid} {HERE}"
        assert caught.value.folder == folder
        assert caught.value.holder == f"process {holder.pid} {HERE}"
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_does_not_outlive_its_process(tmp_path, holder, number):
    assert not is_free(tmp_path / "folder")
    holder.send_signal(number)
    holder.wait()
    with folder_lock(tmp_path / "folder"):
        assert (tmp_path / "folder" / ".lock").read_text() == f"process {os.getpid()} {HERE}"


def test_a_process_that_is_stopped_still_holds_it(tmp_path, holder):
    holder.send_signal(signal.SIGSTOP)
    assert not is_free(tmp_path / "folder")
    holder.send_signal(signal.SIGCONT)


def test_the_same_process_gets_it_once(tmp_path):
    with folder_lock(tmp_path):
        with pytest.raises(FolderInUseError, match=f"process {os.getpid()} {HERE}"):
            folder_lock(tmp_path).__enter__()
        found = []
        thread = threading.Thread(target=lambda: found.append(is_free(tmp_path)))
        thread.start()
        thread.join()
        assert found == [False]
    assert is_free(tmp_path)


def test_an_error_gives_it_back(tmp_path):
    with pytest.raises(RuntimeError), folder_lock(tmp_path):
        raise RuntimeError
    assert is_free(tmp_path)


def test_a_full_disk_does_not_keep_it(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with (
        folder_lock(tmp_path),
        pytest.raises(FolderInUseError, match="is in use by another process"),
    ):
        folder_lock(tmp_path).__enter__()
    assert is_free(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a\nb" * 1000])
def test_a_lock_file_that_says_nothing_locks_nobody_out(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    assert is_free(tmp_path)
    with folder_lock(tmp_path):
        (tmp_path / ".lock").write_bytes(content)
        with pytest.raises(FolderInUseError) as caught:
            folder_lock(tmp_path).__enter__()
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "stand_in",
    [Path.mkdir, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to("file")],
)
def test_what_is_no_file_is_damage(tmp_path, stand_in):
    (tmp_path / "file").write_text("mine")
    stand_in(tmp_path / ".lock")
    with pytest.raises(DamagedFileError, match=r"\.lock is damaged: it is not a file"):
        folder_lock(tmp_path).__enter__()
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("below", ["", "new", "new/newer"])
def test_a_place_without_a_folder_is_an_error_and_nothing_is_left(tmp_path, below):
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match=r"file"):
        folder_lock(tmp_path / "file" / below).__enter__()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_nothing_was_put_into_goes_again(tmp_path):
    with folder_lock(tmp_path / "new" / "newer"):
        assert is_empty(tmp_path / "new" / "newer")
    assert list(tmp_path.iterdir()) == []
    with folder_lock(tmp_path / "new"):
        (tmp_path / "new" / "file").write_text("")
        assert not is_empty(tmp_path / "new")
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"file", ".lock"}
    (tmp_path / "there").mkdir()
    with folder_lock(tmp_path / "there"):
        pass
    assert (tmp_path / "there" / ".lock").exists()
    assert is_empty(tmp_path / "there")
