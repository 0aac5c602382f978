"""The whole recipe, as a user runs it."""

import base64
import csv
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_leaky.storage import WriteError, folder_lock, read_json
from recipes.dying_relu import born_dead, budget, folder
from recipes.dying_relu.__main__ import main, parse_flags
from recipes.dying_relu.born_dead import BornDead
from recipes.dying_relu.folder import FORMAT, check_output
from recipes.report import main as report
from tests.faults.recipe_commands import Command

ROOT = Path(__file__).parents[2]
TABLES = {
    *("born_dead", "born_dead_bounds", "born_dead_remedies"),
    *("collapse", "collapse_functions", "collapse_nets"),
    *("dead_units", "dead_units_cells", "remedies", "revival"),
}
PARTS = ("born_dead", "collapse", "training_death")
PLOTS = {
    *("born_dead", "born_dead_remedies", "collapse", "collapse_functions"),
    *("dead_over_epochs", "remedies", "revival"),
}
TINY = budget.Budget(
    depths=(3, 10, 20),
    widths=(2, 3, 5),
    n_nets=1000,
    n_checked_nets=100_000,
    n_remedy_nets=200,
    n_collapse_nets=20,
    collapse_epochs=2,
    learning_rates=(0.02, 0.1, 0.5),
    alphas=(0.0, 0.1),
    momenta=(0.0, 0.9),
    n_seeds=2,
    death_epochs=3,
    n_images=1700,
)
QUICK = ("--quick", "--data", "synthetic")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the command with sizes for seconds; (folder, what it printed is not kept)."""
    path = tmp_path_factory.mktemp("dying") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "QUICK", TINY)
        assert main([*QUICK, "--output", str(path), "--seed", "3"]) == 0
    return path


def read_table(run, name):
    with (run / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_run_leaves_tables_plots_and_a_page(run):
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "summary.json", "report.html", "plots", ".lock"),
        *(f"{name}.csv" for name in TABLES),
        *(f"{name}.json" for name in PARTS),
    }
    assert {path.stem for path in (run / "plots").iterdir()} == PLOTS
    config = read_json(run / "config.json")
    assert config["format"] == FORMAT
    assert config["seed"] == 3
    assert config["machine"]["versions"]["keras"] == keras.__version__


def test_page_is_self_contained_and_answers(run):
    page = (run / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    for plot in (run / "plots").iterdir():
        assert base64.b64encode(plot.read_bytes()).decode() in page
    summary = json.loads((run / "summary.json").read_text())
    for part in PARTS:
        answer = summary[part]["answer"].replace("'", "&#39;")
        assert f'<p class="answer">{answer}</p>' in page
        assert "n = " in answer
    assert summary["training_death"]["answer"].startswith("Too few nets for an answer: n = 2")
    assert page.count("<th>") == 0, "every heading has a scope"
    assert "say nothing about real data" in page
    assert "<h2>Settings</h2>" in page
    for source in ("Lu, Shin, Su and Karniadakis, 2019", "Maas, Hannun and Ng, 2013"):
        assert source in page


def test_tables_hold_what_the_summary_says(run):
    summary = json.loads((run / "summary.json").read_text())
    born = {(int(r["depth"]), int(r["width"])): r for r in read_table(run, "born_dead")}
    assert summary["born_dead"]["all_inside_bounds"] is True
    shown = float(born[10, 3]["dead_fraction"])
    assert summary["born_dead"]["answer"].startswith(f"{100 * shown:.1f} % (")

    arms = {row["arm"]: row for row in read_table(run, "collapse")}
    assert arms["ReLU, He"]["published_fraction"] == "0.919"
    assert arms["ELU"]["published_fraction"] == ""
    nets = read_table(run, "collapse_nets")
    for arm, row in arms.items():
        states = [net["state"] for net in nets if net["arm"] == arm]
        assert len(states) == int(row["n_nets"]) == 20
        assert states.count("collapsed") == int(row["n_collapsed"])

    rows = read_table(run, "dead_units")
    assert len(rows) == 2 * 3 * 2 * 2 * (3 + 1)  # momenta, rates, alphas, seeds, epochs
    assert {row["dead_fraction"] for row in rows if row["alpha"] != "0.0"} <= {"0.0", ""}
    for row in rows:
        assert (row["inactive_fraction"] == "") == (row["diverged"] == "True")


@pytest.mark.parametrize("name", ["config.json", "born_dead.json", "training_death.json"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "deleted"])
def test_report_of_a_damaged_run_is_refused(run, tmp_path, capsys, name, damage):
    shutil.copytree(run, tmp_path / "copy")
    file = tmp_path / "copy" / name
    content = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        at = content.rindex(b"0")
        file.write_bytes(content[:at] + (b"1" + content[at + 1 :] if damage == "flipped" else b""))
    assert report([str(tmp_path / "copy")]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    if name == "config.json" and damage == "deleted":
        assert error.startswith(f"error: {tmp_path / 'copy'} holds no run: {file} cannot be read")
    else:
        assert error.startswith(f"error: {file} is ")
        assert "again" in error


@pytest.mark.parametrize("damage", ["flipped", "truncated", "deleted"])
def test_resume_measures_again_only_what_is_missing_or_damaged(
    run, tmp_path, capsys, monkeypatch, damage
):
    """Of three parts one is gone: the others are kept, and the run ends as an undisturbed one."""
    monkeypatch.setattr(budget, "QUICK", TINY)
    if damage != "deleted":  # to measure once is enough
        part, _ = folder.read_part(run, "born_dead", BornDead)
        monkeypatch.setattr(born_dead, "measure_born_dead", lambda *_: part)
    shutil.copytree(run, tmp_path / "copy")
    file = tmp_path / "copy" / "born_dead.json"
    whole = file.read_bytes()
    if damage == "deleted":
        file.unlink()
    else:
        file.write_bytes(whole[:-100] if damage == "truncated" else whole.replace(b"10", b"11", 1))
    for name in ("report.html", "summary.json", "collapse.csv", "plots/remedies.png"):
        (tmp_path / "copy" / name).unlink()
    assert main(["--output", str(tmp_path / "copy"), "--resume"]) == 0
    output = capsys.readouterr().out
    assert "Collapse: finished before" in output
    assert "Born dead: finished before" not in output
    assert ("born_dead.json.damaged" in output) == (damage != "deleted")
    for name in TABLES:
        assert read_table(tmp_path / "copy", name) == read_table(run, name)
    for plot in PLOTS:
        drawn, before = (path / "plots" / f"{plot}.png" for path in (tmp_path / "copy", run))
        assert drawn.read_bytes() == before.read_bytes()
    kept, before = (read_json(path / "born_dead.json") for path in (tmp_path / "copy", run))
    assert {**kept, "seconds": 0} == {**before, "seconds": 0}


def test_resume_of_another_run_is_refused(run, capsys, monkeypatch):
    before = (run / "report.html").read_bytes()
    for flag in ("--seed=4", "--data=digits"):
        monkeypatch.setattr(budget, "QUICK", TINY)
        assert main(["--output", str(run), "--resume", flag]) == 2
        error = capsys.readouterr().err.strip()
        name, _, value = flag.removeprefix("--").partition("=")
        assert f"Changed: {name}: " in error
        assert f"{value} now" in error
    monkeypatch.setattr(budget, "QUICK", dataclasses.replace(TINY, n_seeds=3))
    assert main(["--output", str(run), "--resume"]) == 2
    assert "Changed: budget: " in capsys.readouterr().err
    assert (run / "report.html").read_bytes() == before


def test_run_of_an_earlier_version_can_be_replaced_and_not_drawn(tmp_path, capsys):
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"format": "keras_leaky dying_relu 1"}))
    check_output(path, resume=False, overwrite=True)
    assert report([str(path)]) == 2
    assert "is a run of an earlier version" in capsys.readouterr().err


@pytest.mark.slow
def test_report_draws_the_page_again(run):
    page = run / "report.html"
    html, drawn = page.read_bytes(), {path: path.read_bytes() for path in run.glob("plots/*.png")}
    for path in (page, *drawn):
        path.unlink()
    assert report([str(run)]) == 0
    assert page.read_bytes() == html
    assert {path: path.read_bytes() for path in run.glob("plots/*.png")} == drawn


@pytest.mark.soak
def test_same_seed_gives_the_same_nets(run, tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "QUICK", TINY)
    assert main([*QUICK, "--output", str(tmp_path / "again"), "--seed", "3"]) == 0
    assert main([*QUICK, "--output", str(tmp_path / "other"), "--seed", "4"]) == 0
    for name in ("born_dead", "collapse_nets"):
        assert read_table(tmp_path / "again", name) == read_table(run, name)
        assert read_table(tmp_path / "other", name) != read_table(run, name)
    starts = [
        [row for row in read_table(path, "dead_units") if row["epoch"] == "0"]
        for path in (run, tmp_path / "again", tmp_path / "other")
    ]
    assert starts[0] == starts[1] != starts[2]


def test_overwrite_replaces_a_run_of_this_recipe_and_nothing_else(run, tmp_path, capsys):
    other = tmp_path / "search"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"format": "keras_leaky run 1"}))
    assert main([*QUICK, "--output", str(other), "--overwrite"]) == 2
    assert "Nothing was deleted" in capsys.readouterr().err
    assert (other / "config.json").exists()

    before = (run / "report.html").read_bytes()
    assert main([*QUICK, "--output", str(run)]) == 2
    assert "replace it with `--overwrite`" in capsys.readouterr().err
    assert (run / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--data-dir {path}/empty", "must hold mnist.npz"),
        ("--data synthetic --data-dir {path}/empty", "`--data-dir` must be left out"),
        ("--data synthetic --seed -1", "`--seed` must be a whole number from 0 to 2**32 - 1"),
        ("--data synthetic --overwrite", "`--overwrite` needs `--output RUN`"),
        ("--data synthetic --resume", "`--resume` needs `--output RUN`"),
        ("--output {path}/empty --resume --overwrite", "give one of them"),
        ("--output {path}/empty --resume", "holds no run"),
        ("--output {path}/full --resume", "holds no run"),
        ("--data synthetic --output {path}/file", "must be a folder"),
        ("--data synthetic --output {path}/file/run", "must be a folder"),
        ("--data synthetic --output {path}/full", "must be a new or empty folder"),
        ("--data synthetic --output {path}/full --overwrite", "Nothing was deleted"),
        ("--data synthetic --output /proc/run", "can be written"),
    ],
)
def test_wrong_input_exits_with_2_and_leaves_nothing(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)  # the default run folder would be made here
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main(flags.format(path=tmp_path).split()) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_file_that_cannot_be_written_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(budget, "QUICK", TINY)

    def fail(path, *_):
        raise WriteError(28, "No space left on device", str(path / "born_dead.json"))

    monkeypatch.setattr(folder, "write_part", fail)
    assert main([*QUICK, "--output", str(tmp_path / "run")]) == 1
    first, *rest = capsys.readouterr().err.strip().splitlines()
    assert first.endswith(
        "born_dead.json cannot be written: No space left on device. Free some space, then run "
        "the command again."
    )
    assert rest[-1].endswith(f"--output {tmp_path / 'run'} --resume")


def test_one_process_a_run(tmp_path, capsys):
    path = tmp_path / "run"
    path.mkdir()
    with folder_lock(path):
        assert main([*QUICK, "--output", str(path)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"error: `--output` must be free: {path} is in use by process ")


def test_wrong_input_does_not_wait_for_keras():
    code = (
        "import sys; from recipes.dying_relu.__main__ import main; "
        "assert main(['--seed=-1']) == 2; assert 'keras' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    path = ROOT / "recipes" / "probe"
    script = f"import sys; sys.modules['__main__'].__file__ = {str(path)!r}; {code}"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)


def test_defaults_and_help(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = parse_flags([])
    assert (flags.quick, flags.data, flags.seed) == (False, "auto", 0)
    assert flags.output.parent == tmp_path / "runs"
    with pytest.raises(SystemExit) as stop:
        parse_flags(["--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    names = ("quick", "data", "data-dir", "seed", "output", "resume", "overwrite")
    for name in names:
        assert f"--{name}" in text
    assert "Test images are not used" in text


def test_user_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_flags(["--output", "~/run"]).output == tmp_path / "run"


@pytest.mark.slow
def test_quick_run_that_is_interrupted_keeps_what_is_finished(tmp_path):
    path = tmp_path / "run"
    flags = (*QUICK, "--output", path)
    command = Command(*flags, folder=tmp_path / "printed", recipe="dying_relu")
    assert command.wait_for((path / "plots" / "born_dead_remedies.png").exists)
    command.process.send_signal(signal.SIGINT)
    ended = command.end()
    assert ended.code == 130
    assert not ended.has_traceback
    names = {item.name for item in path.iterdir()}
    assert names == {
        *("config.json", "plots", ".lock", "born_dead.json"),
        *("born_dead.csv", "born_dead_bounds.csv", "born_dead_remedies.csv"),
    }
    assert {p.name for p in (path / "plots").iterdir()} == {
        "born_dead.png",
        "born_dead_remedies.png",
    }
    assert ended.error.endswith(
        f"Resume with:\n  python -m recipes.dying_relu --output {path} --resume"
    )
    assert main([*QUICK, "--output", str(path)]) == 2
    assert report([str(path)]) == 2


@pytest.mark.soak
def test_quick_run_of_the_command(tmp_path):
    """With its own sizes, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "recipes.dying_relu",
        *QUICK,
        "--output",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("say nothing about real data") == 1
    assert str(tmp_path / "run" / "report.html") in done.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["born_dead"]["all_inside_bounds"] is True
    assert summary["collapse"]["rai_over_he"]["ratio"] < 0.7
    for part in ("born_dead", "collapse", "training_death"):
        assert summary[part]["answer"] in done.stdout
