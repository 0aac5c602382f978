"""The trainings of one trial, as a worker runs them: without tuner, oracle or project."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import keras_tuner
import numpy as np

from keras_leaky.tuning._engine.out_of_memory import describe_out_of_memory, is_out_of_memory
from keras_leaky.tuning._engine.shortened_fit import FRACTION, shorten_fit
from keras_leaky.tuning._engine.trial_callbacks import FiniteLoss, SaveBestEpoch
from keras_leaky.tuning._keras_tuner import build_model, check_results
from keras_leaky.tuning._project.checkpoint import Checkpoint
from keras_leaky.tuning._project.objectives import check_logged
from keras_leaky.tuning.scaled_schedule import hurry_schedule

if TYPE_CHECKING:  # it imports this folder
    from keras_leaky.tuning.trainer import Trainer


@dataclasses.dataclass
class Executions:
    """The results of the trainings of a trial. It can be pickled.

    Attributes:
        results: One per execution, as KerasTuner takes them: a `keras.callbacks.History` without
            its model, or what `HyperModel.fit` returned.
        checkpoint: `Checkpoint` of the best epoch of all executions; None if the trial diverged.
        failure: Why the trial diverged, or that memory ran out; None if neither.
        hyperparameters: `keras_tuner.HyperParameters`, including the ones that building and
            training asked for.
        histories: One per execution, including a failed one: metric -> its value in each epoch.
            Empty if `HyperModel.fit` returned something else.
        has_diverged: Whether the failure is a loss or an objective that was not finite.
        seconds: Seconds of all executions.
    """

    results: list[Any]
    checkpoint: Checkpoint | None
    failure: str | None
    hyperparameters: keras_tuner.HyperParameters
    histories: list[dict[str, list[float]]] = dataclasses.field(default_factory=list)
    has_diverged: bool = False
    seconds: float = 0.0


@dataclasses.dataclass
class Builder:
    """Function from hyperparameters to the model that `keras_tuner.Tuner` would build.

    It can be pickled, if the HyperModel can.

    Args:
        hypermodel: `keras_tuner.HyperModel`.
        optimizer, loss, metrics: As for `keras_tuner.Tuner`.
        start: `Checkpoint` that the model starts from: of the trial that a trial of Hyperband
            continues. Default None.
    """

    hypermodel: Any
    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    start: Checkpoint | None = None

    def __call__(self, hyperparameters: keras_tuner.HyperParameters) -> Any:
        model = build_model(
            self.hypermodel, self.optimizer, self.loss, self.metrics, hyperparameters
        )
        if self.start is not None:
            self.start.load_into(model)
        return model


@dataclasses.dataclass
class CopiedCallbacks:
    """Function from the number of an execution to new copies of callbacks."""

    callbacks: list[keras.callbacks.Callback]

    def __call__(self, execution: int) -> list[keras.callbacks.Callback]:
        return copy.deepcopy(self.callbacks)


def run_executions(
    train: Callable[[int, list[keras.callbacks.Callback]], Any],
    hyperparameters: keras_tuner.HyperParameters,
    *,
    callbacks: Callable[[int], Sequence[keras.callbacks.Callback]],
    objective: keras_tuner.Objective,
    n_executions: int = 1,
) -> Executions:
    """Trains the model of a trial `n_executions` times and keeps its best epoch.

    Args:
        train: Function from the number of an execution and a list of callbacks to what
            `build_and_fit` returns.
        hyperparameters: `keras_tuner.HyperParameters` of the trial.
        callbacks: Function from the number of an execution to its callbacks, a new list for each,
            such as `CopiedCallbacks`.
        objective: `keras_tuner.Objective`.
        n_executions: int >= 1.

    Returns:
        `Executions`. It has no executions after a diverged one.

    Raises:
        keras_tuner.errors.FatalValueError: If the objective is not among what was logged.
    """
    best, start = SaveBestEpoch(objective), time.perf_counter()
    done = Executions([], None, None, hyperparameters)
    for execution in range(n_executions):
        finite_loss = FiniteLoss()
        try:
            result = train(execution, [*callbacks(execution), best, finite_loss])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            done.failure = describe_out_of_memory(error)
            break
        done.histories.append(_numbers_of(result))
        done.failure = finite_loss.failure or best.failure
        if done.failure:
            done.has_diverged = True
            break
        check_logged(result, objective)
        done.results.append(_without_model(result))
    else:
        done.checkpoint = best.checkpoint()
    done.seconds = round(time.perf_counter() - start, 3)
    return done


def build_and_fit(
    trainer: "Trainer",
    build: Callable[[keras_tuner.HyperParameters], Any],
    hypermodel: Any,
    hyperparameters: keras_tuner.HyperParameters,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    *,
    objective: keras_tuner.Objective,
    seed: int,
    max_model_size: int | None = None,
) -> Any:
    """Builds the model of a trial and trains it once.

    If the hyperparameters hold a fraction of the steps, the model's whole schedule runs in that
    fraction.

    Args:
        trainer: `Trainer`. It stays in its process, with its compiled programs.
        build: Function from hyperparameters to a compiled model, such as a `Builder`.
        hypermodel: `keras_tuner.HyperModel`. Its `fit` is called if it defines one.
        hyperparameters: `keras_tuner.HyperParameters` of the trial. Hyperparameters that `build`
            and `fit` ask for are added to it.
        args: Arguments for `keras.Model.fit`.
        kwargs: Named arguments for `keras.Model.fit`.
        objective: `keras_tuner.Objective`.
        seed: int in [0, 2**31). Everything random in the model and its training derives from it.
        max_model_size: int, the largest number of trainable parameters; or None.

    Returns:
        A `keras.callbacks.History`, or what `HyperModel.fit` returned.

    Raises:
        keras_tuner.errors.FatalTypeError: If `build` returns no model, or `HyperModel.fit` nothing
            that a score can be read from.
        keras_tuner.errors.FatalValueError: If the objective is not in a dictionary that
            `HyperModel.fit` returned.
        keras_tuner.errors.FailedTrialError: If the model is too large.
    """
    x = kwargs.get("x", args[0] if args else None)
    shape = getattr(x, "shape", None)
    fraction = hyperparameters.values.get(FRACTION, 1)
    if fraction != 1:
        kwargs, fraction = shorten_fit(args, kwargs, fraction)

    def build_shortened() -> keras.Model:
        model = _build(build, hyperparameters, shape, max_model_size)
        if fraction != 1:
            hurry_schedule(model.optimizer, 1 / fraction)
        return model

    model = trainer.build(build_shortened, seed)
    own_fit = None
    if getattr(hypermodel.fit, "__func__", None) is not keras_tuner.HyperModel.fit:
        own_fit = partial(hypermodel.fit, hyperparameters)
    model, result = trainer.train(model, *args, seed=seed, own_fit=own_fit, **kwargs)
    if own_fit is not None:
        check_results(result, objective)
    return result


def _build(
    build: Callable[[keras_tuner.HyperParameters], Any],
    hyperparameters: keras_tuner.HyperParameters,
    data_shape: Any,
    max_model_size: int | None,
) -> keras.Model:
    model = build(hyperparameters)
    if not isinstance(model, keras.Model):
        raise keras_tuner.errors.FatalTypeError(
            f"`build(hp)` must return a keras.Model. Received: {model!r}"
        )
    if isinstance(model, keras.Sequential) and not model.built and data_shape is not None:
        model.build((None, *data_shape[1:]))
    n_parameters = sum(math.prod(v.shape) for v in model.trainable_variables)
    if max_model_size and n_parameters > max_model_size:
        raise keras_tuner.errors.FailedTrialError(
            f"The model has {n_parameters} parameters, more than `max_model_size`: {max_model_size}"
        )
    return model


def _numbers_of(result: Any) -> dict[str, list[float]]:
    """The part of a History that JSON can store."""
    if not isinstance(result, keras.callbacks.History):
        return {}
    return {
        name: [float(value) for value in values]
        for name, values in getattr(result, "history", {}).items()
        if all(np.ndim(value) == 0 for value in values)
    }


def _without_model(result: Any) -> Any:
    """A History without its model, which cannot be pickled, and which later trials train again."""
    if not isinstance(result, keras.callbacks.History):
        return result
    history = keras.callbacks.History()
    for name in ("history", "epoch", "params"):
        if hasattr(result, name):  # one that was made by hand has no epochs
            setattr(history, name, getattr(result, name))
    return history
