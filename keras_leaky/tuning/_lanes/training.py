"""Single trainings: points with seeds, which no oracle proposes."""

import copy
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_leaky.tuning._engine.out_of_memory import describe_out_of_memory, is_out_of_memory
from keras_leaky.tuning._engine.trial_callbacks import FiniteLoss, SaveBestEpoch
from keras_leaky.tuning._lanes.workplace import Workplace


@dataclasses.dataclass(frozen=True)
class Trained:
    """The outcome of one training of `train_all`.

    Attributes:
        point: The point that `build` was called with.
        seed: The seed from which everything random follows.
        history: Metric -> its value in each epoch, up to a failure.
        examined: The result of `examine`; None without it, or after a failure.
        failure: Why the training ended early: the loss was not finite, memory ran out, or workers
            were lost. None if it ended normally.
        seconds: Seconds of building, training and `examine`.
    """

    point: Any
    seed: int
    history: dict[str, list[float]]
    examined: Any
    failure: str | None
    seconds: float


@dataclasses.dataclass
class TrainingWork:
    """The work that all trainings share. Calling it does one training.

    Attributes:
        place: `Workplace`.
        build: Function from a point to a compiled model.
        callbacks: For `fit`; copied for each training.
        examine: Function `(model, point, history)` of the trained model, or None.
        objective: `keras_tuner.Objective`: the model is examined at its best epoch, even if the
            training diverged later. None: at its last epoch.
    """

    place: Workplace
    build: Callable[[Any], keras.Model]
    callbacks: Any = None
    examine: Callable[[keras.Model, Any, dict[str, list[float]]], Any] | None = None
    objective: keras_tuner.Objective | None = None

    def __call__(self, point: Any, seed: int) -> Trained:
        start = time.perf_counter()
        trainer = self.place.get_trainer()
        history, finite_loss = keras.callbacks.History(), FiniteLoss()
        best = SaveBestEpoch(self.objective) if self.objective is not None else None
        callbacks = [
            *keras.tree.flatten(copy.deepcopy(self.callbacks or [])),
            finite_loss,
            history,
            *([best] if best else []),
        ]
        examined, failure = None, None
        try:
            model, _ = trainer.train(
                trainer.build(lambda: self.build(point), seed),
                *self.place.args,
                seed=seed,
                **{**self.place.kwargs, "callbacks": callbacks},
            )
            failure = finite_loss.failure
            has_model = failure is None
            if best:
                failure = failure or best.failure
                has_model = best.restore() is not None
            if has_model and self.examine is not None:
                examined = self.examine(model, point, history.history)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            failure = describe_out_of_memory(error)
            self.place.trainer = None  # frees its programs
        values = {
            name: [float(value) for value in values]
            for name, values in getattr(history, "history", {}).items()
        }
        seconds = round(time.perf_counter() - start, 3)
        return Trained(point, seed, values, examined, failure, seconds)
