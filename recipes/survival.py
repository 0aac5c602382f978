"""How long do dead units live? Every unit of ReLU nets, seen after every epoch."""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tyro
from rich.progress import track

from keras_leaky.diagnostics import dead_units
from keras_leaky.initializers import RectifierNormal
from keras_leaky.study import InputError
from keras_leaky.study.command_line import exit_code
from keras_leaky.tuning import Trainer
from recipes import datasets
from recipes.tables import check_folder, read_rows, write_rows

N_HIDDEN, N_UNITS, BATCH_SIZE = 3, 100, 32
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


def build(is_normalized: bool, optimizer: str, rate: float) -> keras.Model:
    layers: list[Any] = [keras.Input((28, 28)), keras.layers.Rescaling(1 / 255)]
    layers.append(keras.layers.Flatten())
    for i in range(N_HIDDEN):
        initializer: Any = RectifierNormal("relu")
        layers.append(
            keras.layers.Dense(N_UNITS, kernel_initializer=initializer, name=f"dense_{i}")
        )
        if is_normalized:
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        layers.append(keras.layers.ReLU(name=f"relu_{i}"))
    model = keras.Sequential([*layers, keras.layers.Dense(10, kernel_initializer="lecun_normal")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(_optimizer(optimizer, rate), loss, metrics=["accuracy"])
    return model


def _optimizer(name: str, rate: float) -> keras.optimizers.Optimizer:
    if name == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, momentum=0.9 if name == "momentum" else 0.0)


class Watch(keras.callbacks.Callback):
    """Looks at every unit after every epoch.

    Attributes:
        states: Whether each unit fires on the sample, (units,) an epoch.
        outputs, gradients: On the training images, (units,) an epoch: the mean output of a unit,
            and the norm of the gradient of its weights, each over the mean of its layer. 0/0 is 0.
    """

    def __init__(self, sample: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self._sample, self._x, self._y = sample, x, y
        self.states: list[np.ndarray] = []
        self.outputs: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []

    def on_epoch_end(self, epoch, logs=None):
        model: Any = self.model
        kernels = [model.get_layer(f"dense_{i}").kernel for i in range(N_HIDDEN)]
        if not all(np.isfinite(np.asarray(one)).all() for one in kernels):
            model.stop_training = True
            return
        report = dead_units(model, self._sample, batch_size=1000)
        units = [report[f"relu_{i}"] for i in range(N_HIDDEN)]
        self.states.append(np.concatenate([~one.is_dead for one in units]))
        report = dead_units(model, self._x, batch_size=2000)
        units = [report[f"relu_{i}"] for i in range(N_HIDDEN)]
        self.outputs.append(np.concatenate([one.relative_output for one in units]))
        self.gradients.append(self._relative_gradients(model, kernels))

    def _relative_gradients(self, model: Any, kernels: list[Any]) -> np.ndarray:
        import tensorflow as tf

        totals = [np.zeros(tuple(kernel.shape)) for kernel in kernels]
        values = [kernel.value for kernel in kernels]
        for first in range(0, len(self._x), 2000):
            part = slice(first, first + 2000)
            with tf.GradientTape() as tape:
                outputs = model(self._x[part], training=False)
                loss = model.compute_loss(self._x[part], self._y[part], outputs)
            found: Any = tape.gradient(loss, values)
            for total, gradient in zip(totals, found, strict=True):
                total += gradient.numpy()
        norms = [np.linalg.norm(total, axis=0) for total in totals]
        return np.concatenate([norm / max(norm.mean(), 1e-30) for norm in norms])


def observe(
    trainer: Trainer, net: str, optimizer: str, rate: float, seed: int, parts: Any, n_epochs: int
) -> list[dict[str, Any]]:
    """Trains one net; a row a unit, or one row without states if its weights are not finite."""
    watch = Watch(parts.x_validation[:1000], *parts.train)
    model = trainer.build(lambda: build(net == "batch_norm", optimizer, rate), seed)
    _, history = trainer.train(
        model, *parts.train, seed=seed, validation_data=parts.validation, epochs=n_epochs,
        batch_size=BATCH_SIZE, callbacks=[watch], verbose=0,
    )  # fmt: skip
    own = {"net": net, "optimizer": optimizer, "learning_rate": rate, "seed": seed}
    own["val_accuracy"] = round(history.history["val_accuracy"][-1], 4)
    if len(watch.states) < n_epochs:
        return [{**own, "val_accuracy": ""}]
    states = np.stack(watch.states, axis=1)  # (units, epochs)
    rows = []
    for unit, of_unit in enumerate(states):
        row = {
            **own,
            "layer": unit // N_UNITS + 1,
            "unit": unit % N_UNITS,
            "states": "".join("01"[int(is_active)] for is_active in of_unit),
        }
        if not of_unit.all():
            death = int(np.argmin(of_unit))
            row["death_epoch"] = death + 1
            row["output_at_death"] = f"{watch.outputs[death][unit]:.3g}"
            row["gradient_at_death"] = f"{watch.gradients[death][unit]:.3g}"
        rows.append(row)
    return rows


def main(options: Options) -> None:
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
    sys.exit(exit_code(lambda: main(tyro.cli(Options))))
