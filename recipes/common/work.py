"""What a lane does: train a point from one or more seeds, in this process or in a worker.

A worker on another machine has the package and what it needs, and not this code: that travels with
the work, pickled by value. Therefore a job and its outcome hold nothing but numbers, names and
bytes.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from keras_leaky import storage
from keras_leaky.diagnostics import NanPreActivation, dead_units
from keras_leaky.tuning import Trainer
from recipes.common.data import Split
from recipes.common.models import build_model
from recipes.common.options import RunOptions
from recipes.common.run_files import run_errors
from recipes.common.space import Arm
from recipes.common.training import Epoch, Training, train

N_DEAD_UNIT_IMAGES = 2000  # the first of the validation images


@dataclass(frozen=True)
class Job:
    """A trial, or one retraining.

    Attributes:
        phase: search or retrain.
        arm: Name of the arm.
        trial_id: The trial, or the one whose point is retrained.
        n_epochs: Of each training.
        seeds: A training each. A retraining has one.
        index: Which of the retrainings it is, from 0.
        wants_model: Return the trained model, as the content of a .keras file.
    """

    phase: str
    arm: str
    trial_id: str
    alpha: float | None
    learning_rate: float
    n_epochs: int
    seeds: tuple[int, ...]
    index: int = 0
    wants_model: bool = False

    def __str__(self) -> str:
        if self.phase == "search":
            return f"{self.arm} {self.trial_id}"
        return f"retraining {self.index + 1} of {self.arm}"


@dataclass
class Workplace:
    """What all jobs of a run share, and what a process keeps from one to the next."""

    options: RunOptions
    data: Split
    arms: dict[str, Arm]
    _trainer: Trainer | None = None

    @property
    def trainer(self) -> Trainer:
        # Not a cached_property: its lock cannot be pickled.
        if self._trainer is None:
            self._trainer = Trainer()
        return self._trainer

    def forget(self) -> None:
        """Frees the compiled programs, and the copy of the data on the device."""
        self._trainer = None


def perform(
    place: Workplace, job: dict[str, Any], on_epoch: Callable[[Epoch], None] = lambda _: None
) -> dict[str, Any]:
    """Does a job.

    Args:
        job: The attributes of a `Job`.
        on_epoch: Called after every epoch with a finite loss.

    Returns:
        seconds, failure (why training ended early, or None) and epochs: one list a seed. After a
        retraining also best (the best epoch, or None), test_accuracy, dead_units (a list of
        layers), n_dead_unit_images and model (bytes, or None).
    """
    todo = Job(**job)
    trainings: list[Training] = []
    found: dict[str, Any] = {}
    for seed in todo.seeds:
        training = train(
            place.trainer,
            partial(_build, place, todo, todo.n_epochs),
            place.data,
            seed=seed,
            n_epochs=todo.n_epochs,
            batch_size=place.options.batch_size,
            on_epoch=on_epoch,
        )
        trainings.append(training)
        if training.is_out_of_memory:
            place.forget()
        if training.failure:
            break
    if todo.phase == "retrain" and not trainings[0].is_out_of_memory:
        found = _examine(place, todo, trainings[0])
    return {
        "seconds": round(sum(training.seconds for training in trainings), 3),
        "failure": trainings[-1].failure,
        "is_out_of_memory": trainings[-1].is_out_of_memory,
        "epochs": [[vars(epoch) for epoch in training.epochs] for training in trainings],
        **found,
    }


def _build(place: Workplace, job: Job, n_epochs: int | None) -> keras.Model:
    point = job.alpha, job.learning_rate
    return build_model(place.options, place.data, place.arms[job.arm], *point, n_epochs)


def _examine(place: Workplace, job: Job, training: Training) -> dict[str, Any]:
    """Tests a retrained net, counts its dead units, and saves it if that is wanted."""
    model, data = training.model, place.data
    test_accuracy = _test(model, data, place.options.batch_size)
    layers, n_images = count_dead_units(model, data)
    content = None
    if job.wants_model and training.best:
        content = model_bytes(place.trainer.copy(model, partial(_build, place, job, None)))
    return {
        "best": vars(training.best) if training.best else None,
        "test_accuracy": test_accuracy,
        "dead_units": layers,
        "n_dead_unit_images": n_images,
        "model": content,
    }


def count_dead_units(model: keras.Model, data: Split) -> tuple[list[dict[str, Any]], int]:
    """The rectifiers of a net, on validation images. None where the net is one of NaN."""
    try:
        report = dead_units(model, data.x_validation[:N_DEAD_UNIT_IMAGES]).to_dict()
    except NanPreActivation:
        return [], 0
    return report["layers"], report["n_samples"]


def _test(model: keras.Model, data: Split, batch_size: int) -> float:
    """The fraction of test images that the model gets right.

    By `evaluate`, whose program the validation has compiled already. It counts in float32, so its
    answer is rounded back to a whole number of images.
    """
    verbose: Any = 0  # Keras's annotation knows "auto" alone
    result: Any = model.evaluate(
        data.x_test, data.y_test, batch_size=batch_size, verbose=verbose, return_dict=True
    )
    return round(result["accuracy"] * len(data.y_test)) / len(data.y_test)


def model_bytes(model: keras.Model) -> bytes:
    """The content of a .keras file of a model.

    Raises:
        DiskFullError: There is no room for it among the temporary files.
    """
    # Keras writes to a path alone, and in place: so the folder of the run gets bytes.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        with run_errors(), storage.write_errors(path):
            model.save(path)
            return path.read_bytes()
