"""Writing in a thread: in order, not without end in memory, and nothing behind an error."""

import threading

import pytest

from keras_leaky.storage.background import _N_WAITING, BackgroundWriter


def fail():
    raise OSError("disk full")


def test_all_is_written_in_order():
    written = []
    with BackgroundWriter() as writer:
        for number in range(100):
            writer.submit(written.append, number)
        writer.flush()
        assert written == list(range(100))
        writer.submit(written.append, 100)
    assert written == list(range(101))


def test_nothing_is_written_behind_an_error_which_is_raised_where_one_would_go_on():
    written, may_go_on = [], threading.Event()

    def write():
        with BackgroundWriter() as writer:
            writer.submit(may_go_on.wait)
            writer.submit(fail)
            writer.submit(written.append, 1)
            may_go_on.set()
            for action in (writer.flush, lambda: writer.submit(written.append, 2)):
                with pytest.raises(OSError, match="disk full"):
                    action()

    with pytest.raises(OSError, match="disk full"):
        write()
    assert not written


def test_an_error_of_the_body_is_not_hidden():
    def write():
        with BackgroundWriter() as writer:
            writer.submit(fail)
            raise KeyError

    with pytest.raises(KeyError):
        write()


def test_only_so_much_waits():
    may_go_on, n_submitted = threading.Event(), []

    def submit(writer):
        for number in range(_N_WAITING + 5):
            writer.submit(may_go_on.wait)
            n_submitted.append(number)

    with BackgroundWriter() as writer:
        thread = threading.Thread(target=submit, args=(writer,))
        thread.start()
        thread.join(0.5)
        assert len(n_submitted) == _N_WAITING
        may_go_on.set()
        thread.join()
