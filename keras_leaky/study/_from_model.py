"""`build(hp, rectifier)` for a finished Keras model."""

import warnings
from typing import Any, Literal

import keras
import keras_tuner
import numpy as np

from keras_leaky.layers._nested import layers_of
from keras_leaky.rectifiers import activation_name
from keras_leaky.study.arms import BASELINE, Arm, Rectifier
from keras_leaky.study.errors import InputError
from keras_leaky.surgery import replace_activations
from keras_leaky.tuning import ScaledSchedule

_REPLACED = ("relu", "relu6")
_WIDTH = 30.0  # the learning rates that are tried: a thirtieth of the compiled one to 30 times it
_N_FIRST_STEPS, _N_STEPS = 100, 100_000  # of a schedule, whose highest rate is looked for


class ModelBuild:
    """Function `(hp, rectifier)` to the model with other rectifiers. It can be pickled.

    Args:
        model: Compiled model.
        weights: "draw" or "keep".
        rates: The range of learning rates.
        names: Names of the activations that are replaced.
    """

    def __init__(
        self,
        model: Any,
        weights: Literal["draw", "keep"],
        rates: tuple[float, float],
        names: list[str],
    ) -> None:
        self._model: Any = model
        self._weights: Literal["draw", "keep"] = weights
        self._rates, self._names = rates, names
        self._compile_config = model.get_compile_config()

    def __call__(self, hp: Any, rectifier: Rectifier) -> keras.Model:
        patterns: dict[str, Any] = {}
        for name in self._names:
            layer = rectifier()  # also in the baseline, which counts as a use
            if rectifier.name == BASELINE:
                layer = keras.layers.ReLU(max_value=6.0 if name == "relu6" else None)
            patterns[name] = layer
        rate = hp.Float("learning_rate", *self._rates, sampling="log")
        with warnings.catch_warnings():
            # About ReLUs without a name: the study has warned of them already.
            warnings.simplefilter("ignore", UserWarning)
            model = replace_activations(self._model, patterns, weights=self._weights)
        with keras.saving.custom_object_scope(_own_functions(self._model)):
            arguments = keras.saving.deserialize_keras_object(self._compile_config)
        optimizer: Any = arguments["optimizer"]
        schedule = _schedule_of(optimizer)
        if schedule is None:
            optimizer.learning_rate = rate
        else:
            optimizer.learning_rate = ScaledSchedule(schedule, rate / _highest(schedule))
        model.compile(**arguments)
        return model


def make_build(
    model: Any, weights: str, learning_rate_range: tuple[float, float] | None
) -> tuple[ModelBuild, list[str]]:
    """The build function of a model, and notes for the user.

    Raises:
        InputError: Says what the model must be.
    """
    if weights not in ("draw", "keep"):
        raise InputError(f"`weights` must be 'draw' or 'keep'. Received: {weights=}")
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(
            f"`model` must be a built keras.Model: call it on data once. Received: {model!r}"
        )
    if not model.compiled or model.get_compile_config() is None:
        raise InputError(
            "`model` must be compiled: the study uses its optimizer, loss and metrics. "
            f"Received: {model.name!r}, which is not"
        )
    found = {activation_name(part) for layer in layers_of(model) for part in _parts_of(layer)}
    found |= {activation_name(op) for op in getattr(model, "operations", [])}
    names = [name for name in _REPLACED if name in found]
    if not names:
        others = sorted(str(name) for name in found if name) or ["none"]
        raise InputError(
            "`model` must have a ReLU or ReLU6 to replace. Received: a model with the activations "
            f"{', '.join(others)}"
        )
    notes = []
    if "relu6" in names:
        notes.append(
            "The model has ReLU6. The baseline keeps it; in the other arms its cap of 6 is gone."
        )
    rates = learning_rate_range or _default_rates(model.optimizer)
    low, high = rates
    if not 0 < low < high < 1e30:
        raise InputError(
            "`learning_rate_range` must be (low, high) with 0 < low < high < 1e30. Received: "
            f"learning_rate_range={learning_rate_range!r}"
        )
    build = ModelBuild(model, weights, (float(low), float(high)), names)
    try:
        build(keras_tuner.HyperParameters(), Rectifier(Arm(BASELINE)))
    except (ValueError, TypeError) as error:
        raise InputError(f"`model` cannot be copied: {error}") from error
    return build, notes


def _parts_of(layer: Any) -> list[Any]:
    activation = getattr(layer, "activation", None)
    return [layer] if activation is None else [layer, activation]


def _default_rates(optimizer: Any) -> tuple[float, float]:
    schedule = _schedule_of(optimizer)
    rate = float(np.asarray(optimizer.learning_rate)) if schedule is None else _highest(schedule)
    if not 0 < rate < 1e30:
        raise InputError(
            "`learning_rate_range` must be given, because the compiled model has the learning "
            f"rate {rate:g}"
        )
    return rate / _WIDTH, rate * _WIDTH


def _schedule_of(optimizer: Any) -> Any:
    """The schedule of an optimizer's learning rate; None if it is a number."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = inner.get_config().get("learning_rate")
    return keras.optimizers.schedules.deserialize(rate) if isinstance(rate, dict) else None


def _highest(schedule: Any) -> float:
    """The highest rate of a schedule in its first steps."""

    def highest_of(steps: Any) -> tuple[float, int]:
        return max((float(np.asarray(schedule(step))), -step) for step in steps)

    later = {round(step) for step in np.geomspace(_N_FIRST_STEPS, _N_STEPS, 200)}
    steps = [*range(_N_FIRST_STEPS), *sorted(later)]
    place = steps.index(-highest_of(steps)[1])
    around = np.linspace(steps[max(place - 1, 0)], steps[min(place + 1, len(steps) - 1)], 50)
    return highest_of([steps[place], *sorted({round(step) for step in around})])[0]


def _own_functions(model: Any) -> dict[str, Any]:
    """The user's own losses, which Keras finds by name."""
    losses = [loss for loss in keras.tree.flatten(model.loss) if callable(loss)]
    return {
        getattr(loss, "__name__", type(loss).__name__): loss
        if not isinstance(loss, keras.losses.Loss)
        else type(loss)
        for loss in losses
    }
