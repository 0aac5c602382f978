"""The flags that studies share on a command line: typed, checked, and read back from a run.

Nothing here imports Keras, so that `--help` and a mistyped flag are answered at once.
"""

import argparse
import dataclasses
import errno
import inspect
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import tyro

from keras_leaky.storage import DamagedFileError, is_empty, read_json, read_unverified_json
from keras_leaky.study.errors import InputError
from keras_leaky.study.scheduler import check_scheduler

__all__ = [
    "Count",
    "CountOrDefault",
    "DeadUnitFlags",
    "File",
    "FileFlags",
    "Folder",
    "Range",
    "ReportFlags",
    "StudyFlags",
    "parse_flags",
    "parse_plain",
    "require",
]

Count = Annotated[int, tyro.conf.arg(metavar="N")]
CountOrDefault = Annotated[int | None, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Seconds = Annotated[float | None, tyro.conf.arg(metavar="SECONDS")]
Range = Annotated[tuple[float, float], tyro.conf.arg(metavar="LOW HIGH")]

STUDY_FILE = "study.json"
DEFAULT_HYPERBAND_EPOCHS = 9
# Far beyond use: a larger number is a typing error, or meant to fill the memory.
_MOST = 10**9

# These say where and how to run, not what: a run does not keep them.
_NOT_KEPT = ("output", "resume", "overwrite", "config", "dry_run", "insecure")
_PATHS = ("tls_ca_file", "tls_cert", "tls_key")
# Entries beside the flags in the section "options" of study.json.
_PROGRAM, _TAKEN = "program", "taken"


@dataclass(frozen=True)
class StudyFlags:
    """The flags of every study.

    Attributes:
        tuner: How the trials are chosen. halving trains all points with few steps, then the best
            third with three times as many, and so on. At least 5 are trained in full. If trainings
            are too short for that, it trains all points in full, as random does. hyperband trains
            most trials for few epochs, and the best of them for more.
        trials: Number of points that each arm tries, 20 by default. grid takes the largest grid
            that fits. hyperband refuses this flag: its number of trials follows from the epochs.
        epochs: Epochs of a training. The default depends on the data; `--dry-run` shows it. With
            hyperband, the largest number of epochs: 9 by default, at least 3.
        executions: Trainings of each trial, each with its own seed. The score is their mean.
        finalists: Number of best trials of each arm that are retrained with new seeds. The new
            scores choose one of them, because the best of many single scores is partly luck.
        seeds: Final retrainings of each arm's chosen point, paired by seed. Only they use the test
            data. Fewer than 5 give no interval.
        batch_size: Examples per step.
        seed: Everything random follows from this number. The same seed on the same machine with the
            same number of threads gives the same trials.csv.
        workers: Run the trainings in N processes of one thread each on this machine, several at a
            time. 0 runs them in this process with all threads. auto decides before the first trial,
            and a resumed run keeps the decision. trials.csv is the same for any N >= 1.
        scheduler: Run the trainings on the workers of a Dask cluster. Give tls://HOST:PORT of its
            scheduler. docs/guides/cluster.md shows how to set one up.
        tls_ca_file: Certificate that signed the certificates of the cluster. This flag and the next
            two default to Dask's configuration.
        tls_cert: Certificate of this machine.
        tls_key: Key of that certificate.
        insecure: Allow `--scheduler` tcp://HOST:PORT on another machine. Anybody who can reach it
            can then run code on all machines.
        retries: How often a training is repeated after its worker was killed or timed out.
        trial_timeout: Seconds after which a worker counts as hung and is restarted. No limit by
            default.
        max_seconds: Start no new training after this many seconds. The run then shows its results
            so far, and `--resume` continues it.
        output: The run folder. By default a new folder in runs/, named after the study and the
            time.
        resume: Resume the run in the output folder. Finished trainings are kept. Settings that you
            leave out come from the run. More trials or seeds are allowed.
        overwrite: Delete the run in the output folder first. Refused if the folder holds files
            but no run.
        config: Use the settings in the study.json of another run. Flags override them.
        dry_run: Check everything, print the plan, and stop.
    """

    # How the user calls it, such as "python -m recipes.mnist".
    program: ClassVar[str]

    tuner: Literal["halving", "random", "bayesian", "hyperband", "grid"] = "halving"
    trials: CountOrDefault = None
    epochs: CountOrDefault = None
    executions: Count = 1
    finalists: Count = 3
    seeds: Count = 5
    batch_size: Count = 128
    seed: Count = 0
    workers: Annotated[int | Literal["auto"], tyro.conf.arg(metavar="{auto,N}")] = "auto"
    scheduler: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    tls_ca_file: File = None
    tls_cert: File = None
    tls_key: File = None
    insecure: bool = False
    retries: Count = 2
    trial_timeout: Seconds = None
    max_seconds: Seconds = None
    output: Folder = None
    resume: bool = False
    overwrite: bool = False
    config: File = None
    dry_run: bool = False

    @classmethod
    def find_study(cls, folder: Path) -> Path | None:
        """The study.json of a run of this command; None if there is none."""
        path = folder / STUDY_FILE
        return path if path.exists() else None

    def check(self) -> None:
        """Refuses impossible values, by the name of the flag.

        Raises:
            InputError: Names the flag, the rule and what was received.
        """
        for name in ("executions", "finalists", "seeds", "batch_size"):
            _check_count(name, getattr(self, name))
        for name in ("trials", "epochs"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name))
        require(0 <= self.seed < 2**32, "seed", "a whole number from 0 to 2**32 - 1", self.seed)
        require(0 <= self.retries <= _MOST, "retries", "a whole number >= 0", self.retries)
        if self.workers != "auto":
            rule = "auto or a whole number >= 0"
            require(0 <= self.workers <= _MOST, "workers", rule, self.workers)
        for name in ("trial_timeout", "max_seconds"):
            value = getattr(self, name)
            holds = value is None or 0 < value < math.inf
            require(holds, name, "a number of seconds above 0", value)
        if self.tuner == "hyperband":
            rule = "left out: hyperband derives the number of trials from --epochs"
            require(self.trials is None, "trials", rule, self.trials)
            rule = ">= 3 with hyperband, which starts with a third of them"
            require(self.epochs is None or self.epochs >= 3, "epochs", rule, self.epochs)
        if self.resume and self.overwrite:
            raise InputError(
                "`--resume` keeps the run and `--overwrite` deletes it: give one of them"
            )
        for name in ("resume", "overwrite"):
            if getattr(self, name) and self.output is None:
                raise InputError(f"`--{name}` needs `--output RUN`, the folder of the run")
        check_scheduler(self)

    def n_epochs(self, default: int) -> int:
        """The epochs of a training: the flag, or hyperband's own default, or `default`."""
        return self.epochs or (DEFAULT_HYPERBAND_EPOCHS if self.tuner == "hyperband" else default)

    def study_arguments(self, name: str) -> dict[str, Any]:
        """The arguments of `Study` that come from flags.

        Args:
            name: Start of the run folder's name if `--output` is not given; the time follows.
        """
        names = ("tuner", "trials", "executions", "finalists", "seeds", "seed", "overwrite")
        found = {each: getattr(self, each) for each in names}
        return {**found, "directory": self.output or _new_folder(name)}

    def options(self, **taken: Any) -> dict[str, Any]:
        """The flags as a run stores them: `About(options=...)`.

        Args:
            **taken: Decisions that a resumed run keeps, such as `precision="float32"` for auto.
        """
        kept = {k: v for k, v in vars(self).items() if k not in _NOT_KEPT and v is not None}
        flags = {key: _as_json(value) for key, value in kept.items()}
        return {_PROGRAM: self.program, **flags, _TAKEN: taken}


FlagsT = TypeVar("FlagsT", bound=StudyFlags)


def parse_flags(cls: type[FlagsT], arguments: Sequence[str]) -> FlagsT:
    """Turns a command line into checked flags; `--help` and typing errors exit at once.

    `--config FILE`, and `--resume` for its own run, bring in stored settings; the command line
    overrides them.

    Raises:
        InputError: Names the flag, the rule and what was received.
    """
    # The flags that bring in stored settings must be known before the real parser runs.
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    peek.add_argument("--config", type=expand)
    peek.add_argument("--output", type=expand)
    peek.add_argument("--resume", action="store_true")
    try:
        early, _ = peek.parse_known_args(list(arguments))
    except argparse.ArgumentError:  # a flag without its value: the real parser says so below
        early = peek.parse_args([])
    stored: dict[str, Any] = {}
    if not {"-h", "--help"} & set(arguments):
        stored = _stored_flags(early.config, early.output, early.resume, cls)
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    if given & {"--workers", "--scheduler"}:  # one replaces the other
        of_cluster = ("workers", "scheduler", *_PATHS)
        stored = {name: value for name, value in stored.items() if name not in of_cluster}
    positional = stored.pop("file", None)  # the one argument without a flag
    # Of a flag given twice the last counts.
    flags = parse_plain(cls, [*_as_arguments(stored), *arguments], cls.program)
    paths = {
        field.name: Path(os.path.abspath(expand(value)))  # without `..`
        for field in dataclasses.fields(flags)
        if isinstance(value := getattr(flags, field.name), Path) and field.name != "output"
    }
    if positional is not None and getattr(flags, "file", None) is None:
        paths["file"] = Path(positional)
    output = None if flags.output is None else expand(flags.output)
    flags = dataclasses.replace(flags, **paths, output=output)
    flags.check()
    if flags.output is not None and not flags.resume:
        _check_output(flags)
    return flags


T = TypeVar("T")


def parse_plain(cls: type[T], arguments: Sequence[str], program: str) -> T:
    """Turns a command line into an instance of a class; `--help` and typing errors exit at once.

    Raises:
        InputError: A path is not valid UTF-8.
    """
    description = inspect.cleandoc(cls.__doc__ or "").partition("\n\nAttributes:")[0]
    config = (tyro.conf.FlagCreatePairsOff,)
    try:
        flags = tyro.cli(cls, args=arguments, prog=program, description=description, config=config)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    for name, value in vars(flags).items():
        if isinstance(value, Path):
            require(_is_text(value), name, "a path in UTF-8", ascii(str(value)))
    return flags


def _check_output(flags: StudyFlags) -> None:
    """Refuses a folder that cannot be written, or that holds something."""
    path, overwrite = flags.output, flags.overwrite
    assert path is not None
    try:
        nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        if not nearest.is_dir():
            raise InputError(
                f"`--output` must be a folder. Received: --output {path}, but {nearest} is a file"
            )
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if nearest != path or is_empty(path):
            return
        holds_run = flags.find_study(path) is not None
    except OSError as error:
        raise InputError(
            f"`--output` must be a folder that can be written. Received: --output {path} "
            f"({error.strerror})"
        ) from error
    if holds_run and not overwrite:
        raise InputError(
            f"`--output` must be a new or empty folder. Received: --output {path}, which holds a "
            "run. Resume it with `--resume`, replace it with `--overwrite`, or choose another "
            "folder"
        )
    if not holds_run:
        rule = "`--overwrite` deletes only a run" if overwrite else "`--output` must be empty"
        raise InputError(
            f"{rule}. Received: --output {path}, which holds other files. Nothing was deleted: "
            "choose another folder"
        )


def _stored_flags(
    config: Path | None, output: Path | None, resume: bool, cls: type[StudyFlags]
) -> dict[str, Any]:
    """The flags of an earlier run, by name."""
    if not resume:
        return {} if config is None else _read_options(config, is_own=False)
    if config is not None:
        raise InputError("`--resume` takes the settings of its own run: leave `--config` out")
    if output is None:
        raise InputError("`--resume` needs `--output RUN`, the folder of the run to resume")
    options = _read_options(cls.find_study(output) or output / STUDY_FILE, is_own=True)
    if options[_PROGRAM] != cls.program:
        raise InputError(
            "`--resume` must be given to the command that made the run. Received: --output "
            f"{output}, a run of `{options[_PROGRAM]}`"
        )
    return {k: v for k, v in options.items() if k != _PROGRAM}


def _read_options(path: Path, is_own: bool) -> dict[str, Any]:
    """The section "options" of a study.json.

    Args:
        is_own: Whether it is the run to resume: then the program and the decisions are read too.
            Another run's file may have been edited by the user.
    """
    flag = "output" if is_own else "config"
    try:
        content = (read_json if is_own else read_unverified_json)(path)
    except DamagedFileError as error:
        raise InputError(f"`--{flag}`: {error}. Start a new run, or restore the file") from error
    except OSError as error:
        if is_own and (path.parent / "config.json").is_file():
            reason = "it holds a run of an earlier version, which this version cannot read"
        else:
            reason = f"{path} cannot be read ({error.strerror})"
        received = path.parent if is_own else path
        raise InputError(
            f"`--{flag}` must name a run. Received: --{flag} {received}: {reason}"
        ) from error
    options = content.get("options", {})
    if options is None:
        raise InputError(
            f"`--{flag}` must name the run of a command line. Received: --{flag} {path}, a study "
            "that a script made. Run that script again to resume it"
        )
    if not isinstance(options, dict) or not isinstance(options.get(_PROGRAM), str):
        raise InputError(
            f"`--{flag}` must name the {STUDY_FILE} of a run. Received: --{flag} {path}, which is "
            "something else"
        )
    taken = options.pop(_TAKEN, {})
    if is_own:
        return {**options, **taken}
    del options[_PROGRAM]
    return options


def _as_arguments(stored: dict[str, Any]) -> list[str]:
    """Writes stored settings as a command line, so that they are checked."""
    arguments = []
    for name, value in stored.items():
        values = value if isinstance(value, list) else [value]
        arguments += ["--" + name.replace("_", "-"), *map(str, values)]
    return arguments


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _new_folder(name: str) -> Path:
    return Path("runs", f"{name}-{datetime.now():%Y%m%d-%H%M%S}")


def expand(path: str | Path) -> Path:
    """A path with `~` written out."""
    # Not Path.expanduser, which raises for a user who does not exist.
    return Path(os.path.expanduser(path))


def _is_text(path: Path) -> bool:
    """Whether every part of a path is valid UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_count(name: str, value: int) -> None:
    require(1 <= value <= _MOST, name, "a whole number >= 1", value)


def require(holds: bool, name: str, rule: str, received: object) -> None:
    """Refuses the value of a flag unless `holds`.

    Raises:
        InputError: Names the flag, the rule and what was received.
    """
    if not holds:
        flag = "--" + name.replace("_", "-")
        raise InputError(f"`{flag}` must be {rule}. Received: {flag} {received}")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The flags for the net, the data and the arms.

    Attributes:
        file: Python file with build(hp, rectifier), which returns a compiled Keras model. Without
            it, a small net that fits the shape of the data.
        data: An .npz file with the arrays x_train and y_train, and optionally x_val, y_val, x_test
            and y_test. Missing parts are split off the training data.
        arms: Rectifiers to compare with ReLU, which is always included: leaky_relu, prelu, elu,
            celu (alpha is searched), selu, rrelu; or with a fixed alpha, such as leaky_relu=0.1.
        objective: Metric on the validation data to optimize. By default val_accuracy, or val_mae if
            the targets are real numbers.
    """

    file: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="[FILE.py]")]] = None
    data: Annotated[Path, tyro.conf.arg(metavar="DATA.npz")]
    arms: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ARM [ARM ...]")] = (
        *("leaky_relu", "prelu", "elu"),
    )
    objective: Annotated[str | None, tyro.conf.arg(metavar="METRIC")] = None


# A dataclass takes the fields of its last base first: what is studied leads the help.
@dataclass(frozen=True)
class FileFlags(StudyFlags, _Asked):
    """Which rectifier, which alpha, which learning rate, and does it help at all?

    Searches alpha and learning rate of each rectifier, and the learning rate of ReLU, under one
    budget. Retrains the best points with new seeds and tests them once. Writes a page with
    pictures, intervals and a verdict.

    Example:
      keras-leaky study --data DATA.npz --arms leaky_relu elu --epochs 5 --output runs/mine

    With your own net, FILE.py asks for a learning rate and makes its activations by `rectifier`:
      keras-leaky study FILE.py --data DATA.npz --arms leaky_relu elu

      def build(hp, rectifier):
          layers = [
              keras.Input((20,)),
              keras.layers.Dense(64, kernel_initializer=rectifier.initializer()),
              rectifier(),
              keras.layers.Dense(3),
          ]
          model = keras.Sequential(layers)
          rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
          loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
          model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
          return model

    Attributes:
        epochs: Epochs of a training. By default 3 to 50, so that a training has about 1,000 steps.
            With hyperband, the largest number of epochs: 9 by default, at least 3.
    """

    program: ClassVar[str] = "keras-leaky study"

    def check(self) -> None:
        super().check()
        for arm in self.arms:
            rule = "names of rectifiers; FILE.py comes first, after `keras-leaky study`"
            require(not arm.endswith(".py"), "arms", rule, arm)
        require(len(self.arms) > 0, "arms", "given at least one name", "nothing")


@dataclass(frozen=True)
class ReportFlags:
    """Draw the pictures and report.html of a run again, without training.

    Example: keras-leaky report runs/mine

    Attributes:
        run: The run folder.
    """

    run: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]


@dataclass(frozen=True)
class DeadUnitFlags:
    """Count the units of a trained model that no longer learn.

    Shows the model the examples of x_val, else of x_test, else of x_train.

    Example: keras-leaky dead-units runs/mine/best.keras --data DATA.npz

    Attributes:
        model: A .keras or .h5 file.
        data: An .npz file with the array x_val, x_test or x_train.
        examples: Number of examples to show: the first ones.
        batch_size: Examples per batch.
        json: Also write the counts, and the active fraction of every unit, to this file.
    """

    model: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="MODEL")]]
    data: Annotated[Path, tyro.conf.arg(metavar="DATA.npz")]
    examples: Count = 10_000
    batch_size: Count = 256
    json: File = None
