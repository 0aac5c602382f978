"""The command `keras-leaky study | report | dead-units`, and functions for the recipes.

Keras takes seconds to import, so `--help` and a mistyped flag do not wait for it: it is imported
where it is first needed.
"""

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_leaky import is_command_line
from keras_leaky.storage import DamagedFileError
from keras_leaky.study.errors import InputError, StudyFailedError

if TYPE_CHECKING:  # at run time they would import Keras or tyro, which is slow
    from keras_leaky.study.data_files import DataFile
    from keras_leaky.study.flags import DeadUnitFlags, FileFlags, StudyFlags, T
    from keras_leaky.study.outcome import Outcome
    from keras_leaky.study.study import Plan, Study

__all__ = [
    "draw_again",
    "exit_code",
    "main",
    "run_nets",
    "run_program",
    "run_study",
    "start_keras",
]


def _end_quietly(*_: object) -> None:
    """Ends at Ctrl-C during the imports: there is nothing to keep or to report."""
    os.write(2, b"\nInterrupted.\n")
    os._exit(EXIT_INTERRUPTED)


# A recipe has left SIG_DFL.
_BEFORE = (signal.default_int_handler, signal.SIG_DFL)
if is_command_line() and signal.getsignal(signal.SIGINT) in _BEFORE:
    signal.signal(signal.SIGINT, _end_quietly)  # until `exit_code` takes over

EXIT_FAILED, EXIT_WRONG_INPUT, EXIT_INTERRUPTED = 1, 2, 130
PROGRAM = "keras-leaky"
HELP = f"""\
usage: {PROGRAM} [-h] {{study,report,dead-units}} ...

Which rectifier, which alpha, which learning rate, and does it help at all?

  {PROGRAM} study [FILE.py] --data DATA.npz --output RUN
        searches alpha and learning rate for each rectifier, retrains the best points with
        new seeds, tests them once, and writes RUN/report.html with pictures and a verdict
  {PROGRAM} report RUN
        draws the page of a run again, without training
  {PROGRAM} dead-units MODEL.keras --data DATA.npz
        counts the units of a trained model that no longer learn

Example: make a file of your data, and look at the page that comes out.

  python -c "import numpy as np; from sklearn.datasets import load_breast_cancer
  x, y = load_breast_cancer(return_X_y=True); np.savez('cancer.npz', x_train=x, y_train=y)"
  {PROGRAM} study --data cancer.npz --arms leaky_relu elu --output runs/cancer

`{PROGRAM} study --help` explains every flag.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"study": _study, "report": _report, "dead-units": _dead_units}
    name = given[0] if given else ""
    if name in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if name not in commands:
        what = f"there is no command {name!r}" if name else "a command is missing"
        print(HELP.splitlines()[0], file=sys.stderr)
        print(f"error: {what}. `{PROGRAM} --help` shows an example.", file=sys.stderr)
        return EXIT_WRONG_INPUT
    return exit_code(lambda: commands[name](given[1:]))


def run_program(
    flags_class: "type[T]",
    work: "Callable[[T], Any]",
    arguments: Sequence[str] | None = None,
) -> int:
    """Parses the flags of a command line, does the work, and returns the exit code.

    Args:
        flags_class: A `StudyFlags`, or a dataclass of plain flags. Its `program` is the command
            that the user types.
        work: Called with the flags. Keras has been imported then.
        arguments: Arguments of the command line; None takes the arguments of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)

    def parse_and_work() -> None:
        from keras_leaky.study.flags import StudyFlags, parse_flags, parse_plain

        cls: Any = flags_class
        if issubclass(cls, StudyFlags):
            flags: Any = parse_flags(cls, given)
        else:
            flags = parse_plain(cls, given, cls.program)
        start_keras()
        work(flags)

    return exit_code(parse_and_work)


def run_study(
    study: "Study", flags: "StudyFlags", x: Any, y: Any = None, **kwargs: Any
) -> "Outcome | None":
    """Runs a study by its flags: `study.run`, or `study.plan` for `--dry-run`.

    Args:
        x, y, **kwargs: Arguments of `study.run` that are not flags.

    Returns:
        The outcome; None for a dry run, which prints the plan.
    """
    _prepare([study])
    kwargs = {"batch_size": flags.batch_size, **kwargs}
    if flags.dry_run:
        _print_plan(study.plan(x, y, **kwargs), study.about.warning)
        return None
    with _ways_on(flags, study.directory), _lanes(flags) as lanes:
        return study.run(x, y, **lanes, **kwargs)


def run_nets(
    studies: "Mapping[str, Study]",
    flags: "StudyFlags",
    x: Any,
    y: Any = None,
    *,
    directory: Path,
    **kwargs: Any,
) -> "dict[str, Outcome] | None":
    """Runs the studies of several nets, like `run_study` for one net.

    Args:
        directory, x, y, **kwargs: Arguments of `run_studies` that are not flags.
    """
    from keras_leaky.study import run_studies

    _prepare(list(studies.values()))
    kwargs = {"batch_size": flags.batch_size, **kwargs}
    if flags.dry_run:
        kwargs.pop("title", None)
        for name, study in studies.items():
            print(f"{name}:")
            _print_plan(study.plan(x, y, **kwargs), study.about.warning)
        return None
    with _ways_on(flags, directory), _lanes(flags) as lanes:
        return run_studies(studies, x, y, directory=directory, **lanes, **kwargs)


def _prepare(studies: "Sequence[Study]") -> None:
    """Prints the data source, and lets the nets of a checkout travel to workers."""
    from keras_leaky.study._user_file import pickle_by_value

    print(f"Data: {studies[0].about.data_source}")
    for study in studies:
        module = getattr(study.build, "__module__", "").partition(".")[0]
        if module not in ("", "__main__", "keras_leaky"):
            pickle_by_value(sys.modules[module])


def exit_code(work: Callable[[], None]) -> int:
    """Runs `work`; our own errors become one sentence and a code, others keep their traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its notes are not for our users
    if signal.getsignal(signal.SIGINT) is _end_quietly:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        work()
    except KeyboardInterrupt as error:
        _say("\nInterrupted.", error)
        return EXIT_INTERRUPTED
    except (InputError, DamagedFileError) as error:
        text = _sentence(error).replace("`directory`", "`--output`")  # what the user typed
        _say(f"error: {text.replace('directory=', '--output ')}", error)
        return EXIT_WRONG_INPUT
    except Exception as error:
        text = _failure(error)
        if text is None:
            raise
        _say(f"error: {text}", error)
        return EXIT_FAILED
    return 0


def _failure(error: Exception) -> str | None:
    """Why a run failed, in a sentence; None for a bug or an error in the user's code."""
    from keras_leaky.storage import WriteError

    if isinstance(error, StudyFailedError):
        return _sentence(error)
    if isinstance(error, WriteError):
        advice = "Free some space" if error.is_disk_full else "Make it writable"
        what = f"{error.filename} cannot be written: {error.strerror}"
        return f"{what}. {advice}, then run the command again."
    if "keras_tuner" in sys.modules:
        from keras_leaky.tuning import SchedulerLostError, WorkerLostError

        if isinstance(error, SchedulerLostError | WorkerLostError):
            return _sentence(error)
    return None


def _sentence(error: Exception) -> str:
    text = str(error)
    is_command = text.rpartition("\n")[2].startswith("  ")  # to be copied
    return text if is_command or text.endswith((".", "!", "?")) else f"{text}."


def _say(text: str, error: BaseException) -> None:
    print("\n".join([text, *getattr(error, "__notes__", [])]), file=sys.stderr)


@contextlib.contextmanager
def _ways_on(flags: "StudyFlags", directory: Path) -> Iterator[None]:
    """Tells how to resume a run that ended early."""
    try:
        yield
    except (InputError, StudyFailedError):  # resuming would end there again
        raise
    except BaseException as error:
        if flags.find_study(directory) is not None:
            consent = " --insecure" if flags.insecure else ""  # which a run does not keep
            error.add_note(
                "Finished trainings are kept. Resume with:\n"
                f"  {flags.program} --output {shlex.quote(str(directory))} --resume{consent}"
            )
        raise


@contextlib.contextmanager
def _lanes(flags: "StudyFlags") -> Iterator[dict[str, Any]]:
    """Where and how long to train: arguments of `Study.run`."""
    names = ("workers", "retries", "trial_timeout", "max_seconds")
    lanes = {name: getattr(flags, name) for name in names}
    if flags.scheduler is None:
        yield lanes
        return
    from keras_leaky.study.scheduler import connect

    with connect(flags) as client:
        yield {**lanes, "client": client}


def _print_plan(plan: "Plan", warning: str) -> None:
    from keras_leaky.study._progress import make_console, print_note

    console = make_console(verbose=1)
    console.print("Dry run: nothing is trained or written.")
    console.print(str(plan), markup=False)
    if warning:
        print_note(console, warning)


def start_keras() -> None:
    """Imports Keras without TensorFlow's start-up notes, and what a script would import."""
    from keras_leaky import import_parts
    from keras_leaky._quiet_start import make_start_quietly

    make_start_quietly()()
    import_parts()


def _study(arguments: Sequence[str]) -> None:
    """`keras-leaky study`: from data and flags to the page."""
    from keras_leaky.study.flags import FileFlags, parse_flags

    flags = parse_flags(FileFlags, arguments)
    start_keras()
    from keras_leaky.study import About, Study
    from keras_leaky.study.data_files import read_data

    data = read_data(flags.data)
    build, objective, data, notes = _net_of(flags, data)
    net = flags.file.name if flags.file else str(build)
    name = f"study-{flags.data.stem}"
    epochs = flags.n_epochs(_default_epochs(len(data.train), flags.batch_size))
    study = Study(
        build,
        arms=flags.arms,
        objective=flags.objective or objective,
        about=About(
            title=flags.data.stem,
            data_source=f"{data.source}: {_count(data)}; net: {net}",
            warning=" ".join([*data.notes, *notes]),
            options=flags.options(epochs=epochs),
        ),
        **flags.study_arguments(name),
    )
    validation, test = tuple(data.val), tuple(data.test)
    run_study(study, flags, *data.train, validation_data=validation, test_data=test, epochs=epochs)


def _net_of(flags: "FileFlags", data: "DataFile") -> tuple[Any, str, "DataFile", list[str]]:
    """`build`, the objective, the data in the form that the net takes, and notes."""
    from keras_leaky.study._small_net import make_small_net
    from keras_leaky.study._user_file import build_once, load_build
    from keras_leaky.study.data_files import check_fit

    if flags.file is None:
        data = data.with_classes_from_0()
        net, notes = make_small_net(data)
        return net, net.objective, data, notes
    build = load_build(flags.file)
    notes = check_fit(build_once(build), data)
    return build, "val_accuracy" if data.targets.has_classes else "val_mae", data, notes


def _default_epochs(n_train: int, batch_size: int) -> int:
    n_steps = -(-n_train // batch_size)
    return min(50, max(3, round(1000 / n_steps)))


def _count(data: "DataFile") -> str:
    n_train, n_val, n_test = (f"{len(part):,}" for part in data.parts.values())
    return f"{n_train} training, {n_val} validation, {n_test} test examples"


def _report(arguments: Sequence[str]) -> None:
    """`keras-leaky report`."""
    from keras_leaky.study.flags import ReportFlags, parse_plain

    flags = parse_plain(ReportFlags, arguments, f"{PROGRAM} report")
    print(f"Page: {draw_again(flags.run).resolve()}")


def draw_again(run: Path) -> Path:
    """Draws the page of a run of one net or several again; returns its path.

    Raises:
        InputError: There is no run, or it is damaged.
    """
    start_keras()
    from keras_leaky.study import load, load_all
    from keras_leaky.study.report import write_joint_report, write_report

    if not (run / "study.json").exists() and (run / "nets.json").exists():
        title, outcomes = load_all(run)
        return write_joint_report(outcomes, run, title)
    outcome = load(run)
    write_report(outcome)
    return outcome.page


def _dead_units(arguments: Sequence[str]) -> None:
    """`keras-leaky dead-units`."""
    from keras_leaky.study.flags import DeadUnitFlags, parse_plain, require

    flags = parse_plain(DeadUnitFlags, arguments, f"{PROGRAM} dead-units")
    for name in ("examples", "batch_size"):
        require(getattr(flags, name) >= 1, name, "a whole number >= 1", getattr(flags, name))
    if not flags.model.is_file():
        raise InputError(f"`MODEL` must be a .keras or .h5 file. Received: {flags.model}")
    start_keras()
    from keras_leaky.diagnostics import dead_units
    from keras_leaky.saving import load_model
    from keras_leaky.study.data_files import fits, read_inputs

    name, x = read_inputs(flags.data)
    x = x[: flags.examples]
    try:
        model = load_model(flags.model, compile=False)
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"`MODEL` cannot be loaded: {error}. Received: {flags.model}") from error
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and not fits(shape, x.shape):
        raise InputError(
            f"`{name}` must have the shape that the model takes, {shape}. Received: {x.shape}"
        )
    try:
        report = dead_units(model, x, batch_size=flags.batch_size)
    except ValueError as error:
        raise InputError(f"The units of {flags.model} cannot be counted: {error}") from error
    print(f"{flags.model} on the first {len(x):,} examples of {name} in {flags.data}\n")
    print(report)
    if flags.json is not None:
        _write_counts(flags, name, report)


def _write_counts(flags: "DeadUnitFlags", name: str, report: Any) -> None:
    import json

    from keras_leaky.storage import write_whole

    assert flags.json is not None
    content = {"model": str(flags.model), "data": str(flags.data), "array": name}
    content |= report.to_dict()
    write_whole(flags.json, (json.dumps(content, indent=2) + "\n").encode())
    print(f"Written: {flags.json.resolve()}")


if __name__ == "__main__":
    sys.exit(main())
