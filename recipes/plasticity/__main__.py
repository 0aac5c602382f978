"""Does a slope keep a net able to learn? The command."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

os.environ.setdefault("KERAS_BACKEND", "jax")

import tyro

from keras_leaky.study import InputError
from keras_leaky.study.command_line import exit_code
from keras_leaky.study.flags import parse_plain

PROGRAM = "python -m recipes.plasticity"
PARTS = "regression", "permuted"


@dataclass
class Options:
    """Loss of plasticity: 14 rectifiers through tasks that keep changing.

    regression: Slowly-Changing Regression, with nets of 5 hidden units and one step per example. 14
    rectifiers, 3 step sizes, 2 initializations and 100 runs are 8,400 nets in one program.
    permuted: A small form of Online Permuted MNIST. 7 rectifiers, 3 step sizes and 30 runs are 630
    nets.

    Both run on JAX. `out` gets a table of all numbers (NAME.csv.gz), the settings and seconds
    (NAME.json), and the state (NAME-state.npz). Run the command again with the same folder to
    resume it, or to continue with more examples or tasks.
    """

    out: Path = Path("runs/plasticity")
    """Folder for the results."""
    minutes: float = 60.0
    """Stop after this many minutes; the next call resumes."""
    parts: tuple[str, ...] = PARTS
    """Parts to run, in this order."""
    examples: int = 1_000_000
    """Examples of the regression, a multiple of 40,000. The paper shows 3,000,000."""
    tasks: int = 100
    """Tasks of Permuted MNIST. The paper has 800."""
    runs: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Runs of each arm. None: 100 for the regression, 30 for Permuted MNIST."""
    seed: int = 1
    """Everything random follows from this number."""
    data_dir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with mnist.npz, for Permuted MNIST."""
    quick: bool = False
    """Try the machinery with a small form of each part, in under a minute."""


def list_programs(options):
    """The parts that were asked for. Each is made when its turn comes."""
    from recipes.plasticity.permuted import PermutedMnist, load_images
    from recipes.plasticity.regression import Regression

    def make_regression():
        n_runs = options.runs or (5 if options.quick else 100)
        if options.quick:
            return Regression(n_runs, 2, options.seed, examples_a_task=1_000)
        return Regression(n_runs, options.examples // 40_000, options.seed)

    def make_permuted():
        n_runs, images = options.runs or (2 if options.quick else 30), load_images(options.data_dir)
        if options.quick:
            return PermutedMnist(n_runs, 2, options.seed, images, images_a_task=800)
        return PermutedMnist(n_runs, options.tasks, options.seed, images)

    makers = {"regression": make_regression, "permuted": make_permuted}
    return [makers[name] for name in options.parts]


def main(options: Options):
    start = time.perf_counter()
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        raise InputError(f"`--parts` must be among {', '.join(PARTS)}. Received: {unknown[0]}")
    if options.examples < 40_000 or options.examples % 40_000 or options.examples > 10_000_000:
        raise InputError(
            "`--examples` must be a multiple of 40,000, at most 10,000,000. "
            f"Received: {options.examples}"
        )
    if "permuted" in options.parts:
        folder = options.data_dir
        if folder is None or not (folder / "mnist.npz").is_file():
            raise InputError(
                "`--data-dir` must name a folder with mnist.npz for Permuted MNIST; without it, "
                f"pass `--parts regression`. Received: {folder}"
            )
    from recipes.plasticity.run_folder import run

    def is_late():
        return time.perf_counter() - start > 60 * options.minutes

    def tell(text):
        print(text, flush=True)

    for make in list_programs(options):
        if not run(make(), options.out, is_late, tell):
            tell("Stopped. Run the same command again to resume.")
            return
    tell(f"Finished: {options.out}")


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(parse_plain(Options, sys.argv[1:], PROGRAM))))
