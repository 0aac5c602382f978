"""Whole comparisons, as a user runs them, on images small enough for seconds."""

import base64
import csv
import dataclasses
import re
import shutil

import numpy as np
import pytest

from recipes.common.comparing.arms import arms, nets
from recipes.common.comparing.options import CompareOptions
from recipes.common.errors import InputError
from recipes.common.options import parse_options, resolve
from recipes.common.progress import Progress
from recipes.common.run_folder import RunFolder
from recipes.compare import main
from recipes.report import main as report
from tests.recipes.conftest import TINY

FLAGS = (
    *("--dataset=mnist", *TINY, "--depths", "1", "--activations", "elu", "leaky_relu_tuned"),
    *("--trials=2", "--seeds=3"),
)
ARMS = ("relu", "leaky_relu_tuned", "elu")
NETS = ("mlp1", "mlp1_bn")
N_RUNS = len(ARMS) * len(NETS) * (2 + 3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished comparison, not to be changed."""
    path = tmp_path_factory.mktemp("finished") / "run"
    assert main([*FLAGS, f"--output={path}"]) == 0
    return RunFolder.open(path)


def outcome(run):
    """All that a run found, but for the time it took."""
    return (
        [dataclasses.replace(row, seconds=0) for row in run.trials],
        run.epochs,
        [dataclasses.replace(row, seconds=0) for row in run.retrainings],
        run.dead_units,
    )


def parse(*flags):
    return parse_options(CompareOptions, ["--dataset=mnist", *flags], "recipe")


def test_every_arm_is_searched_and_retrained_in_every_net(finished):
    names = [f"{net}/{arm}" for net in NETS for arm in ARMS]
    assert list(dict.fromkeys(row.arm for row in finished.trials)) == names
    for name in names:
        trials = [row for row in finished.trials if row.arm == name]
        assert len(trials) == 2
        best = max(trials, key=lambda row: row.score)
        assert len(finished.retrainings_of(best)) == 3
        layers = finished.dead_units_of(best)
        assert [(row.layer, row.n_units, row.n_samples) for row in layers] == [
            ("rectifier_1", 100, 300)
        ] * 3
        assert {row.kind for row in layers} == {name.split("/")[1].removesuffix("_tuned")}
    assert len({row.seed for row in finished.retrainings}) == 3, "they are not paired"


def test_all_arms_and_nets_try_the_same_learning_rates(finished):
    rates = {
        tuple(row.learning_rate for row in finished.trials if row.arm == f"{net}/{arm}")
        for net in NETS
        for arm in ARMS
    }
    assert len(rates) == 1
    assert len(set(*rates)) == 2


def test_summary_is_made_of_the_rows(finished):
    summary = finished.read_json("summary")
    assert (summary["n_trials"], summary["n_failed"]) == (12, 0)
    assert [net["net"] for net in summary["nets"]] == list(NETS)
    for net in summary["nets"]:
        relu, *others = net["arms"]
        assert (relu["arm"], relu["difference"]) == ("relu", None)
        rows = {
            arm["arm"]: [
                row for row in finished.retrainings if row.arm == f"{net['net']}/{arm['arm']}"
            ]
            for arm in net["arms"]
        }
        for arm in others:
            accuracies = [[row.test_accuracy for row in rows[key]] for key in (arm["arm"], "relu")]
            pairs = np.subtract(*accuracies)
            assert arm["test"]["mean"] == pytest.approx(np.mean(accuracies[0]))
            assert arm["difference"]["mean"] == pytest.approx(pairs.mean())
            assert arm["difference"]["n"] == 3
            assert arm["difference"]["p_holm"] >= arm["difference"]["p_value"]
            units = [r for r in finished.dead_units if r.arm == f"{net['net']}/{arm['arm']}"]
            assert arm["dead_fraction"] == np.mean([row.dead_fraction for row in units])
            # Far below 0 the derivative of ELU rounds to 0 in float32.
            assert arm["dead_fraction"] <= (arm["inactive_fraction"] if arm["arm"] == "elu" else 0)
        seconds = [row.seconds for row in rows["relu"]]  # of one epoch
        assert relu["epoch_seconds"] == pytest.approx(np.median(seconds), abs=1e-3)
        units = [row for row in finished.dead_units if row.arm == f"{net['net']}/relu"]
        assert relu["dead_fraction"] == np.mean([row.dead_fraction for row in units])
        assert relu["inactive_fraction"] == np.mean([row.inactive_fraction for row in units])


def test_page_is_one_self_contained_file_and_can_be_drawn_again(finished, tmp_path, capsys):
    run = RunFolder(tmp_path / "copy")
    shutil.copytree(finished.path, run.path)
    page = run.page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    summary = run.read_json("summary")
    for text in (summary["verdict"], summary["warning"], "1 hidden layer, batch norm"):
        assert text.replace("'", "&#39;") in page
    plots = sorted(run.path.glob("plots/*.png"))
    assert [path.stem for path in plots] == ["dead_units", "forest", "learning_rate"]
    for plot in plots:
        assert base64.b64encode(plot.read_bytes()).decode() in page
    before = {path: path.read_bytes() for path in [*plots, run.page]}
    for path in before:
        path.unlink()
    assert report([str(run.path)]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert str(run.page) in capsys.readouterr().out


def test_dead_units_are_readable_without_this_package(finished):
    with (finished.path / "dead_units.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["arm", "trial_id", "seed", "n_samples", "layer", "kind"]
    assert list(rows[0])[-1] == "active_fraction"
    row = next(row for row in rows if row["arm"] == "mlp1/relu")
    active = np.array(eval(row["active_fraction"], {"__builtins__": {}}))
    assert np.sum(active == 0) == int(row["n_inactive"]) == int(row["n_dead"])


@pytest.mark.parametrize(
    ("hook", "n_before"),
    [pytest.param("trial_done", 3, marks=pytest.mark.soak), ("retraining_done", 14)],
)
def test_interrupted_comparison_ends_as_an_undisturbed_one(
    finished, tmp_path, capsys, monkeypatch, hook, n_before
):
    n_called = 0
    whole = getattr(Progress, hook)

    def stop(*args, **kwargs):
        nonlocal n_called
        n_called += 1
        if n_called == n_before:
            raise KeyboardInterrupt
        whole(*args, **kwargs)

    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, hook, stop)
        assert main([*FLAGS, f"--output={path}"]) == 130
    error = capsys.readouterr().err
    assert f"python -m recipes.compare --output {path} --resume" in error
    partial = RunFolder.open(path)
    n_done = len(partial.trials) + len(partial.retrainings)
    assert 0 < n_done < N_RUNS
    assert main([f"--output={path}", "--resume"]) == 0
    assert capsys.readouterr().out.count("(kept)") == n_done
    assert outcome(RunFolder.open(path)) == outcome(finished)


def test_resume_with_other_settings_is_refused_and_says_which(finished, capsys):
    output = ["--output", str(finished.path), "--resume"]
    for flags, message in {
        "--depths 2": "depths: the run has [1], this command asks for [2]",
        "--activations relu": "activations: the run has ['elu', 'leaky_relu_tuned']",
        "--batch-norm no": "batch_norm: the run has both, this command asks for no",
        "--dataset cifar10": "dataset: the run has mnist",
        "--trials 1": "`--trials` must not be fewer",
        "--seeds 2": "`--seeds` must not be fewer",
    }.items():
        assert main([*output, *flags.split()]) == 2
        assert message in capsys.readouterr().err


def test_more_seeds_are_added_to_a_finished_comparison(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "copy")
    assert main([f"--output={tmp_path / 'copy'}", "--resume", "--seeds=4"]) == 0
    run = RunFolder.open(tmp_path / "copy")
    assert run.trials == finished.trials
    assert set(finished.retrainings) < set(run.retrainings)
    assert len(run.retrainings) == 24
    assert run.read_json("summary")["nets"][0]["arms"][1]["difference"]["n"] == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("summary.json", '{"nets": []}', 'it lacks its "sha256"'),
        ("summary.json", None, "did not get that far"),
        ("search/mlp1/relu/trial_0001/trial.json", None, "has 11 trials and 18 retrainings, but"),
        ("search/mlp1/relu/trial_0001/trial.json", "{}", "Resume the run, which makes it again"),
    ],
)
def test_report_of_a_damaged_comparison_exits_with_2(
    finished, tmp_path, capsys, name, content, message
):
    path = tmp_path / "copy"
    shutil.copytree(finished.path, path)
    (path / name).unlink()
    if content is not None:
        (path / name).write_text(content)
    assert report([str(path)]) == 2
    assert message in capsys.readouterr().err


def test_report_of_a_summary_with_a_damaged_net_exits_with_2(finished, tmp_path, capsys):
    path = tmp_path / "copy"
    shutil.copytree(finished.path, path)
    run = RunFolder.open(path)
    summary = run.read_json("summary")
    del summary["nets"][0]["arms"][0]["best"]
    run.write_json("summary", summary)
    assert report([str(path)]) == 2
    assert "KeyError('best') in its nets" in capsys.readouterr().err


def test_dry_run_counts_the_trainings_and_writes_nothing(tmp_path, capsys):
    flags = ["--dataset=mnist", *TINY, "--depths", "2", "3", "--batch-norm=no", "--dry-run"]
    assert main([*flags, "--output", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "In all: 280 trainings." in out  # 10 arms in 2 nets, 6 trials and 8 seeds
    assert "mlp3/leaky_relu_tuned" in out
    assert "89,610" in out  # two hidden layers of 100
    assert not list(tmp_path.iterdir())


def test_relu_alone_and_colour_images(tmp_path):
    flags = [*TINY[:1], *TINY[2:], "--activations", "relu", "--depths", "1", "--batch-norm=no"]
    path = tmp_path / "run"
    code = main(["--dataset=cifar10", *flags, "--trials=1", "--seeds=1", f"--output={path}"])
    assert code == 0
    run = RunFolder.open(path)
    assert {row.arm for row in run.trials} == {"cnn1/relu"}
    assert [row.n_units for row in run.dead_units] == [16, 32, 64, 100]
    assert run.read_json("summary")["verdict"].startswith("ReLU was run alone")


def test_defaults_depend_on_the_data_set():
    for dataset, model, depths in (("mnist", "mlp", (2, 8)), ("cifar10", "cnn", (1, 2))):
        options = resolve(parse("--dataset", dataset))
        assert (options.model, options.depths) == (model, depths)
        assert len(nets(options)) == 4
        assert len(arms(options)) == 40
    options = resolve(parse("--depths", "8", "2", "--batch-norm", "yes", "--activations", "elu"))
    assert [arm.name for arm in arms(options)] == [
        *("mlp2_bn/relu", "mlp2_bn/elu", "mlp8_bn/relu", "mlp8_bn/elu")
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--depths 0", "`--depths` must be different whole numbers from 1 to 100. Received"),
        ("--depths 2 2", "`--depths` must be different whole numbers"),
        ("--depths 101", "`--depths` must be different whole numbers"),
        ("--dataset cifar10 --data digits", "`--data` must be one of auto, cifar10, synthetic"),
        ("--data cifar10", "`--data` must be one of auto, mnist, synthetic, digits with --dataset"),
        ("--trials 0", "`--trials` must be a whole number >= 1"),
    ],
)
def test_wrong_flags_are_refused_by_name(flags, message):
    with pytest.raises(InputError) as error:
        parse(*flags.split())
    assert message in str(error.value)


@pytest.mark.parametrize("flags", ["", "--dataset cifar100", "--activations swish"])
def test_what_the_parser_refuses_exits_with_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main(flags.split())
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_shows_every_flag(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(CompareOptions):
        assert "--" + field.name.replace("_", "-") in text


def test_an_arm_whose_trials_all_fail_is_left_out(tmp_path, capsys):
    flags = (
        "--dataset=mnist",
        *TINY,
        "--depths",
        "1",
        "--batch-norm=no",
        "--trials=2",
        "--seeds=2",
    )
    rates = ("--optimizer=sgd", "--learning-rate-range", "1", "1e38", "--seed=0")
    arms = ("--activations", "leaky_relu_0.3", "elu")
    assert main([*flags, *rates, *arms, f"--output={tmp_path / 'run'}"]) == 0
    out = capsys.readouterr().out
    run = RunFolder.open(tmp_path / "run")
    tried = {row.arm for row in run.trials}
    tested = {row.arm for row in run.retrainings}
    assert tried == {"mlp1/relu", "mlp1/leaky_relu_0.3", "mlp1/elu"}
    assert "mlp1/relu" in tested
    failed = tried - tested
    assert failed
    for name in failed:
        assert f"trials of {name} failed" in out
    summary = run.read_json("summary")
    assert {f"mlp1/{arm['arm']}" for arm in summary["nets"][0]["arms"]} == tested
    assert "All trials of " in summary["verdict"]
