"""The flags that recipes share: one typed class, its checks, and how a command line becomes one."""

import argparse
import dataclasses
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from recipes.common.data import Arrays
from recipes.common.errors import InputError
from recipes.common.run_config import CONFIG_NAME, check_recipe, read_config, read_given
from recipes.common.scheduler import check_scheduler

Count = Annotated[int, tyro.conf.arg(metavar="N")]
CountOrDefault = Annotated[int | None, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


@dataclass(frozen=True)
class RunOptions:
    """What every recipe that searches and retrains lets its user set.

    Attributes:
        learning_rate_range: Learning rates to search, on a log scale.
        optimizer: adam, or sgd with momentum 0.9.
        trials: Trials of each arm.
        epochs: Epochs of a trial and of a retraining; by default what suits the data (the dry run
            shows it).
        executions: Trainings of each trial, each with its own seed; the score is their mean.
        seeds: Retrainings of each arm's chosen point, paired by seed. The test split is used for
            them alone.
        batch_size: Images a step.
        train_limit: Use only this many training images, stratified. Validation and test images
            stay the same.
        augment: Shift the training images by up to 2 pixels, and flip those of CIFAR. auto does so
            with the vgg nets, which train for longer.
        precision: Keras dtype policy. auto takes mixed_bfloat16 where the machine multiplies it
            natively and it is faster for this net, and float32 elsewhere and with --scheduler.
        data_dir: Folder that holds mnist.npz, cifar10.npz or cifar100.npz with the arrays x_train,
            y_train, x_test, y_test. Without it, Keras's cache or a download.
        seed: Everything random derives from it. The same seed on the same machine with the same
            number of threads gives the same trials.csv.
        workers: Run the trials in N processes of one thread each on this machine, several at a
            time. 0 runs them in this process, one at a time with all threads. trials.csv is the
            same for any N >= 1, with random and grid search.
        scheduler: Run the trials on the workers of a Dask cluster: tls://HOST:PORT of its
            scheduler. docs/cluster.md sets one up.
        tls_ca_file: Certificate that those of the cluster are signed by. By default, as the next
            two, from Dask's configuration.
        tls_cert: Certificate of this machine.
        tls_key: Key of that certificate.
        insecure: Let `--scheduler` be tcp:// on another machine: whoever can reach it can run code
            on all of them.
        retries: How often a trial is tried again whose worker was killed or timed out.
        trial_timeout: Seconds after which a worker is taken for hung and restarted. By default
            none.
        output: The run folder; by default runs/ and then data set, activation and time.
        resume: Go on with the run in the output folder. Finished trials are kept; settings that
            are not given come from the run.
        overwrite: Delete the run in the output folder first. Refused on a folder that holds no
            run.
        config: Take the settings of this config.json of another run; flags override them.
        dry_run: Check everything, print what would be done, and stop.
    """

    learning_rate_range: Annotated[tuple[float, float], tyro.conf.arg(metavar="LOW HIGH")] = (
        1e-4,
        1e-1,
    )
    optimizer: Literal["adam", "sgd"] = "adam"
    trials: CountOrDefault = None
    epochs: CountOrDefault = None
    executions: Count = 1
    seeds: Count = 5
    batch_size: Count = 128
    train_limit: CountOrDefault = None
    model: str = "cnn"
    augment: Literal["auto", "yes", "no"] = "auto"
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    data: str = "auto"
    data_dir: Folder = None
    seed: Count = 0
    workers: Count = 0
    scheduler: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    tls_ca_file: File = None
    tls_cert: File = None
    tls_key: File = None
    insecure: bool = False
    retries: Count = 2
    trial_timeout: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None
    output: Folder = None
    resume: bool = False
    overwrite: bool = False
    config: File = None
    dry_run: bool = False

    def resolve_own(self) -> dict[str, Any]:
        """Checks the options of the recipe's own and returns what they fill in.

        Raises:
            InputError: As `resolve`.
        """
        return {}


OptionsT = TypeVar("OptionsT", bound=RunOptions)

# These say where and how to run, not what: a run does not keep them.
_NOT_SETTINGS = ("output", "resume", "overwrite", "config", "dry_run", "insecure")


def parse_options(cls: type[OptionsT], arguments: Sequence[str], program: str) -> OptionsT:
    """Turns a command line into options of class `cls`; `--help` and typing errors exit at once.

    `--config FILE`, and `--resume` for its own run, bring in stored settings; the command line
    overrides them.
    """
    # What brings in stored settings has to be known before the real parser runs.
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    peek.add_argument("--config", type=_expand)
    peek.add_argument("--output", type=_expand)
    peek.add_argument("--resume", action="store_true")
    try:
        early, _ = peek.parse_known_args(list(arguments))
    except argparse.ArgumentError:  # a flag without its value: the real parser says so below
        early = peek.parse_args([])
    stored: dict[str, Any] = {}
    if early.config is not None and early.resume:
        raise InputError("`--resume` takes the settings of its own run; leave `--config` out.")
    if early.config is not None:
        stored = read_given(early.config)
    elif early.resume:
        if early.output is None:
            raise InputError(
                "`--resume` needs `--output RUN`, the folder of the run to go on with."
            )
        config = read_config(early.output / CONFIG_NAME)
        check_recipe(early.output, config, program.removeprefix("python -m recipes."))
        stored = config["options"]
    given = {argument.partition("=")[0] for argument in arguments}
    if given & {"--workers", "--scheduler"}:  # one takes the place of the other
        of_cluster = ("workers", "scheduler", "tls_ca_file", "tls_cert", "tls_key")
        stored = {name: value for name, value in stored.items() if name not in of_cluster}
    options = tyro.cli(
        cls,
        args=[*_as_flags(stored), *arguments],  # of a flag given twice the last counts
        prog=program,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    resolve(options)  # to refuse what is wrong, mostly before Keras and TensorFlow are imported
    return options


def _as_flags(stored: dict[str, Any]) -> list[str]:
    """Writes stored settings as the command line that gives them, so that they are checked."""
    flags = []
    for name, value in stored.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            flags += ["--" + name.replace("_", "-"), *map(str, values)]
    return flags


def settings(options: RunOptions) -> dict[str, Any]:
    """What a run keeps of its options, as JSON keeps it."""
    kept = {k: v for k, v in dataclasses.asdict(options).items() if k not in _NOT_SETTINGS}
    return {
        key: list(v) if isinstance(v, tuple) else str(v) if isinstance(v, Path) else v
        for key, v in kept.items()
    }


def resolve(options: OptionsT, arrays: Arrays | None = None) -> OptionsT:
    """Checks every option and fills in the defaults that depend on others.

    Args:
        arrays: The images, once they are loaded: they fill in what was left to the data.

    Raises:
        InputError: Names the flag, the rule and what was received.
    """
    for name in ("executions", "seeds", "batch_size"):
        require(getattr(options, name) >= 1, name, "a whole number >= 1", getattr(options, name))
    for name in ("trials", "epochs", "train_limit"):
        value = getattr(options, name)
        require(value is None or value >= 1, name, "a whole number >= 1", value)
    require(0 <= options.seed < 2**32, "seed", "a whole number from 0 to 2**32 - 1", options.seed)

    for name in ("workers", "retries"):
        require(getattr(options, name) >= 0, name, "a whole number >= 0", getattr(options, name))
    timeout = options.trial_timeout
    rule = "a number of seconds above 0"
    require(timeout is None or 0 < timeout < math.inf, "trial_timeout", rule, timeout)

    low, high = options.learning_rate_range
    require(0 < low < high < math.inf, "learning_rate_range", "0 < LOW < HIGH", f"{low} {high}")

    if options.data_dir is not None:
        rule = "left out with --data digits or synthetic, which are not read from a folder"
        require(options.data not in ("digits", "synthetic"), "data_dir", rule, options.data_dir)
    if options.resume and options.overwrite:
        raise InputError("`--resume` keeps the run and `--overwrite` deletes it: give one of them.")
    if options.overwrite and options.output is None:
        raise InputError("`--overwrite` needs `--output RUN`, the folder of the run to delete.")
    options = dataclasses.replace(options, **options.resolve_own())
    check_scheduler(options)
    return dataclasses.replace(
        options,
        augment=_augment(options),
        epochs=options.epochs or (arrays.n_epochs if arrays else None),
        data=arrays.kind if arrays else options.data,
        data_dir=_absolute(options.data_dir),
        tls_ca_file=_absolute(options.tls_ca_file),
        tls_cert=_absolute(options.tls_cert),
        tls_key=_absolute(options.tls_key),
        output=_expand(options.output) if options.output else None,
    )


def _augment(options: RunOptions) -> Literal["yes", "no"]:
    if options.augment == "auto":
        return "yes" if options.model.startswith("vgg") else "no"
    return options.augment


def _expand(path: str | Path) -> Path:
    # Not Path.expanduser, which raises for a user who does not exist.
    return Path(os.path.expanduser(path))


def _absolute(path: Path | None) -> Path | None:
    return _expand(path).absolute() if path else None


def require(holds: bool, name: str, rule: str, received: object) -> None:
    """Refuses what was given for an option unless `holds`."""
    if not holds:
        flag = "--" + name.replace("_", "-")
        raise InputError(f"`{flag}` must be {rule}. Received: {flag} {received}")
