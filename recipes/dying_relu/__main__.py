"""Dying ReLU, measured: `python -m recipes.dying_relu --help`."""

import contextlib
import dataclasses
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from keras_leaky import storage
from keras_leaky.study import InputError
from keras_leaky.study.command_line import exit_code, start_keras
from keras_leaky.study.flags import Folder, parse_plain, require
from recipes.dying_relu import budget, folder

if TYPE_CHECKING:  # at run time it brings in Keras, for which `--help` does not wait
    from recipes.datasets import Arrays

PROGRAM = "python -m recipes.dying_relu"


@dataclass(frozen=True)
class DyingFlags:
    """Dying ReLU, measured: which nets and units die, and what prevents it.

    Answers three questions with pictures on one page. (1) How often is a deep and narrow ReLU
    net dead before training, and does that agree with theory? (2) How often does training turn a
    net of 10 layers of width 2 into a constant function? He's initialization is compared with
    randomized asymmetric initialization (RAI), leaks and ELU. (3) How many units of a digit
    classifier die at which learning rate and momentum? A smaller rate is compared with a leak.

    Takes about five minutes on two cores.

    Example: python -m recipes.dying_relu --output runs/dying

    Attributes:
        quick: Train fewer nets for fewer epochs: about a minute on two cores. Question 3 then has 2
            nets per setting, which is too few for an answer.
        data: Images for question 3. auto takes MNIST, or scikit-learn's 1,797 digits if MNIST
            cannot be loaded. synthetic takes made-up images, to try the machinery. Test images are
            not used.
        data_dir: Folder that holds mnist.npz with the arrays x_train, y_train, x_test, y_test.
            Without it, Keras's cache or a download.
        seed: Everything random follows from this number.
        output: The run folder. By default runs/dying_relu-TIME.
        resume: Resume the run in the output folder. Finished parts are kept. Settings come from the
            run.
        overwrite: Delete the run in the output folder first. Refused if the folder holds files
            but no run of this recipe.
    """

    quick: bool = False
    data: Literal["auto", "mnist", "digits", "synthetic"] = "auto"
    data_dir: Folder = None
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    output: Folder = None
    resume: bool = False
    overwrite: bool = False

    def as_arguments(self) -> list[str]:
        """The measured settings, as a command line."""
        given = ["--data", self.data, "--seed", str(self.seed)]
        given += ["--quick"] if self.quick else []
        return given + (["--data-dir", str(self.data_dir)] if self.data_dir else [])


def parse_flags(arguments: Sequence[str]) -> DyingFlags:
    """Turns a command line into checked flags; `--help` and typing errors exit at once.

    Raises:
        InputError: Names the flag, the rule and what was received.
    """
    flags = parse_plain(DyingFlags, arguments, PROGRAM)
    if flags.resume and flags.overwrite:
        raise InputError("`--resume` keeps the run and `--overwrite` deletes it: give one of them")
    for name in ("resume", "overwrite"):
        if getattr(flags, name) and flags.output is None:
            raise InputError(f"`--{name}` needs `--output RUN`, the folder of the run")
    if flags.resume and flags.output is not None:
        stored = folder.read_config(_absolute(flags.output))["arguments"]
        flags = parse_plain(DyingFlags, [*stored, *arguments], PROGRAM)  # of two, the last counts
    require(0 <= flags.seed < 2**32, "seed", "a whole number from 0 to 2**32 - 1", flags.seed)
    if flags.data_dir is not None:
        rule = "left out with --data digits or synthetic, which are not read from a folder"
        require(flags.data not in ("digits", "synthetic"), "data_dir", rule, flags.data_dir)
    output = flags.output or Path("runs", f"dying_relu-{datetime.now():%Y%m%d-%H%M%S}")
    data_dir = None if flags.data_dir is None else _absolute(flags.data_dir)
    flags = dataclasses.replace(flags, output=_absolute(output), data_dir=data_dir)
    folder.check_output(_absolute(output), flags.resume, flags.overwrite)
    return flags


def run(flags: DyingFlags) -> None:
    """Measures the three parts, one after the other, and writes the page."""
    start_keras()
    from recipes import datasets  # these wait for Keras
    from recipes.dying_relu import page
    from recipes.dying_relu.born_dead import measure_born_dead
    from recipes.dying_relu.collapse import measure_collapse
    from recipes.dying_relu.dead_units import measure_training_death

    path = flags.output
    assert path is not None  # `parse_flags` fills it
    sizes = budget.QUICK if flags.quick else budget.FULL
    arrays = datasets.load("mnist", flags.data, flags.data_dir)
    data = datasets.split(arrays, sizes.n_images)
    config = make_config(flags, sizes, arrays)
    with folder.hold(path):
        folder.start_run(path, config, flags.resume, flags.overwrite)
        print(f"Run folder: {path}", flush=True)
        if arrays.warning:
            print(f"Note: {arrays.warning}", flush=True)
        with _ways_on(path):
            measures = {
                "born_dead": lambda advance: measure_born_dead(sizes, flags.seed, advance),
                "collapse": lambda advance: measure_collapse(sizes, flags.seed, advance),
                "training_death": lambda advance: measure_training_death(
                    sizes, flags.seed, advance, data
                ),
            }
            for name, measure in measures.items():
                part = _read_or_measure(path, name, page.PARTS[name], measure)
                page.write_part_views(path, part)
            answers = page.write_page(path)
    for sentences in answers.values():
        print("", *sentences, sep="\n")
    print(f"\nPage: {path / page.PAGE}")


def _read_or_measure(path: Path, name: str, cls: Any, measure: Any) -> Any:
    """Reads a part from the folder, or measures it under a progress bar and writes it."""
    from rich.console import Console
    from rich.progress import Progress

    try:
        part, _ = folder.read_part(path, name, cls)
        print(f"{cls.title}: finished before", flush=True)
        return part
    except FileNotFoundError:
        pass
    except storage.DamagedFileError as error:
        print(f"{error}. It was renamed to {storage.set_aside(error.path).name}.", flush=True)
    start, console = time.monotonic(), Console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(cls.title, total=1.0)
        part = measure(lambda fraction: bar.advance(task, fraction))
    seconds = time.monotonic() - start
    folder.write_part(path, name, part, seconds)
    print(f"{cls.title}: {seconds:.0f} s", flush=True)
    return part


def make_config(flags: DyingFlags, sizes: budget.Budget, arrays: "Arrays") -> dict[str, Any]:
    """The content of config.json: the flags, and all settings behind them."""
    from keras_leaky.study.environment import describe_environment
    from recipes import datasets
    from recipes.dying_relu import collapse, training_death

    images = arrays.x_train, arrays.y_train, arrays.x_test, arrays.y_test
    environment = describe_environment()
    return {
        "arguments": flags.as_arguments(),
        "quick": flags.quick,
        "data": flags.data,
        "seed": flags.seed,
        "budget": dataclasses.asdict(sizes),
        "fixed": {
            "collapse: net": f"{collapse.DEPTH} layers of width {collapse.WIDTH}, with biases",
            "collapse: optimizer": f"Adam, learning rate {collapse.LEARNING_RATE:g}",
            "collapse: points": f"{collapse.N_POINTS} uniform, {collapse.BATCH_SIZE} a step",
            "digits: optimizer": f"SGD, {training_death.BATCH_SIZE} images a step",
            "digits: hidden layers": ", ".join(map(str, training_death.HIDDEN)),
        },
        "data_source": arrays.source,
        "data_sha256": datasets.fingerprint("mnist", *images),
        "warning": arrays.warning,
        "command": environment.pop("command"),
        "started": environment.pop("started"),
        "machine": environment,
    }


@contextlib.contextmanager
def _ways_on(path: Path) -> Iterator[None]:
    """Tells how to resume a run that ended early."""
    try:
        yield
    except BaseException as error:
        error.add_note(
            "Finished parts are kept. Resume with:\n"
            f"  {PROGRAM} --output {shlex.quote(str(path))} --resume"
        )
        raise


def _absolute(path: Path) -> Path:
    # Not Path.expanduser, which raises for a user who does not exist.
    return Path(os.path.expanduser(path)).absolute()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the recipe and returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(lambda: run(parse_flags(given)))


if __name__ == "__main__":
    sys.exit(main())
