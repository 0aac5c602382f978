"""The searches that `benchmarks.regret` compares ours with, each for the same seconds."""

import contextlib
import importlib.util
import json
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from benchmarks.measuring import refuse, write_json
from keras_leaky.initializers import RectifierNormal
from keras_leaky.layers import LeakyReLU
from keras_leaky.rectifiers import TABLE
from recipes.nets import Net

PEERS = {  # name -> the packages that it needs and that a study does without
    "hyperband-stock": (),
    "optuna-median": ("optuna", "torch"),
    "optuna-halving": ("optuna", "torch"),
}
ALPHA = TABLE["leaky_relu"].alpha_range or (0.0, 0.0)  # which is there


class TimeIsUp(keras_tuner.errors.FatalError):
    """Ends a search. KerasTuner takes any other kind of error for a trial that failed."""


@dataclass
class Clock:
    """Completed trials of a search, and whether its seconds are over.

    A trial that ends later does not count, unless it is the first, without which there is no
    choice: `search_seconds` is then more than `seconds`.
    """

    seconds: float
    trials: list[dict[str, float]] = field(default_factory=list)
    n_pruned: int = 0

    def start(self) -> None:
        self._start = time.perf_counter()

    def check(self) -> None:
        if self.trials and time.perf_counter() - self._start > self.seconds:
            raise TimeIsUp

    def end_trial(self, score: float, values: dict[str, Any]) -> None:
        self.check()
        if not self.trials:
            self.search_seconds = max(self.seconds, time.perf_counter() - self._start)
        point = {name: values[name] for name in ("learning_rate", "alpha")}
        self.trials.append({"score": score, **point})


@dataclass
class Task:
    """What a peer searches with, and for how many seconds."""

    net: Net
    parts: Any
    batch_size: int
    hyperband_epochs: int
    seed: int
    seconds: float


def check_peers(names: tuple[str, ...]) -> None:
    """Refuses a peer that is not known, or whose package is not installed."""
    for name in names:
        if name not in PEERS:
            refuse(f"`--peers` must be of {', '.join(PEERS)}. Received: {name}")
        missing = [one for one in PEERS[name] if importlib.util.find_spec(one) is None]
        if missing:
            refuse(
                f"`--peers` must be installed: `pip install {' '.join(missing)}`, or name the "
                f"others alone. Received: {name}"
            )


def choose_point(peer: str, path: Path, task: Task) -> tuple[dict[str, float], float]:
    """The point that a peer chooses, and its seconds, from `path` if that has them.

    A file of another number of seconds is that of another study, and is replaced.
    """
    known = json.loads(path.read_text()) if path.exists() else {}
    if known.get("seconds_given") != task.seconds:
        clock = Clock(task.seconds)
        if peer == "hyperband-stock":
            search = partial(search_stock, folder=path.with_suffix(""))
        else:
            from benchmarks import regret_optuna  # PyTorch may be missing

            search = partial(regret_optuna.search, pruner=peer.removeprefix("optuna-"))
        with contextlib.suppress(TimeIsUp):
            search(task, clock)
        known = {
            "seconds_given": task.seconds,
            "seconds": round(clock.search_seconds, 1),
            "n_completed": len(clock.trials),
            "n_pruned": clock.n_pruned,
            "best": max(clock.trials, key=lambda trial: trial["score"]),
        }
        write_json(path, known)
    point = {name: known["best"][name] for name in ("learning_rate", "alpha")}
    return point, known["seconds"]


@dataclass
class Rectifier:
    """What `Net` makes its rectifiers with."""

    alpha: float

    def __call__(self, **kwargs: Any) -> keras.layers.Layer:
        return LeakyReLU(self.alpha, **kwargs)

    def initializer(self) -> keras.initializers.Initializer:
        return RectifierNormal("leaky_relu", self.alpha)


def search_stock(task: Task, clock: Clock, folder: Path) -> None:
    """KerasTuner's Hyperband as its users write it, again and again until the time is up."""
    net = Net(**{**vars(task.net), "n_epochs": task.hyperband_epochs})

    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        alpha: Any = hp.Float("alpha", *ALPHA, sampling="log")
        return net(hp, Rectifier(alpha))

    keras.utils.set_random_seed(task.seed)
    warm_up(build, task)
    clock.start()
    # KerasTuner draws trial i from seed + i: neighbouring seeds would draw the same points.
    tuner = keras_tuner.Hyperband(
        build,
        "val_accuracy",
        max_epochs=task.hyperband_epochs,
        factor=3,
        hyperband_iterations=1000,  # a user's single one may end before the time is up
        seed=1000 * task.seed,
        directory=folder,
        overwrite=True,
    )
    on_trial_end = tuner.on_trial_end

    def end_trial(trial: Any) -> None:
        on_trial_end(trial)
        trial = tuner.oracle.get_trial(trial.trial_id)
        if trial.status != "COMPLETED":
            raise RuntimeError(f"hyperband-stock: {trial.status}, {trial.message}")
        clock.end_trial(trial.score, trial.hyperparameters.values)

    tuner.on_trial_end = end_trial
    # Tuners copy their callbacks for every trial; functions stay the same ones.
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: clock.check())
    try:
        tuner.search(
            *task.parts.train,
            validation_data=task.parts.validation,
            batch_size=task.batch_size,
            callbacks=[stop],
            verbose=0,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def warm_up(build: Any, task: Task) -> None:
    """Imports what the first training of a process imports, which is no part of a search."""
    if keras.backend.backend() == "tensorflow":
        # KerasTuner does in a trial; not with other backends, as it brings in TensorFlow.
        importlib.import_module("tensorboard.plugins.hparams.api")
    few = [(x[:10], y[:10]) for x, y in (task.parts.train, task.parts.validation)]
    build(keras_tuner.HyperParameters()).fit(*few[0], validation_data=few[1], verbose=0)
