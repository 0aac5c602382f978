"""Whole recipes, as a user runs them, on images small enough for seconds."""

import json
import re
import shutil

import keras
import numpy as np
import pytest

from keras_leaky.study import load, load_all
from recipes import cifar10, cifar100, compare, mnist
from recipes.datasets import load as load_images
from recipes.report import main as report
from tests.recipes.image_files import write_mnist
from tests.recipes.tables import read_table

TINY = (
    *("--data=synthetic", "--model=mlp", "--epochs=1", "--train-limit=200", "--batch-size=50"),
    *("--precision=float32", "--trials=2", "--finalists=1", "--seeds=2"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of recipes.mnist, not to be changed."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert mnist.main([*TINY, f"--output={path}"]) == 0
    return path


def test_run_searches_the_activation_beside_relu(finished):
    outcome = load(finished)
    assert list(outcome.arms) == ["relu", "leaky_relu"]
    assert [row.learning_rate for row in outcome.trials[:2]] == [
        row.learning_rate for row in outcome.trials[2:]
    ]
    assert outcome.arms["leaky_relu"].test.n == 2
    assert {row.layer for row in outcome.dead_units} == {"rectifier_1", "rectifier_2"}
    assert outcome.title == "synthetic images"
    assert "200 training, 300 validation, 500 test images" in outcome.data_source
    assert "say nothing about real data" in outcome.warning
    assert "<title>" in outcome.page.read_text()


def test_best_model_takes_raw_images_and_gives_logits(finished):
    images, outcome = load_images("mnist", "synthetic"), load(finished)
    logits = outcome.best_model().predict(images.x_test, verbose=0)
    assert logits.shape == (500, 10)
    accuracy = np.mean(np.argmax(logits, 1) == images.y_test)
    own = [row for row in outcome.retrainings if row.arm == outcome.recommended]
    assert min(abs(row.test_score - accuracy) for row in own) < 1e-6


def test_config_and_seed_give_the_same_run(finished, tmp_path):
    flags = ["--config", str(finished / "study.json"), "--output", str(tmp_path / "again")]
    assert mnist.main(flags) == 0
    for name in ("trials", "retrainings"):
        assert read_table(tmp_path / "again", name) == read_table(finished, name)


def test_resume_trains_only_what_is_new(finished, tmp_path, capsys):

    path = tmp_path / "run"
    shutil.copytree(finished, path)
    before = load(path)
    assert mnist.main(["--output", str(path), "--resume", "--seeds=3"]) == 0
    after = load(path)
    assert list(after.trials) == list(before.trials)
    assert len(after.retrainings) == 6
    capsys.readouterr()
    assert mnist.main(["--output", str(path), "--resume", "--epochs=2"]) == 2
    error = capsys.readouterr().err
    assert "`--output` must hold the same study to be resumed" in error
    assert "epochs: the study has 1, this run asks for 2" in error
    assert cifar10.main(["--output", str(path), "--resume"]) == 2
    assert "a run of `python -m recipes.mnist`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ("--tuner=grid", "--trials=4", "--model=cnn", "--activation=prelu"),
        ("--activation=elu", "--alpha-range", "0.5", "2", "--optimizer=sgd", "--augment=yes"),
    ],
)
def test_other_settings_run_to_the_end(tmp_path, flags):
    assert mnist.main([*TINY, *flags, f"--output={tmp_path / 'run'}"]) == 0
    assert {row.status for row in load(tmp_path / "run").trials} == {"COMPLETED"}


def test_hyperband_trains_whole_schedules(tmp_path):
    """Each training ends at the end of its schedule, also one that goes on with another."""
    flags = [flag for flag in TINY if not flag.startswith(("--trials", "--epochs"))]
    flags += ["--tuner=hyperband", "--epochs=3", "--activation=relu"]
    assert mnist.main([*flags, f"--output={tmp_path / 'run'}"]) == 0
    outcome = load(tmp_path / "run")
    assert {row.epochs for row in outcome.trials} >= {1, 2}
    assert list(outcome.arms) == ["relu"]


def test_colors_and_a_hundred_classes(tmp_path):
    flags = [*TINY, "--train-limit=400", "--model=cnn", "--activation=relu"]
    assert cifar100.main([*flags, f"--output={tmp_path / 'run'}"]) == 0
    model = keras.saving.load_model(tmp_path / "run" / "best.keras", compile=False)
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 100))


def test_dry_run_writes_nothing(tmp_path, capsys):
    flags = [*TINY, "--dry-run", "--tuner=grid", "--trials=10", "--output", str(tmp_path / "run")]
    assert mnist.main(flags) == 0
    out = capsys.readouterr().out
    assert "200 training, 300 validation, 500 test images" in out
    assert "Note: These results are for synthetic images" in out
    assert re.search(r"leaky_relu +9 ", out)
    assert not list(tmp_path.iterdir())


def test_images_of_a_folder_keep_their_name(tmp_path, capsys):
    write_mnist(tmp_path, source=np.array("MNIST (a copy)"))
    flags = [flag for flag in TINY if not flag.startswith("--data")]
    assert mnist.main([*flags, f"--data-dir={tmp_path}", "--dry-run"]) == 0
    assert "Data: MNIST (a copy), from " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--data-dir {path}/empty", "must hold mnist.npz"),
        ("--data-dir {path}/shapes", "`x_test` must have shape"),
        ("--data-dir {path}/labels", "`y_train` must hold the labels 0 to 9"),
        ("--data synthetic --output {path}/file", "must be a folder"),
        ("--data synthetic --output {path}/full", "which holds other files"),
        ("--data synthetic --output {path}/new --train-limit 5", "--train-limit 5"),
        ("--data synthetic --activation elu --alpha-range -1 1", "alpha"),
        ("--data synthetic --alpha-range 1 1e39", "alpha"),
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
    assert mnist.main(["--precision=float32", *flags.format(path=tmp_path).split()]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A finished comparison, not to be changed."""
    path = tmp_path_factory.mktemp("compared") / "run"
    flags = ["--dataset=mnist", *TINY, "--depths", "1", "--activations", "elu=1", "leaky_relu"]
    assert compare.main([*flags, f"--output={path}"]) == 0
    return path


def test_every_net_has_a_study_and_one_page_is_across_them(compared):
    title, outcomes = load_all(compared)
    assert title == "synthetic images"
    assert list(outcomes) == ["1 hidden layer, no batch norm", "1 hidden layer, batch norm"]
    for outcome in outcomes.values():
        assert list(outcome.arms) == ["relu", "elu=1", "leaky_relu"]
        rates = [row.learning_rate for row in outcome.trials]
        assert rates[:2] * 3 == rates
        assert outcome.arms["elu=1"].test.n == 2
    assert {path.name for path in compared.glob("mlp1*")} == {"mlp1", "mlp1_bn"}
    assert (compared / "report.html").exists()


def test_comparison_is_drawn_again_and_resumed(compared, capsys):
    page = compared / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert report([str(compared)]) == 0
    assert page.read_bytes() == before
    capsys.readouterr()
    assert compare.main(["--output", str(compared), "--resume", "--dry-run"]) == 0
    assert "1 hidden layer, batch norm:" in capsys.readouterr().out
    assert compare.main(["--output", str(compared), "--resume"]) == 0
    assert "Keep" in capsys.readouterr().out
    assert compare.main(["--output", str(compared), "--dataset=mnist"]) == 2
    assert "which holds a run. Resume it with `--resume`" in capsys.readouterr().err


def test_report_draws_a_run_again(finished, capsys, tmp_path):
    assert report([str(finished)]) == 0
    assert str(finished / "report.html") in capsys.readouterr().out
    assert report([str(tmp_path)]) == 2
    assert "holds no study" in capsys.readouterr().err


def test_flags_are_kept_for_people_and_for_resumes(finished):
    options = json.loads((finished / "study.json").read_text())["options"]
    assert (options["program"], options["activation"]) == ("python -m recipes.mnist", "leaky_relu")
    assert options["taken"] == {"data": "synthetic", "epochs": 1, "precision": "float32"}
