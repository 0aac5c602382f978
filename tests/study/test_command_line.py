"""`keras-leaky study | report | dead-units`, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_leaky.storage import WriteError
from keras_leaky.study import Study, load
from keras_leaky.study.command_line import main
from tests.study.data_arrays import write_data, write_table

ROOT = Path(__file__).parents[2]
N = 150
X = np.random.default_rng(1).normal(size=(N, 6)).astype("float32")  # as of `write_table`
CLASSES = (X[:, 0] > 0).astype("int64")
TINY = ("--arms", "leaky_relu", "--epochs=1", "--trials=2", "--finalists=1", "--seeds=2")

NET = """
import keras

def build(hp, rectifier):
    layers = [
        keras.Input((6,)),
        keras.layers.Dense(4, kernel_initializer=rectifier.initializer()),
        rectifier(),
        keras.layers.Dense(2),
    ]
    model = keras.Sequential(layers)
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with data.npz and a finished study of it, run; and what was printed."""
    folder = tmp_path_factory.mktemp("finished")
    labels = np.array(["cat", "dog"])[CLASSES]
    data = write_table(folder, labels, source=np.array("Pets"))
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("builtins.print", lambda *a, **_: lines.append(" ".join(map(str, a))))
        assert main(["study", "--data", str(data), *TINY, f"--output={folder / 'run'}"]) == 0
    return folder, "\n".join(lines)


def test_study_without_a_file_ends_in_a_page_and_a_verdict(finished):
    folder, printed = finished
    assert "Data: Pets, from data.npz: 102 training, 18 validation, 30 test examples" in printed
    outcome = load(folder / "run")
    assert outcome.page.exists()
    assert list(outcome.arms) == ["relu", "leaky_relu"]
    assert [len(outcome.trials), len(outcome.retrainings)] == [4, 4]
    assert outcome.metric.objective == "val_accuracy"
    assert "30 of its 150 training examples are held out as test data" in outcome.warning
    assert "'cat', 'dog' have become the classes 0 to 1" in outcome.warning
    assert "a small net of 2 hidden layers for vectors of 6, to 2 classes" in outcome.data_source


def test_a_table_ends_with_a_command_that_can_be_copied(tmp_path, capsys):
    (tmp_path / "pets.csv").write_text("a,TARGET\n1,0\n")
    assert main(["study", "--data", str(tmp_path / "pets.csv")]) == 2
    assert capsys.readouterr().err.endswith("\n  keras-leaky study --data pets.npz\n")


def test_finished_study_is_drawn_again_and_its_model_is_looked_at(finished, capsys, tmp_path):
    folder, _ = finished
    page = folder / "run" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert main(["report", str(folder / "run")]) == 0
    assert page.read_bytes() == before
    assert str(page) in capsys.readouterr().out
    flags = ["--data", str(folder / "data.npz"), "--json", str(tmp_path / "units.json")]
    assert main(["dead-units", str(folder / "run" / "best.keras"), *flags]) == 0
    printed = capsys.readouterr().out
    assert "on the first 150 examples of x_train" in printed
    assert "inactive" in printed
    units = json.loads((tmp_path / "units.json").read_text())
    assert (units["array"], units["n_samples"], len(units["layers"])) == ("x_train", 150, 2)


def test_resume_keeps_what_is_there_and_adds_what_is_asked_for(finished, capsys):
    folder, _ = finished
    before = load(folder / "run")
    flags = ["study", "--resume", f"--output={folder / 'run'}"]
    assert main(flags) == 0
    assert load(folder / "run").trials == before.trials  # the seconds too: nothing ran again
    assert main([*flags, "--seeds=3"]) == 0
    assert len(load(folder / "run").retrainings) == 6
    capsys.readouterr()
    assert main([*flags, "--seed=5"]) == 2
    assert "seed: the study has 0, this run asks for 5" in capsys.readouterr().err


DATA = {
    "vectors": (X, CLASSES, "2 hidden layers for vectors of 6, to 2 classes"),
    "real": (X, X[:, 0], "for vectors of 6, to 1 number per example"),
    "several": (X, X[:, :3], "for vectors of 6, to 3 numbers per example"),
    "one-hot": (X, np.eye(2)[CLASSES], "for vectors of 6, to 2 classes"),
    "numbers": (X[:, 0], CLASSES, "for vectors of 1, to 2 classes"),
    "images": (np.zeros((N, 12, 9, 2), "float32"), np.arange(N) % 3, "for images of 12 x 9 x 2"),
    "grey": (np.zeros((N, 10, 10), "uint8"), CLASSES, "for images of 10 x 10, to 2 classes"),
    "tiny": (np.zeros((N, 2, 3, 1), "int16"), CLASSES, "for images of 2 x 3 x 1, to 2 classes"),
    "sequences": (np.zeros((N, 16, 5), "float16"), CLASSES, "for sequences of 16 x 5"),
    "arrays": (np.zeros((N, 3, 4, 5, 2)), CLASSES, "2 hidden layers for arrays of 3 x 4 x 5 x 2"),
}


@pytest.mark.parametrize("name", DATA)
def test_net_that_fits_the_shape(name, tmp_path, capsys):
    x, y, told = DATA[name]
    x = x + np.arange(N, dtype=x.dtype).reshape(-1, *[1] * (x.ndim - 1))  # rows that differ
    data = write_table(tmp_path, y, x_train=x)
    output = tmp_path / "run"
    flags = ["--data", str(data), "--output", str(output), "--arms", "elu", "--dry-run"]
    assert main(["study", *flags]) == 0
    printed = capsys.readouterr().out
    assert told in printed
    assert "Dry run: nothing is trained or written." in printed
    assert not output.exists()


def test_study_of_real_targets_ends(tmp_path):
    data = write_table(tmp_path, 1e5 + 1e4 * X[:, 0])
    assert main(["study", "--data", str(data), *TINY, f"--output={tmp_path / 'run'}"]) == 0
    outcome = load(tmp_path / "run")
    assert (outcome.metric.objective, outcome.metric.direction) == ("val_mae", "min")
    # The targets come out in their own scale: nobody is off by their mean.
    assert max(row.val_score for row in outcome.retrainings) < 3e4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--data {path}/none.npz", "`--data` must be an .npz file"),
        ("--data {path}/data.npz --arms swish", "swish"),
        ("--data {path}/data.npz --arms leaky_relu=x", "leaky_relu=x"),
        ("--data {path}/data.npz --arms elu elu", "twice"),
        ("--data {path}/data.npz --objective val_mae", "val_accuracy"),
        ("--data {path}/data.npz --epochs 0", "`--epochs` must be a whole number >= 1"),
        ("--data {path}/other.npz", "unless FILE.py holds a net for it"),
        ("--data {path}/nan.npz", "`x_train` must be finite"),
        ("--data {path}/wide.npz {path}/net.py", r"for inputs of shape (5,), as `x_train`"),
        ("--data {path}/data3.npz {path}/net.py", "2 outputs, and labels from 0 to 2"),
        ("--data {path}/data.npz {path}/none.py", "`FILE` must be a Python file"),
        ("--data {path}/data.npz {path}", "which is not a regular file"),
        ("--data {path}/data.npz {path}/empty.py", "must define build(hp, rectifier)"),
        ("--data {path}/data.npz {path}/one.py", "must take (hp, rectifier). Received: build(hp)"),
        ("--data {path}/data.npz --output {path}/data.npz", "`--output` must be a folder"),
        ("--data {path}/data.npz --output {path}", "which holds other files"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(
    tmp_path, capsys, monkeypatch, flags, message
):
    monkeypatch.chdir(tmp_path)  # the default run folder would be made here
    write_table(tmp_path, CLASSES)
    for name, changes in {
        "other": {"y_train": np.zeros((N, 3), "int64")},
        "nan": {"x_train": np.full((N, 6), np.nan)},
        "wide": {"x_train": X[:, :5]},
        "data3": {"y_train": np.arange(N) % 3},
    }.items():
        write_data(tmp_path, f"{name}.npz", **{**WITHOUT_TEST, **changes})
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "one.py").write_text("def build(hp): ...")
    before = sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts)
    assert main(["study", *flags.format(path=tmp_path).split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert before == sorted(path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts)


WITHOUT_TEST = {"x_train": X, "y_train": CLASSES, "x_test": None, "y_test": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a command is missing. `keras-leaky --help` shows an example."),
        (["train"], "there is no command 'train'. `keras-leaky --help`"),
        (["report", "/nowhere"], "holds no study"),
        (["dead-units", "/nowhere", "--data", "x.npz"], "`MODEL` must be a .keras or .h5 file"),
        (["dead-units", __file__, "--data", "/nowhere.npz"], "`--data` must be an .npz file"),
    ],
)
def test_wrong_commands_exit_with_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_models_that_do_not_load_or_fit_are_told(finished, tmp_path, capsys):
    folder, _ = finished
    data = write_table(tmp_path, CLASSES, x_train=X[:, :5])
    assert main(["dead-units", __file__, "--data", str(data)]) == 2
    assert "`MODEL` cannot be loaded" in capsys.readouterr().err
    assert main(["dead-units", str(folder / "run" / "best.keras"), "--data", str(data)]) == 2
    assert "must have the shape that the model takes, (None, 6)" in capsys.readouterr().err


def test_error_inside_the_file_keeps_its_traceback(tmp_path):
    data = write_table(tmp_path, CLASSES)
    for name, text in {"a.py": "1 / 0", "b.py": "def build(hp, rectifier):\n    1 / 0"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ZeroDivisionError):
            main(["study", str(tmp_path / name), "--data", str(data)])


def test_file_sees_the_labels_and_metrics_that_it_knows(tmp_path):
    (tmp_path / "net.py").write_text(NET.replace("Dense(2)", "Dense(9)"))
    data = write_table(tmp_path, CLASSES + 7)
    flags = [str(tmp_path / "net.py"), "--data", str(data), *TINY]
    assert main(["study", *flags, f"--output={tmp_path / 'run'}"]) == 0
    outcome = load(tmp_path / "run")
    assert outcome.data_source.endswith("; net: net.py")
    assert max(row.test_score for row in outcome.retrainings) > 0.2


@pytest.mark.slow
def test_file_without_a_guard_runs_once_and_travels_to_workers(tmp_path, capfd):
    """With the modules beside it, which the workers cannot import.

    The workers write no start-up notes of TensorFlow.
    """
    (tmp_path / "beside_it.py").write_text("UNITS = 4")
    text = NET.replace("Dense(4", "Dense(beside_it.UNITS")
    count = f"with open({str(tmp_path / 'count')!r}, 'a') as f: f.write('x')"
    (tmp_path / "net.py").write_text(f"import beside_it\n{count}\n{text}")
    data = write_table(tmp_path, CLASSES)
    flags = [str(tmp_path / "net.py"), "--data", str(data), *TINY, "--workers=1"]
    assert main(["study", *flags, f"--output={tmp_path / 'run'}"]) == 0
    assert (tmp_path / "count").read_text() == "x"
    assert {row.status for row in load(tmp_path / "run").trials} == {"COMPLETED"}
    out, err = capfd.readouterr()
    assert "in this process" not in out
    assert "InitializeLog" not in err
    assert "cuInit" not in err


def test_study_in_which_all_fails_exits_with_1_and_a_sentence(tmp_path, capsys):
    (tmp_path / "net.py").write_text(NET.replace("1e-3, 1e-1", "1e20, 1e29"))
    data = write_table(tmp_path, CLASSES)
    flags = [str(tmp_path / "net.py"), "--data", str(data), *TINY]
    assert main(["study", *flags, f"--output={tmp_path / 'run'}"]) == 1
    error = capsys.readouterr().err
    assert "error: No arm has a result." in error
    assert "The validation loss became nan in epoch 1" in error
    assert "--resume" not in error  # it would end there again


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "\nInterrupted.\nFinished trainings are kept."),
        (WriteError(28, "No space left on device", "a/b"), 1, "a/b cannot be written: No space"),
        (ZeroDivisionError("a bug"), None, ""),
    ],
)
def test_run_that_ends_early_says_how_to_go_on(tmp_path, capsys, monkeypatch, error, code, message):
    def end(study, *_, **__):
        study.directory.mkdir()
        (study.directory / "study.json").write_text("{}")
        raise error

    monkeypatch.setattr(Study, "run", end)
    data, run = write_table(tmp_path, CLASSES), tmp_path / "a run"
    flags = ["study", "--data", str(data), "--output", str(run)]
    way_on = f"Resume with:\n  keras-leaky study --output '{run}' --resume"
    if code is None:  # Python prints notes below a traceback
        with pytest.raises(ZeroDivisionError) as stop:
            main(flags)
        assert way_on in stop.value.__notes__[0]
    else:
        assert main(flags) == code
        told = capsys.readouterr().err
        assert message in told
        assert way_on in told


def test_ctrl_c_while_the_command_is_imported_is_quiet(tmp_path):
    script = tmp_path / "keras-leaky"
    script.write_text(
        "import os, signal\nfrom keras_leaky.study.command_line import main\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (130, b"\nInterrupted.\n")


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_end_the_run(tmp_path):
    """`keras-leaky study ... | head -1`"""
    script = tmp_path / "keras-leaky"
    script.write_text(
        "import sys\nfrom keras_leaky.study.command_line import main\nsys.exit(main())"
    )
    data, run = write_table(tmp_path, CLASSES), tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-u", script, "study", "--data", data, *TINY, "--output", run],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.stdout.close()
        error = child.stderr.read()
    assert child.returncode == 0, error
    assert (run / "report.html").exists()
