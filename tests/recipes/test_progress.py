import io
import re

import pytest
from rich.console import Console

from recipes.common.progress import Progress
from recipes.common.run_folder import RetrainingRow, TrialRow
from recipes.common.training import Epoch
from recipes.common.work import Job

EPOCH = Epoch(1, 0.5, 0.8, 0.4, 0.85)


def trial(number, score, reason=""):
    status = "FAILED" if reason else "COMPLETED"
    return TrialRow("elu", f"{number:04d}", status, 0.5, 0.01, 1, score, 1, 2.0, reason)


@pytest.fixture
def clock(monkeypatch):
    """Ten seconds an epoch."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def show(clock, terminal):
    """Three trials of two epochs and a retraining; the second trial fails, the first was kept."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, color_system=None)
    with Progress(console, n_runs=4, n_epochs=8) as progress:
        progress.trial_kept(trial(0, 0.7), 2)
        for number, score in ((1, None), (2, 0.9)):
            progress.started(Job("search", "elu", f"{number:04d}", 0.5, 0.01, 2, (1,)))
            for _ in range(2):
                clock[0] += 10
                progress.epoch_done(EPOCH)
            progress.trial_done(trial(number, score, "" if score else "loss became nan"), 2)
        progress.started(Job("retrain", "elu", "0002", 0.5, 0.01, 2, (7,)))
        clock[0] += 20
        progress.retraining_done(RetrainingRow("elu", "0002", 7, 0.9, 0.88, 2, 20.0, ""), 2)
    return file.getvalue()


def test_log_has_a_line_a_trial_with_best_and_time_left(clock):
    lines = show(clock, terminal=False).splitlines()
    assert lines[:4] == [
        "[1/4] elu 0000  alpha 0.5  learning rate 0.01  val_accuracy 0.7000  2.0 s (kept)"
        "  best 0.7000",
        "[2/4] elu 0001  alpha 0.5  learning rate 0.01  loss became nan  2.0 s"
        "  best 0.7000  about 40 s left",
        "[3/4] elu 0002  alpha 0.5  learning rate 0.01  val_accuracy 0.9000  2.0 s"
        "  best 0.9000  about 20 s left",
        "[4/4] retrained elu seed 7  test 0.8800  20.0 s",
    ]


def test_terminal_shows_a_bar_with_what_runs_best_and_time_left(clock):
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", show(clock, terminal=True))
    assert "━" in text
    assert "done" in text
    assert "4/4" in text


def test_terminal_shows_what_each_worker_does_and_how_many_trainings_an_hour(clock):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=160, color_system=None)
    job = Job("search", "elu", "0001", 0.5, 0.01, 2, (1,))
    with Progress(console, n_runs=4, n_epochs=8) as progress:
        progress.begin()
        clock[0] += 30
        progress.trial_done(trial(0, 0.7), 2)
        progress.show_lanes({"tcp://1": (job, 12.3)}, 2)
        progress.warn("elu 0001: worker tcp://2 was killed; it is tried again.")
    text = file.getvalue()
    assert "1 of 2 workers busy" in text
    assert "elu 0001, 12 s" in text
    assert "about 90 s left, 120 trainings an hour" in text or "2 min left, 120 trainings" in text
    assert "Note: elu 0001: worker tcp://2 was killed" in text
