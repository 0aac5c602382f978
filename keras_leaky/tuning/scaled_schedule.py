"""A learning-rate schedule with its height in a variable."""

from typing import Any

import keras

_SCHEDULES = keras.optimizers.schedules
# Keras's schedules and the arguments in which they are linear, taken together.
_HEIGHTS = {
    _SCHEDULES.CosineDecay: ("initial_learning_rate", "warmup_target"),
    _SCHEDULES.CosineDecayRestarts: ("initial_learning_rate",),
    _SCHEDULES.ExponentialDecay: ("initial_learning_rate",),
    _SCHEDULES.InverseTimeDecay: ("initial_learning_rate",),
    _SCHEDULES.PiecewiseConstantDecay: ("values",),
    _SCHEDULES.PolynomialDecay: ("initial_learning_rate", "end_learning_rate"),
}


@keras.saving.register_keras_serializable(package="keras_leaky")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`learning_rate * shape(step)`.

    A schedule is compiled into the training program with its numbers. `ReusingTuner` keeps the
    learning rate of a `ScaledSchedule` in a variable, so that trials with other rates run in the
    same program. It converts the schedules of `keras.optimizers.schedules` itself. Use this class
    for your own schedule.

    Args:
        shape: `keras.optimizers.schedules.LearningRateSchedule`. Its numbers belong to the
            program: 1 is the learning rate.
        learning_rate: float in (0, inf). Factor on the shape.

    Example:

    >>> import keras
    >>> from keras_leaky.tuning import ScaledSchedule
    >>> ramp = keras.optimizers.schedules.PolynomialDecay(1.0, 100, end_learning_rate=0.0)
    >>> schedule = ScaledSchedule(ramp, learning_rate=0.5)
    >>> float(schedule(0)), float(schedule(50))
    (0.5, 0.25)
    """

    def __init__(
        self, shape: keras.optimizers.schedules.LearningRateSchedule, learning_rate: float
    ) -> None:
        super().__init__()
        if not isinstance(shape, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(f"`shape` must be a LearningRateSchedule. Received: {shape=}")
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"`learning_rate` must be in (0, inf). Received: {learning_rate=}")
        self.shape = shape
        self.learning_rate = float(learning_rate)
        self.variable: Any = None

    def __call__(self, step: Any) -> Any:
        rate = self.learning_rate if self.variable is None else self.variable
        return self.shape(step) * rate

    def get_config(self) -> dict[str, Any]:
        return {
            "shape": keras.saving.serialize_keras_object(self.shape),
            "learning_rate": self.learning_rate,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ScaledSchedule":
        shape = keras.saving.deserialize_keras_object(config["shape"])
        return cls(shape, config["learning_rate"])


@keras.saving.register_keras_serializable(package="keras_leaky")
class HurriedSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`schedule(speed * step)`: a whole schedule in fewer steps.

    Args:
        schedule: `keras.optimizers.schedules.LearningRateSchedule`.
        speed: float >= 1.
    """

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, speed: float
    ) -> None:
        super().__init__()
        self.schedule, self.speed = schedule, speed

    def __call__(self, step: Any) -> Any:
        now: Any = keras.ops.cast(step, "float32")
        return self.schedule(now * self.speed)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "speed": self.speed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HurriedSchedule":
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["speed"])


def hurry_schedule(optimizer: Any, speed: float) -> None:
    """Makes the schedule of `optimizer`, if it has one, run `speed` times as fast."""
    optimizer = inner_optimizer_of(optimizer)
    schedule = schedule_of(optimizer)
    if type(schedule) in _HEIGHTS:
        schedule = _scaled(schedule)
    if isinstance(schedule, ScaledSchedule):
        hurried: Any = HurriedSchedule(schedule.shape, speed)
        optimizer.learning_rate = ScaledSchedule(hurried, schedule.learning_rate)
    elif isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        optimizer.learning_rate = HurriedSchedule(schedule, speed)


def inner_optimizer_of(optimizer: Any) -> Any:
    """The optimizer that updates the weights, even if it is wrapped for loss scaling."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def schedule_of(optimizer: Any) -> Any:
    """The schedule of an optimizer's learning rate, or its variable if there is none."""
    # `learning_rate` is the rate at this step.
    return inner_optimizer_of(optimizer)._learning_rate


def hold_learning_rate(optimizer: Any) -> None:
    """Moves the height of the optimizer's schedule, if it has one, into a variable."""
    optimizer = inner_optimizer_of(optimizer)
    schedule = schedule_of(optimizer)
    if type(schedule) in _HEIGHTS:
        schedule = _scaled(schedule)
    if not isinstance(schedule, ScaledSchedule):
        return
    if any(variable is schedule.variable for variable in optimizer.variables):
        return  # done
    initializer = keras.initializers.Constant(schedule.learning_rate)
    schedule.variable = optimizer.add_variable((), initializer, name="schedule_learning_rate")
    optimizer.learning_rate = schedule


def take_learning_rate(optimizer: Any, other: Any) -> None:
    """Gives a schedule the config of the schedule in `other`."""
    schedule = schedule_of(optimizer)
    if isinstance(schedule, ScaledSchedule):
        schedule.learning_rate = schedule_of(other).learning_rate


def _scaled(schedule: Any) -> Any:
    """A schedule of Keras as a shape of height 1 times a learning rate, if it has a height."""
    config = schedule.get_config()
    numbers = {name: config[name] for name in _HEIGHTS[type(schedule)] if config[name] is not None}
    height = max(map(abs, keras.tree.flatten(numbers)))
    if not 0 < height < float("inf"):
        return schedule
    # Rounded, because rate * 0.1 / rate is not the same number for every rate.
    shape: Any = keras.tree.map_structure(lambda number: round(number / height, 12), numbers)
    return ScaledSchedule(type(schedule).from_config({**config, **shape}), height)
