"""Flags of studies: defaults, refusals by name, and settings of an earlier run."""

import dataclasses
import json

import pytest

from keras_leaky.storage import write_json
from keras_leaky.study.errors import InputError
from keras_leaky.study.flags import FileFlags, parse_flags
from recipes.cifar10 import Cifar10Flags
from recipes.compare import CompareFlags
from recipes.mnist import MnistFlags


def parse(*flags, cls=MnistFlags):
    return parse_flags(cls, flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--trials 0", "`--trials` must be a whole number >= 1. Received: --trials 0"),
        ("--epochs 0", "`--epochs` must be a whole number >= 1"),
        ("--executions 0", "`--executions` must be a whole number >= 1"),
        ("--finalists 0", "`--finalists` must be a whole number >= 1"),
        ("--seeds 0", "`--seeds` must be a whole number >= 1"),
        ("--batch-size 0", "`--batch-size` must be a whole number >= 1"),
        ("--train-limit 0", "`--train-limit` must be a whole number >= 1"),
        ("--seed -1", "`--seed` must be a whole number from 0"),
        (f"--seed {2**32}", "`--seed` must be a whole number from 0 to 2**32 - 1"),
        ("--workers -1", "`--workers` must be auto or a whole number >= 0"),
        ("--retries -1", "`--retries` must be a whole number >= 0"),
        ("--max-seconds 0", "`--max-seconds` must be a number of seconds above 0"),
        ("--trial-timeout nan", "`--trial-timeout` must be a number of seconds above 0"),
        ("--learning-rate-range 0 1", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range 1 0.1", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range nan 1", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range 1 inf", "`--learning-rate-range` must be 0 < LOW < HIGH"),
        ("--learning-rate-range 1e-3 1e300", "`--learning-rate-range` must be 0 < LOW < HIGH <= 1"),
        ("--alpha-range 0.5 0.1", "`--alpha-range` must be LOW < HIGH"),
        ("--alpha-range 0.5 nan", "`--alpha-range` must be LOW < HIGH"),
        ("--activation relu --alpha-range 0.1 1", "relu has no alpha"),
        ("--tuner hyperband --epochs 2", "`--epochs` must be >= 3 with hyperband"),
        ("--tuner hyperband --trials 5", "hyperband derives the number of trials"),
        ("--data digits --data-dir /tmp", "not read from a folder"),
        ("--resume", "`--resume` needs `--output RUN`"),
        ("--overwrite", "`--overwrite` needs `--output RUN`"),
        ("--resume --overwrite --output b", "b/study.json cannot be read"),
        ("--config a.json --resume --output b", "leave `--config` out"),
        ("--config /nowhere/study.json", "/nowhere/study.json cannot be read"),
        ("--output /dev/null/a", "`--output` must be a folder"),
        ("--insecure", "`--insecure` needs `--scheduler ADDRESS`"),
    ],
)
def test_wrong_flags_are_refused_by_name(flags, message):
    with pytest.raises(InputError) as error:
        parse(*flags.split())
    assert message in str(error.value)


def test_output_that_cannot_be_written_down_is_refused():
    for name in ("output", "data-dir"):
        with pytest.raises(InputError, match=f"`--{name}` must be a path in UTF-8. Received: "):
            parse(f"--{name}=/tmp/\udcff")
    with pytest.raises(InputError, match=r"`--data` must be a path in UTF-8\. Received: --data '/"):
        parse("--data=/tmp/\udcff", cls=FileFlags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--depths 0", "`--depths` must be different whole numbers from 1 to 100"),
        ("--depths 2 2", "`--depths` must be different whole numbers from 1 to 100"),
        ("--data cifar10", "`--data` must be one of auto, mnist, synthetic, digits"),
    ],
)
def test_wrong_flags_of_a_comparison_are_refused_by_name(flags, message):
    with pytest.raises(InputError) as error:
        parse("--dataset", "mnist", *flags.split(), cls=CompareFlags)
    assert message in str(error.value)


def test_nets_of_a_comparison_have_titles_and_names():
    flags = parse("--dataset", "mnist", "--depths", "3", "1", cls=CompareFlags)
    assert flags.nets() == {
        "1 hidden layer, no batch norm": "mlp1",
        "1 hidden layer, batch norm": "mlp1_bn",
        "3 hidden layers, no batch norm": "mlp3",
        "3 hidden layers, batch norm": "mlp3_bn",
    }
    flags = parse("--dataset", "cifar10", "--batch-norm", "yes", cls=CompareFlags)
    assert list(flags.nets().values()) == ["cnn1_bn", "cnn2_bn"]


@pytest.mark.parametrize(
    "flags", ["--activation swish", "--trials many", "--data cifar10", "--no-such-flag", "--seed"]
)
def test_what_the_parser_refuses_exits_with_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*flags.split())
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("cls", [Cifar10Flags, CompareFlags, FileFlags])
def test_help_shows_every_flag_with_its_default(cls, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--help", cls=cls)
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(cls):
        assert field.name == "file" or "--" + field.name.replace("_", "-") in text
    flat = " ".join(text.replace("│", " ").split())
    assert "(default: halving)" in flat
    assert "Example:" in flat
    assert f"{cls.program} " in flat


def test_a_positional_file_among_the_arms_is_told(tmp_path):
    with pytest.raises(InputError, match=r"FILE\.py comes first"):
        parse("--data", "a.npz", "--arms", "elu", "net.py", cls=FileFlags)


def write_run(folder, flags, taken=None, **changes):
    """A run folder that holds nothing but the flags."""
    options = {**flags.options(**(taken or {})), **changes}
    write_json(folder / "study.json", {"version": 1, "options": options}, readable=True)
    return folder / "study.json"


def test_config_of_a_run_is_taken_and_flags_override_it(tmp_path):
    path = write_run(tmp_path, MnistFlags(activation="elu", trials=7, seed=3, workers=2))
    flags = parse("--config", str(path), "--seed", "9")
    assert (flags.activation, flags.trials, flags.seed, flags.workers) == ("elu", 7, 9, 2)
    assert flags.output is None  # where a run lies is not a setting to take over


def test_config_may_be_edited_and_a_run_to_resume_may_not(tmp_path):
    path = write_run(tmp_path, MnistFlags(trials=7))
    path.write_text(path.read_text().replace('"trials": 7', '"trials": 8'))
    assert parse("--config", str(path)).trials == 8
    with pytest.raises(InputError, match=r"study\.json is damaged: its SHA-256 does not match"):
        parse("--resume", "--output", str(tmp_path))


def test_config_brings_in_what_was_given_and_a_resume_what_was_taken_too(tmp_path):
    taken = {"precision": "mixed_bfloat16", "data": "digits", "epochs": 8}
    path = write_run(tmp_path, MnistFlags(), taken)
    flags = parse("--config", str(path))
    assert (flags.precision, flags.data, flags.epochs) == ("auto", "auto", None)
    flags = parse("--resume", "--output", str(tmp_path))
    assert (flags.precision, flags.data, flags.epochs) == ("mixed_bfloat16", "digits", 8)
    again = parse("--resume", "--output", str(tmp_path), "--epochs", "9")
    assert again.epochs == 9


def test_a_file_and_data_are_kept_for_a_resume_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = parse("net.py", "--data", "../x.npz", "--arms", "elu", "celu=0.5", cls=FileFlags)
    assert (flags.file, flags.data) == (tmp_path / "net.py", tmp_path.parent / "x.npz")
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", flags)
    monkeypatch.chdir("/")
    again = parse("--resume", "--output", str(tmp_path / "run"), cls=FileFlags)
    assert (again.file, again.data, again.arms) == (flags.file, flags.data, ("elu", "celu=0.5"))
    other = parse("net2.py", "--resume", "--output", str(tmp_path / "run"), cls=FileFlags)
    assert str(other.file) == "/net2.py"


def test_workers_here_take_the_place_of_a_cluster_with_all_its_flags(tmp_path):
    files = dict.fromkeys(("tls_ca_file", "tls_cert", "tls_key"), tmp_path / "gone.pem")
    path = write_run(tmp_path, MnistFlags(scheduler="tls://10.0.0.1:8786", **files))
    with pytest.raises(InputError, match=r"gone\.pem"):
        parse("--config", str(path))
    here = parse("--config", str(path), "--workers", "2")
    assert (here.workers, here.scheduler, here.tls_cert) == (2, None, None)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "\xff", '{"options": {}}'])
def test_config_that_is_not_a_runs_is_refused(tmp_path, text):
    path = tmp_path / "study.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"study\.json"):
        parse("--config", str(path))


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"trials": "many"}, {"alpha_range": {}}])
def test_config_with_wrong_settings_exits_with_2(tmp_path, wrong):
    with pytest.raises(SystemExit) as stop:
        parse("--config", str(write_run(tmp_path, MnistFlags(), **wrong)))
    assert stop.value.code == 2


def test_runs_of_others_are_refused_by_name(tmp_path):
    resume = ["--resume", "--output", str(tmp_path)]
    write_run(tmp_path, MnistFlags())
    with pytest.raises(InputError, match=r"a run of `python -m recipes\.mnist`"):
        parse(*resume, cls=Cifar10Flags)
    write_json(tmp_path / "study.json", {"version": 1, "options": None})
    with pytest.raises(InputError, match=r"a study that a script made\. Run that script again"):
        parse(*resume)
    (tmp_path / "study.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps({"format": "keras_leaky run 3"}))
    with pytest.raises(InputError, match="a run of an earlier version"):
        parse(*resume)


def test_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("mine")
    output = ["--output", str(tmp_path / "full")]
    with pytest.raises(InputError, match=r"`--output` must be empty\. .* which holds other files"):
        parse(*output)
    with pytest.raises(InputError, match=r"`--overwrite` deletes only a run\. .* Nothing was del"):
        parse(*output, "--overwrite")
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", MnistFlags())
    output = ["--output", str(tmp_path / "run")]
    with pytest.raises(InputError, match=r"which holds a run\. Resume it with `--resume`"):
        parse(*output)
    assert parse(*output, "--overwrite").overwrite
    assert parse("--output", str(tmp_path / "new" / "run")).output == tmp_path / "new" / "run"
    with pytest.raises(InputError, match="holds other files"):
        parse("--output", str(tmp_path), "--overwrite")  # the folder above a run


def test_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    flags = parse("--output=~/run", "--data-dir=~/data")
    assert (flags.output, flags.data_dir) == (tmp_path / "run", tmp_path / "data")
    parse("--data-dir=~no-such-user/data")  # a folder of that name, not a traceback


def test_epochs_follow_the_data_unless_they_are_given():
    assert MnistFlags().n_epochs(2) == 2
    assert MnistFlags(epochs=5).n_epochs(2) == 5
    assert MnistFlags(tuner="hyperband").n_epochs(2) == 9
