"""The flags of `python -m recipes.dying_relu`, and their checks."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from recipes.common.errors import InputError

PROGRAM = "python -m recipes.dying_relu"

Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True)
class DyingOptions:
    """Dying ReLU, measured: nets that are born dead, that collapse, and units that die.

    Three parts, each with its pictures on one page. (1) How likely is a deep and narrow ReLU net
    to be dead before training, against what theory allows? (2) How many nets of 10 layers of width
    2 have become a constant after learning |x|, with He's initialization, with the randomized
    asymmetric one, and with a leak? (3) How many units of a digit classifier die at which learning
    rate, alpha and momentum, what do a smaller rate and a leak change, and do dead units come back?
    Takes some minutes on two cores.

    Attributes:
        quick: Fewer and shorter trainings: under a minute, to see what comes out.
        data: Digits for part 3. auto takes MNIST, or scikit-learn's 1,797 digits where MNIST cannot
            be had. synthetic takes made-up images, to try the machinery. Test images are not used.
        data_dir: Folder that holds mnist.npz with the arrays x_train, y_train, x_test, y_test.
            Without it, Keras's cache or a download.
        seed: Everything random derives from it.
        output: The folder for page, pictures and tables; by default runs/dying_relu- and the time.
        overwrite: Delete an earlier run of this recipe in the output folder first. Refused on any
            other folder.
    """

    quick: bool = False
    data: Literal["auto", "mnist", "digits", "synthetic"] = "auto"
    data_dir: Folder = None
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    output: Folder = None
    overwrite: bool = False


def parse_options(arguments: Sequence[str]) -> DyingOptions:
    """Turns a command line into options; `--help` and typing errors exit at once.

    Raises:
        InputError: Names the flag, the rule and what was received.
    """
    options = tyro.cli(
        DyingOptions,
        args=list(arguments),
        prog=PROGRAM,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    if not 0 <= options.seed < 2**32:
        raise InputError(
            f"`--seed` must be a whole number from 0 to 2**32 - 1. Received: --seed {options.seed}"
        )
    if options.data_dir is not None and options.data in ("digits", "synthetic"):
        raise InputError(
            "`--data-dir` must be left out with --data digits or synthetic, which are not read "
            f"from a folder. Received: --data-dir {options.data_dir}"
        )
    if options.overwrite and options.output is None:
        raise InputError("`--overwrite` needs `--output RUN`, the folder of the run to delete.")
    return dataclasses.replace(
        options, data_dir=_expand(options.data_dir), output=_expand(options.output)
    )


def settings(options: DyingOptions) -> dict[str, Any]:
    """What a run keeps of its options, as JSON keeps it: what was measured, not where it lies."""
    kept = dataclasses.asdict(options)
    del kept["output"], kept["overwrite"]
    return {key: str(v) if isinstance(v, Path) else v for key, v in kept.items()}


def _expand(path: Path | None) -> Path | None:
    # Not Path.expanduser, which raises for a user who does not exist.
    return None if path is None else Path(os.path.expanduser(path)).absolute()
