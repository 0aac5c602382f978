"""Whole searches, as a user runs them, on images small enough for seconds."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_leaky.diagnostics import dead_units
from recipes.common import data as data_module
from recipes.common.errors import DiskFullError
from recipes.common.main import main
from recipes.common.run_folder import RunFolder
from recipes.common.search_options import Cifar10Options, Cifar100Options, MnistOptions
from recipes.report import main as report
from tests.recipes.conftest import TINY, write_mnist

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, to be copied."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert main(MnistOptions, "mnist", [*TINY, "--trials=1", "--seeds=1", f"--output={path}"]) == 0
    return path


def results(run):
    return [dataclasses.replace(row, seconds=0) for row in run.trials]


def test_run_leaves_what_the_design_names(search, capsys):
    code, run = search("run", "--trials", 2, "--seeds", 2)
    assert code == 0
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *("config.json", "environment.json", "summary.json", "trials.csv", "epochs.csv"),
        *("retrainings.csv", "dead_units.csv", "best.keras", "report.html", "plots", "search"),
        *("retrainings", ".lock"),
    }
    summary = run.read_json("summary")
    keys = "dataset data_source activation n_trials n_failed seconds best test relu_baseline"
    assert {*keys.split(), "difference", "verdict"} <= set(summary)
    assert set(summary["best"]) >= {"alpha", "learning_rate", "val_accuracy"}
    assert set(summary["test"]) == {"mean", "std", "n", "ci95"}
    assert set(summary["relu_baseline"]) == {"best", "test"}
    assert set(summary["difference"]) == {"mean", "ci95", "n"}
    assert (summary["n_trials"], summary["n_failed"], summary["test"]["n"]) == (4, 0, 2)

    rows = {arm: [r for r in run.retrainings if r.arm == arm] for arm in ("leaky_relu", "relu")}
    ours, relu = ([row.test_accuracy for row in rows[arm]] for arm in rows)
    assert [row.seed for row in rows["relu"]] == [row.seed for row in rows["leaky_relu"]]
    assert summary["difference"]["mean"] == pytest.approx(np.mean(np.subtract(ours, relu)))
    assert summary["best"]["val_accuracy"] == max(
        row.score for row in run.trials if row.arm == "leaky_relu"
    )
    out = capsys.readouterr().out
    assert summary["verdict"] in out
    assert str(run.page) in out
    warning = "say nothing about real data"
    assert out.count(warning) == 2, "before the work and beside the verdict"
    assert warning in summary["warning"]
    assert summary["dataset"] == "synthetic"
    assert "<title>Leaky ReLU on synthetic images</title>" in run.page.read_text()


def test_best_model_loads_elsewhere_and_takes_raw_images(search, tmp_path):
    """The lines that the page prints, run in a fresh process."""
    _, run = search("run", "--trials", 1, "--seeds", 1)
    arrays = data_module.load(data_module.DATASETS["mnist"], "synthetic", None)
    np.savez(tmp_path / "images.npz", x=arrays.x_test)
    page = run.page.read_text()
    lines = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL).group(1).strip()
    lines = lines.replace("&#39;", "'")
    assert len(lines.splitlines()) == 3
    code = (
        f"import numpy as np; images = np.load({str(tmp_path / 'images.npz')!r})['x']\n{lines}\n"
        f"np.save({str(tmp_path / 'logits.npy')!r}, logits)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    logits = np.load(tmp_path / "logits.npy")
    assert logits.shape == (500, 10)
    accuracy = np.mean(np.argmax(logits, 1) == arrays.y_test)
    assert accuracy == pytest.approx(run.retrainings[0].test_accuracy)
    assert logits.max() > 1 or logits.min() < 0, "these are probabilities, not logits"


def test_same_seed_gives_the_same_trials(search):
    flags = ("--trials", 2, "--seeds", 1, "--seed", 0)
    (_, first), (_, again) = search("a", *flags), search("b", *flags)
    _, other = search("c", "--trials", 2, "--seeds", 1, "--seed", 1)
    assert results(first) == results(again)
    assert first.epochs == again.epochs
    assert [row.test_accuracy for row in first.retrainings] == [
        row.test_accuracy for row in again.retrainings
    ]
    assert results(first) != results(other)


def test_page_is_one_self_contained_file_and_can_be_drawn_again(search, capsys):
    _, run = search("run", "--trials", 2, "--seeds", 2)
    page = run.page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert run.read_json("summary")["verdict"].replace("'", "&#39;") in page
    plots = sorted(run.path.glob("plots/*.png"))
    assert [path.stem for path in plots] == [
        *("dead_units", "learning_curves", "learning_rate", "test_accuracy", "trials")
    ]
    for plot in plots:
        assert base64.b64encode(plot.read_bytes()).decode() in page
    before = {path: path.read_bytes() for path in [*plots, run.page]}
    for path in before:
        path.unlink()
    assert report([str(run.path)]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert str(run.page) in capsys.readouterr().out


def test_report_of_no_run_or_half_a_run_exits_with_2(tmp_path, search, capsys):
    assert report([str(tmp_path / "nowhere")]) == 2
    _, run = search("run", "--trials", 1, "--seeds", 1)
    (run.path / "summary.json").unlink()
    assert report([str(run.path)]) == 2
    assert "did not get that far" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("summary.json", text) for text in ("{}", "[]", "{")),
        *(("environment.json", text) for text in ("{}", "[]", None)),
        *(("config.json", text) for text in ("{}", None)),
        *(("search/relu/trial_0000/trial.json", text) for text in ("{}", None)),
        *(("best.keras", text) for text in ("PK", None)),
        ("plots", "a file"),
    ],
)
def test_report_of_a_damaged_run_exits_with_2_and_changes_nothing(
    finished, tmp_path, capsys, name, content
):
    path = tmp_path / "copy"
    shutil.copytree(finished, path)
    if name == "plots":
        shutil.rmtree(path / name)
    if content is None:
        (path / name).unlink()
    else:
        (path / name).write_text(content)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert report([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_units_of_relu_and_of_the_chosen_point_are_counted(search):
    code, run = search("run", "--trials", 1, "--seeds", 2, "--model", "cnn")
    assert code == 0
    seeds = [row.seed for row in run.retrainings if row.arm == "relu"]
    for trial in run.trials:
        rows = run.dead_units_of(trial)
        assert [(row.seed, row.layer, row.n_units) for row in rows] == [
            (seed, f"rectifier_{i + 1}", n) for seed in seeds for i, n in enumerate((16, 32, 100))
        ]
        assert {(row.arm, row.kind, row.n_samples) for row in rows} == {(trial.arm, trial.arm, 300)}
    # best.keras is the first retraining of the activation, so its units can be counted again.
    images = data_module.split(
        data_module.load(data_module.DATASETS["mnist"], "synthetic", None), None
    ).x_validation
    again = dead_units(keras.saving.load_model(run.best_model), images).to_dict()["layers"]
    found = run.dead_units_of(run.trials[0])[:3]
    assert [layer["active_fraction"] for layer in again] == [row.active_fraction for row in found]
    page = run.page.read_text()
    assert "<td>rectifier 3</td><td>100</td>" in page
    assert "up to 0.99% of such images" in page  # 1 - 0.05 ** (1 / 300)


@pytest.mark.parametrize("n_lost", [1, 2])
def test_report_of_a_run_with_lost_records_advises_what_works(finished, tmp_path, capsys, n_lost):
    path = tmp_path / "copy"
    shutil.copytree(finished, path)
    before = RunFolder.open(path)
    for record in sorted(path.glob("retrainings/*/*.json"))[:n_lost]:
        record.unlink()
    assert report([str(path)]) == 2
    assert f"2 trials and {2 - n_lost} retrainings" in capsys.readouterr().err
    assert main(MnistOptions, "mnist", ["--output", str(path), "--resume"]) == 0
    assert "retrainings.csv is damaged: it holds rows of which" in capsys.readouterr().out
    assert report([str(path)]) == 0
    after = RunFolder.open(path)
    assert results(after) == results(before)
    assert [row.test_accuracy for row in after.retrainings] == [
        row.test_accuracy for row in before.retrainings
    ]


def test_resume_makes_again_what_was_damaged_and_says_so(finished, tmp_path, capsys):
    path = tmp_path / "copy"
    shutil.copytree(finished, path)
    before = RunFolder.open(path)
    names = (
        "search/relu/trial_0000/trial.json",
        *("search/leaky_relu/oracle.json", "environment.json", "best.keras"),
    )
    for name in names:
        (path / name).write_bytes((path / name).read_bytes()[:-5])
    (path / "summary.json").write_text("{")
    assert report([str(path)]) == 2
    assert "Resume the run, which makes it again." in capsys.readouterr().err
    assert main(MnistOptions, "mnist", ["--output", str(path), "--resume"]) == 0
    out = capsys.readouterr().out
    for name in names:
        assert f"Note: {name} is damaged: " in out
        assert (path / f"{name}.damaged").exists()
    after = RunFolder.open(path)
    assert after.damage == []
    assert (results(after), after.epochs) == (results(before), before.epochs)
    assert keras.saving.load_model(after.best_model).count_params() > 0
    assert report([str(path)]) == 0


def test_more_trials_and_seeds_are_said(finished, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "copy")
    output = ["--output", str(tmp_path / "copy"), "--resume"]
    assert main(MnistOptions, "mnist", [*output, "--trials=2", "--seeds=2"]) == 0
    out = capsys.readouterr().out
    assert "Resuming with 2 trials an arm instead of 1." in out
    assert "Resuming with 2 retrainings a chosen point instead of 1." in out
    assert main(MnistOptions, "mnist", output) == 0
    assert "instead of" not in capsys.readouterr().out


def test_runs_of_other_recipes_and_earlier_versions_are_refused_by_name(finished, tmp_path, capsys):
    output = ["--output", str(finished), "--resume"]
    assert main(Cifar10Options, "cifar10", output) == 2
    assert "a run of `python -m recipes.mnist`" in capsys.readouterr().err
    path = tmp_path / "config.json"
    for form, message in {
        "keras_leaky dying_relu 2": "is that of a run of `python -m recipes.dying_relu`",
        "keras_leaky run 1": "is that of a run of an earlier version",
    }.items():
        path.write_text(json.dumps({"format": form, "given": {"trials": 1}}))
        assert main(MnistOptions, "mnist", ["--output", str(tmp_path), "--resume"]) == 2
        assert message in capsys.readouterr().err
    assert report([str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    replaced = [*TINY, "--trials=1", "--seeds=1", f"--output={tmp_path}", "--overwrite"]
    assert main(MnistOptions, "mnist", [*replaced, "--dry-run", "--config", str(path)]) == 0
    assert main(MnistOptions, "mnist", replaced) == 0


def test_failed_run_says_how_to_go_on(finished, tmp_path, capsys, monkeypatch):
    for error, code in ((DiskFullError("No space left."), 1), (ZeroDivisionError("a bug"), None)):
        path = tmp_path / type(error).__name__
        shutil.copytree(finished, path)
        (path / "search/relu/trial_0000/trial.json").unlink()

        def fail(*_, error=error, **__):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "add_trial", fail)
            output = ["--output", str(path), "--resume"]
            if code is None:
                with pytest.raises(ZeroDivisionError):
                    main(MnistOptions, "mnist", output)
            else:
                assert main(MnistOptions, "mnist", output) == code
        text = capsys.readouterr().err
        assert "1 finished trials are kept. Go on with:" in text
        assert f"  python -m recipes.mnist --output {path} --resume" in text


def test_nan_trials_are_recorded_and_do_not_end_the_search(search):
    flags = ("--optimizer", "sgd", "--learning-rate-range", 1e-2, 1e30, "--trials", 6)
    code, run = search("run", *flags, "--seeds", 1, "--seed", 1)
    assert code == 0
    statuses = " ".join(row.status for row in run.trials if row.arm == "leaky_relu")
    assert "FAILED FAILED FAILED FAILED" in statuses
    assert "COMPLETED" in statuses
    for row in run.trials:
        if row.status == "FAILED":
            assert row.score is None
            assert row.reason == "training loss became nan in epoch 1"
    summary = run.read_json("summary")
    assert summary["n_failed"] == statuses.count("FAILED") + sum(
        row.status == "FAILED" for row in run.trials if row.arm == "relu"
    )
    assert summary["best"]["learning_rate"] < 1e10
    assert "What failed" in run.page.read_text()


def test_search_in_which_all_fails_exits_with_1_and_a_sentence(search, capsys):
    flags = ("--optimizer", "sgd", "--learning-rate-range", 1e20, 1e30, "--trials", 4)
    code, run = search("run", *flags)
    assert code == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: All 4 trials of leaky_relu failed")
    assert len(error.splitlines()) == 1
    assert len(run.trials) == 4


def test_resume_of_a_finished_run_trains_only_what_is_new(search):
    _, run = search("run", "--trials", 1, "--seeds", 1)
    first = run.trials, run.retrainings, run.best_model.read_bytes()
    output = ["--output", str(run.path), "--resume"]
    assert main(MnistOptions, "mnist", output) == 0
    again = RunFolder.open(run.path)
    # The seconds too: nothing was run again.
    assert (again.trials, again.retrainings, run.best_model.read_bytes()) == first

    assert main(MnistOptions, "mnist", [*output, "--seeds", "2"]) == 0
    more = RunFolder.open(run.path)
    assert more.trials == first[0]
    assert set(first[1]) < set(more.retrainings)
    assert len(more.retrainings) == 4


def test_a_better_point_found_by_a_resume_is_retrained(search):
    """The test accuracy on the page is that of the point on the page."""
    _, run = search("run", "--trials", 1, "--seeds", 1, "--seed", 1)
    before = run.read_json("summary"), run.best_model.read_bytes()
    assert main(MnistOptions, "mnist", ["--output", str(run.path), "--resume", "--trials=3"]) == 0
    run = RunFolder.open(run.path)
    summary = run.read_json("summary")
    assert summary["best"] != before[0]["best"], "take another seed: the first trial is still best"
    best = next(
        row
        for row in run.trials
        if (row.arm, row.trial_id) == ("leaky_relu", summary["best"]["trial_id"])
    )
    assert [row.test_accuracy for row in run.retrainings_of(best)] == [summary["test"]["mean"]]
    assert run.best_model.read_bytes() != before[1]
    assert "also used for" in run.page.read_text()


def test_diverged_retrainings_are_said(search, monkeypatch):
    from recipes.common import retrain

    def choose_astray(*arguments):
        return dataclasses.replace(best_trial(*arguments), learning_rate=1e30)

    best_trial = retrain.best_trial
    monkeypatch.setattr(retrain, "best_trial", choose_astray)
    flags = ("--optimizer", "sgd", "--activation", "relu", "--trials", 1, "--seeds", 2)
    code, run = search("run", *flags)
    assert code == 0
    assert "2 of 2 retrainings diverged" in run.read_json("summary")["verdict"]
    assert {row.best_epoch for row in run.retrainings} == {None}
    assert run.dead_units == []
    assert not run.best_model.exists()
    assert "There is no best.keras" in run.page.read_text()


def test_resume_with_other_settings_is_refused_and_says_which(search, capsys):
    _, run = search("run", "--trials", 2, "--seeds", 2)
    content = {path: path.read_bytes() for path in run.path.glob("*.*")}
    output = ["--output", str(run.path), "--resume"]
    for flags, message in {
        "--epochs 2 --seed 5": "epochs: the run has 1, this command asks for 2",
        "--seed 5": "seed: the run has 0, this command asks for 5",
        "--activation elu --alpha-range 0.1 1": "activation: the run has leaky_relu",
        "--data digits": "data_sha256",
        "--trials 1": "`--trials` must not be fewer",
        "--seeds 1": "`--seeds` must not be fewer",
    }.items():
        assert main(MnistOptions, "mnist", [*output, *flags.split()]) == 2
        assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.path.glob("*.*")} == content


def test_config_of_another_run_gives_the_same_run(search, tmp_path):
    _, run = search("a", "--trials", 1, "--seeds", 1, "--activation", "elu")
    config = ["--config", str(run.path / "config.json"), "--output", str(tmp_path / "b")]
    assert main(MnistOptions, "mnist", config) == 0
    assert results(RunFolder.open(tmp_path / "b")) == results(run)


@pytest.mark.parametrize(
    "flags", [("--activation", "prelu"), ("--tuner", "grid", "--model", "cnn")]
)
def test_other_settings_run_to_the_end(search, flags):
    code, run = search("run", *flags, "--trials", 4, "--seeds", 1)
    assert code == 0
    assert len(run.trials) == 8
    assert "one seed has no interval" in run.read_json("summary")["verdict"]


def test_relu_alone_has_one_arm(search):
    code, run = search("run", "--activation", "relu", "--trials", 1, "--seeds", 2)
    assert code == 0
    assert {row.arm for row in run.trials} == {"relu"}
    summary = run.read_json("summary")
    assert summary["difference"] is summary["relu_baseline"] is summary["best"]["alpha"] is None
    assert not (run.path / "plots" / "trials.png").exists()


def test_mixed_precision_is_used(search):
    _, run = search("run", "--precision", "mixed_bfloat16", "--trials", 1, "--seeds", 1)
    model = keras.saving.load_model(run.best_model)
    assert {layer.compute_dtype for layer in model.layers} >= {"bfloat16", "float32"}
    assert model.get_layer("logits").compute_dtype == "float32"


def test_cifar_runs_on_colour_images(tmp_path):
    flags = [*TINY, "--model", "cnn", "--trials", "1", "--seeds", "1"]
    assert main(Cifar10Options, "cifar10", [*flags, "--output", str(tmp_path / "run")]) == 0
    model = keras.saving.load_model(RunFolder.open(tmp_path / "run").best_model)
    assert model.input_shape == (None, 32, 32, 3)


def test_cifar100_has_a_hundred_classes(tmp_path):
    flags = [*TINY, "--train-limit", "400", "--trials", "1", "--seeds", "1"]
    assert main(Cifar100Options, "cifar100", [*flags, "--output", str(tmp_path / "run")]) == 0
    model = keras.saving.load_model(RunFolder.open(tmp_path / "run").best_model)
    assert model.output_shape == (None, 100)


@pytest.mark.soak
def test_best_model_of_an_augmented_full_net_is_the_one_that_was_tested(search):
    """It is built again without augmentation; the test accuracy is of the trained one."""
    flags = ("--model", "vgg_bn", "--train-limit", 100, "--trials", 1, "--seeds", 1)
    _, run = search("run", *flags, "--activation", "prelu", "--learning-rate-range", 1e-3, 1e-2)
    data = data_module.split(
        data_module.load(data_module.DATASETS["mnist"], "synthetic", None), None
    )
    model = keras.saving.load_model(run.best_model)
    predicted = model.predict(data.x_test, verbose=0).argmax(-1)
    tested = next(row for row in run.retrainings if row.arm == "prelu")
    assert np.mean(predicted == data.y_test) == pytest.approx(tested.test_accuracy)


def test_dry_run_writes_nothing(tmp_path, capsys):
    flags = [*TINY, "--dry-run", "--tuner", "grid", "--trials", "10", "--output"]
    assert main(MnistOptions, "mnist", [*flags, str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "9 (grid)" in out
    assert "200 training, 300 validation, 500 test images" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--data-dir {path}/empty", "must hold mnist.npz"),
        ("--data-dir {path}/shapes", "`x_test` must have shape"),
        ("--data-dir {path}/labels", "`y_train` must hold the labels 0 to 9"),
        ("--data synthetic --output {path}/file", "must be a folder"),
        ("--data synthetic --output {path}/file/run", "must be a folder"),
        ("--data synthetic --output {path}/full", "must be a new or empty folder"),
        ("--data synthetic --output {path}/full --overwrite", "Nothing was deleted"),
        ("--data synthetic --output {path}/full --resume", "there is no run to read"),
        ("--data synthetic --output {path}/new --batch-size 1701", "1700 training images"),
        ("--data synthetic --output {path}/new --train-limit 5", "--train-limit 5"),
    ],
)
def test_wrong_input_exits_with_2_and_leaves_nothing(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)  # the default run folder would be made here
    (tmp_path / "empty").mkdir()
    write_mnist(tmp_path / "shapes", x_test=np.zeros((100, 14, 14), "uint8"))
    write_mnist(tmp_path / "labels", y_train=np.arange(400) % 11)
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main(MnistOptions, "mnist", flags.format(path=tmp_path).split()) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_reader_that_goes_away_does_not_end_the_run(tmp_path):
    """`python -m recipes.mnist ... | head -1`"""
    run = tmp_path / "run"
    command = [sys.executable, "-u", "-m", "recipes.mnist", *TINY, "--trials=1", "--seeds=1"]
    with subprocess.Popen(
        [*command, "--output", str(run)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        child.stdout.close()
        error = child.stderr.read()
    assert child.returncode == 0, error
    assert (run / "report.html").exists()


def test_environment_names_machine_and_versions(search):
    _, run = search("run", "--trials", 1, "--seeds", 1)
    environment = run.read_json("environment")
    assert environment["versions"]["keras"] == keras.__version__
    assert environment["n_threads"] >= 1
    assert environment["command"].startswith("python -m recipes.mnist --data=synthetic")
    assert json.loads((run.path / "config.json").read_text())["options"]["trials"] == 1
