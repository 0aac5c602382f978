import dataclasses
import json

import pytest

from recipes.common.errors import InputError
from recipes.common.main import main
from recipes.common.options import parse_options, resolve, settings
from recipes.common.run_config import FORMAT
from recipes.common.search_options import Cifar10Options, MnistOptions


def parse(*flags, cls=MnistOptions):
    return parse_options(cls, flags, "recipe")


def test_defaults_depend_on_the_activation():
    for activation, alpha_range in {
        "leaky_relu": (1e-3, 0.5),
        "prelu": (0.01, 0.5),
        "elu": (0.1, 2.0),
        "celu": (0.1, 4.0),
        "relu": None,
    }.items():
        assert resolve(parse("--activation", activation)).alpha_range == alpha_range
    assert resolve(parse("--tuner", "hyperband")).epochs == 9


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--trials 0", "`--trials` must be a whole number >= 1. Received: --trials 0"),
        ("--epochs 0", "`--epochs` must be a whole number >= 1"),
        ("--executions 0", "`--executions` must be a whole number >= 1"),
        ("--seeds 0", "`--seeds` must be a whole number >= 1"),
        ("--batch-size 0", "`--batch-size` must be a whole number >= 1"),
        ("--train-limit 0", "`--train-limit` must be a whole number >= 1"),
        ("--seed -1", "`--seed` must be a whole number from 0"),
        ("--learning-rate-range 0 1", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range 1 0.1", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range nan 1", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range 1 inf", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--alpha-range 0 0.5", "alpha = 0 is the ReLU arm"),
        ("--activation elu --alpha-range -1 1", "`--alpha-range` must be 0 <= LOW < HIGH"),
        ("--activation celu --alpha-range 0 1", "`--alpha-range` must be 0 < LOW < HIGH"),
        ("--activation relu --alpha-range 0.1 1", "relu has no alpha"),
        ("--alpha-range 1 1e39", "`--alpha-range` must be 0 < LOW < HIGH <= 1000"),
        ("--tuner hyperband --epochs 2", "`--epochs` must be >= 3 with hyperband"),
        ("--tuner hyperband --trials 5", "hyperband derives the number of trials"),
        ("--data digits --data-dir /tmp", "not read from a folder"),
        ("--resume", "`--resume` needs `--output RUN`"),
        ("--overwrite", "`--overwrite` needs `--output RUN`"),
        ("--config a.json --resume --output b", "leave `--config` out"),
        ("--config /nowhere/config.json", "does not exist"),
    ],
)
def test_wrong_flags_are_refused_by_name(flags, message):
    with pytest.raises(InputError) as error:
        parse(*flags.split())
    assert message in str(error.value)


@pytest.mark.parametrize(
    "flags", ["--activation swish", "--trials many", "--data cifar10", "--no-such-flag", "--seed"]
)
def test_what_the_parser_refuses_exits_with_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main(MnistOptions, "mnist", flags.split())
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_help_shows_every_flag_with_its_default(capsys):
    with pytest.raises(SystemExit) as stop:
        main(Cifar10Options, "cifar10", ["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(Cifar10Options):
        assert "--" + field.name.replace("_", "-") in text
    assert "(default: 0.0001 0.1)" in " ".join(text.replace("│", " ").split())


def write_config(folder, given, **changes):
    path = folder / "config.json"
    content = {"format": FORMAT, "given": given, "options": given, "fingerprint": {}, **changes}
    path.write_text(json.dumps(content))
    return str(path)


def test_config_of_a_run_is_taken_and_flags_override_it(tmp_path):
    path = write_config(tmp_path, settings(MnistOptions(activation="elu", trials=7, seed=3)))
    options = parse("--config", path, "--seed", "9")
    assert (options.activation, options.trials, options.seed) == ("elu", 7, 9)
    assert options.output is None  # where a run lies is not a setting to take over


@pytest.mark.parametrize(
    "flags", ["--activation elu", "--activation relu", "--tuner hyperband", "--data digits"]
)
def test_config_brings_in_what_was_given_and_no_default(tmp_path, flags):
    """Else the alpha range of one activation would become that of another."""
    path = write_config(tmp_path, settings(MnistOptions()))
    taken, fresh = parse("--config", path, *flags.split()), parse(*flags.split())
    assert settings(resolve(taken)) == settings(resolve(fresh))


def test_workers_here_take_the_place_of_a_cluster_with_all_its_flags(tmp_path):
    files = dict.fromkeys(("tls_ca_file", "tls_cert", "tls_key"), tmp_path / "gone.pem")
    far = MnistOptions(scheduler="tls://10.0.0.1:8786", **files)
    path = write_config(tmp_path, settings(far))
    with pytest.raises(InputError, match=r"gone\.pem"):
        parse("--config", path)
    here = parse("--config", path, "--workers", "2")
    assert (here.workers, here.scheduler, here.tls_cert) == (2, None, None)


def test_config_that_is_not_a_runs_is_refused(tmp_path):
    path = tmp_path / "config.json"
    texts = ("{", "[]", '{"a": 1}', "\xff", json.dumps({"format": FORMAT, "options": {}}))
    for text in texts:
        path.write_text(text, encoding="latin-1")
        with pytest.raises(InputError, match=r"config\.json"):
            parse("--config", str(path))


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"trials": "many"}, {"alpha_range": {}}])
def test_config_with_wrong_settings_exits_with_2(tmp_path, wrong):
    with pytest.raises(SystemExit) as stop:
        parse("--config", write_config(tmp_path, wrong))
    assert stop.value.code == 2


def test_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    options = resolve(parse("--output=~/run", "--data-dir=~/data"))
    assert (options.output, options.data_dir) == (tmp_path / "run", tmp_path / "data")
    resolve(parse("--data-dir=~no-such-user/data"))  # a folder of that name, not a traceback
