"""Which learning rate does a slope want? Every slope at every rate, in nets of several depths."""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from keras_leaky.study import InputError
from keras_leaky.study.command_line import run_program
from recipes import datasets
from recipes.tables import check_folder, read_rows, write_rows

SLOPES = (-1.0, -0.5, 0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)
PRELU = "prelu"
INITS = ("he", "own")  # He's gain for every slope, or the gain of the slope
OPTIMIZERS = {"sgd": (1e-3, 10.0), "adam": (1e-5, 1e-1)}  # with the rates of the first pass
NETS = {"mlp2": 100, "mlp8": 100, "mlp30": 32}  # hidden layers, and units of each
SECOND_NETS = ("mlp2", "mlp8")
N_RATES, STEP, N_NEAR = 12, 1.4, 7
TEXTS = ("net", "optimizer", "init", "failure")
N_IMAGES, BATCH_SIZE = 10_000, 128
COLUMNS = (
    *("net", "optimizer", "init", "slope", "learning_rate", "seed", "val_loss", "val_accuracy"),
    *("failure", "dead_fraction", "inactive_fraction"),
)


@dataclass
class Options:
    """Leaky ReLU and PReLU: validation accuracy for every slope at every learning rate.

    First pass: 12 rates over four decades, 2 seeds, one epoch. Second pass, for nets of 2 and 8
    hidden layers: 7 rates 1.4 times apart around each best one, 8 paired seeds, 3 epochs. Every
    training sees 10,000 images of MNIST, and its rate is the peak of a triangle over all steps.

    The folder gets one table per group of trainings (PASS-NET-OPTIMIZER-INIT.csv.gz). Run the
    command again with the same folder to resume it. `python -m recipes.atlas_map RUN` draws the
    maps.
    """

    program: ClassVar = "python -m recipes.atlas"
    out: Path = Path("runs/atlas")
    """Folder for the tables."""
    data_dir: Path | None = None
    """Folder with mnist.npz or cifar10.npz; without it, Keras's cache or a download."""
    dataset: str = "mnist"
    """mnist or cifar10."""
    nets: tuple[str, ...] = tuple(NETS)
    """Nets to train, of mlp2, mlp8 and mlp30."""
    workers: int = 0
    """Worker processes of one thread; 0 trains in this process. The last bits depend on it."""
    quick: bool = False
    """Try the machinery with few slopes, rates and images, in two minutes."""


@dataclass(frozen=True)
class Group:
    """Trainings that are kept in one file."""

    stage: str  # first or second
    net: str
    optimizer: str
    init: str

    @property
    def file_name(self) -> str:
        return f"{self.stage}-{self.net}-{self.optimizer}-{self.init}.csv.gz"


def run_group(
    group: Group, points: Sequence[tuple[Any, float]], seeds: Sequence[int], parts: Any,
    options: Options,
) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of a group, from its file or from trainings."""
    path = options.out / group.file_name
    if path.exists():
        return read_rows(path, TEXTS)
    from keras_leaky.tuning import train_all
    from recipes.atlas_nets import Examine, build
    from recipes.nets import Net

    n_epochs = 1 if group.stage == "first" else 3
    n_steps = -(-len(parts.x_train) // BATCH_SIZE)
    net = Net(
        group.net, parts.image_shape, parts.n_classes, n_steps, n_epochs,
        learning_rate_range=(1e-9, 1e9), optimizer=group.optimizer, n_units=NETS[group.net],
    )  # fmt: skip
    print(f"{group.file_name}: {len(points)} points, {len(seeds)} seeds", flush=True)
    trained = train_all(
        partial(build, net, group.init),
        points,
        *parts.train,
        seeds=seeds,
        examine=Examine(*parts.validation),
        workers=options.workers,
        epochs=n_epochs,
        batch_size=BATCH_SIZE,
    )
    own = {"net": group.net, "optimizer": group.optimizer, "init": group.init}
    rows = [
        {
            **own,
            "slope": one.point[0],
            "learning_rate": one.point[1],
            "seed": one.seed,
            "failure": one.failure or "",
            **(one.examined or {}),
        }
        for one in trained
    ]
    write_rows(path, COLUMNS, rows)
    return read_rows(path, TEXTS)


def best_rates(rows: Sequence[dict[str, Any]]) -> dict[Any, float]:
    """The rate with the lowest mean validation loss of each slope, none where all diverge."""
    losses: dict[Any, dict[float, list[float]]] = {}
    for row in rows:
        loss = row["val_loss"] if row["val_loss"] is not None else np.inf
        losses.setdefault(row["slope"], {}).setdefault(row["learning_rate"], []).append(loss)
    found = {}
    for slope, by_rate in losses.items():
        means = {rate: float(np.mean(values)) for rate, values in by_rate.items()}
        rate = min(means, key=lambda rate: means[rate])
        if np.isfinite(means[rate]):
            found[slope] = rate
    return found


def main(options: Options) -> None:
    if options.quick:
        slopes, n_rates, n_images, n_near = (0.0, 0.3, PRELU), 4, 1_000, 3
        groups = [("mlp2", "sgd", "own")]
        first_seeds, second_seeds = [1], [11, 12]
    else:
        slopes, n_rates, n_images, n_near = (*SLOPES, PRELU), N_RATES, N_IMAGES, N_NEAR
        groups = list(itertools.product(options.nets, OPTIMIZERS, INITS))
        first_seeds, second_seeds = [1, 2], list(range(11, 19))
    unknown = [name for name in options.nets if name not in NETS]
    if unknown:
        raise InputError(f"`--nets` must be of {', '.join(NETS)}. Received: {unknown[0]}")
    if options.dataset not in ("mnist", "cifar10"):
        raise InputError(f"`--dataset` must be mnist or cifar10. Received: {options.dataset}")
    images = datasets.load(options.dataset, "auto", options.data_dir)
    parts = datasets.split(images, n_images)
    options.out.mkdir(parents=True, exist_ok=True)
    check_folder(
        options.out,
        "atlas.json",
        {
            "dataset": options.dataset,
            "quick": options.quick,
            "source": images.source,
            "n_workers": min(options.workers, 1),  # any number of workers gives the same numbers
        },
    )
    for name, optimizer, init in groups:
        low, high = OPTIMIZERS[optimizer]
        rates = np.geomspace(low, high, n_rates).tolist()
        points: list[tuple[Any, float]] = [(slope, rate) for slope in slopes for rate in rates]
        rows = run_group(Group("first", name, optimizer, init), points, first_seeds, parts, options)
        if name not in SECOND_NETS:
            continue
        near = STEP ** (np.arange(n_near) - n_near // 2)
        points = [
            (slope, float(rate)) for slope, best in best_rates(rows).items() for rate in best * near
        ]
        run_group(Group("second", name, optimizer, init), points, second_seeds, parts, options)
    print(f"Tables: {options.out}. Draw the maps: python -m recipes.atlas_map {options.out}")


if __name__ == "__main__":
    sys.exit(run_program(Options, main))
