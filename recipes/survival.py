"""How long do dead units live? Every unit of ReLU nets, seen after every epoch."""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.progress import track

from keras_leaky.study import InputError
from keras_leaky.study.command_line import run_program
from recipes import datasets
from recipes.tables import check_folder, read_rows, write_rows

OPTIMIZERS = {  # with the rates: from one that is too small to one where nets just still learn
    "sgd": (0.05, 0.1, 0.2, 0.5),
    "momentum": (0.01, 0.02, 0.05, 0.1),
    "adam": (0.001, 0.002, 0.005, 0.01),
}
NETS = ("plain", "batch_norm")
FILE = "survival.csv.gz"
TEXTS = ("net", "optimizer", "states")
COLUMNS = (
    *("net", "optimizer", "learning_rate", "seed", "val_accuracy", "layer", "unit", "states"),
    *("death_epoch", "output_at_death", "gradient_at_death"),
)


@dataclass
class Options:
    """Which units of ReLU nets are dead after each epoch, and which come back.

    784-100-100-100-10 on 10,000 images of MNIST, batches of 32, He's initialization, constant
    learning rates: four for each of SGD, SGD with momentum 0.9 and Adam, with and without batch
    normalization. A unit is dead if it fires on none of 1,000 validation images.

    A row a unit: its state after each epoch ("1" fires, "0" dead), and two measures on the training
    images at its first death. Run the command again with the same folder to resume.
    `python -m recipes.survival_claims RUN` makes the tables.
    """

    program: ClassVar = "python -m recipes.survival"
    out: Path = Path("runs/survival")
    """Folder for the table."""
    data_dir: Path | None = None
    """Folder with mnist.npz; without it, Keras's cache or a download."""
    seeds: int = 5
    """Nets for each setting."""
    epochs: int = 10
    """How long they learn."""
    quick: bool = False
    """Few nets, images and epochs, in a minute: does it run?"""


def main(options: Options) -> None:
    from keras_leaky.tuning import Trainer
    from recipes.survival_nets import observe

    images = datasets.load("mnist", "auto", options.data_dir)
    if images.warning:
        raise InputError(images.warning)
    parts = datasets.split(images, 1000 if options.quick else 10_000)
    seeds = range(1, (2 if options.quick else options.seeds) + 1)
    n_epochs = 4 if options.quick else options.epochs
    options.out.mkdir(parents=True, exist_ok=True)
    settings_of_run = {"epochs": n_epochs, "quick": options.quick, "source": images.source}
    check_folder(options.out, "survival.json", settings_of_run)
    path = options.out / FILE
    rows = read_rows(path, TEXTS) if path.exists() else []
    done = {(r["net"], r["optimizer"], r["learning_rate"], r["seed"]) for r in rows}
    settings = [
        (net, optimizer, rate)
        for net, (optimizer, rates) in itertools.product(NETS, OPTIMIZERS.items())
        for rate in (rates[-3:-1] if options.quick else rates)
    ]
    trainer = Trainer()
    for place, (net, optimizer, rate) in enumerate(track(settings, "Settings")):
        todo = [seed for seed in seeds if (net, optimizer, rate, seed) not in done]
        for seed in todo:
            own_seed = 1000 * place + seed  # no two nets share weights or the order of the data
            rows += [
                {**row, "seed": seed}
                for row in observe(trainer, net, optimizer, rate, own_seed, parts, n_epochs)
            ]
        if todo:
            write_rows(path, COLUMNS, rows)
    print(f"Table: {path}. Make the tables: python -m recipes.survival_claims {path}")


if __name__ == "__main__":
    sys.exit(run_program(Options, main))
