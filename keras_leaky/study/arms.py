"""The arms of a study: which rectifier, and which alpha."""

import math
import numbers
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_leaky.initializers import RectifierNormal
from keras_leaky.rectifiers import TABLE, Entry, entry_of
from keras_leaky.study.errors import InputError

BASELINE = "relu"
MAX_ALPHA = 1000.0  # far beyond use, and where Keras's initializers do not underflow yet
_MAX_NAME_LENGTH = 100
_COLORS = ("#b5179e", "#7a6c00", "#00838f", "#a1343c", "#5b3fd6")  # colors of the user's own layers


@dataclass(frozen=True)
class Arm:
    """One rectifier of a study, with a fixed or a searched alpha.

    Args:
        rectifier: Name in the table of rectifiers ("leaky_relu", "prelu", "elu", "celu", "selu",
            "rrelu"), or a function without arguments that returns a new layer, such as
            `lambda: keras.layers.Activation("gelu")`. A function needs a `name`.
        alpha: Fixed number, or `(low, high)` to search. None searches the rectifier's default range
            if its alpha is one number; other rectifiers keep their default.
        name: Name in the tables and on the page, unique in a study. Defaults to the name of the
            rectifier, such as "leaky_relu", or "leaky_relu=0.1" with a fixed number.

    Raises:
        InputError: If an argument does not suit the rectifier.

    Example:

    >>> from keras_leaky.study import Arm
    >>> Arm("leaky_relu", 0.1).name, Arm("elu", (0.5, 2)).searched
    ('leaky_relu=0.1', (0.5, 2.0))
    """

    rectifier: str | Callable[[], keras.layers.Layer]
    alpha: float | tuple[float, float] | None = None
    name: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.rectifier, str):
            self._check_function()
        else:
            object.__setattr__(self, "alpha", self._checked_alpha())
            if self.name is None:
                number = f"={self.alpha:g}" if isinstance(self.alpha, float) else ""
                object.__setattr__(self, "name", f"{self.rectifier}{number}")
        if not isinstance(self.name, str) or not 0 < len(self.name) <= _MAX_NAME_LENGTH:
            raise InputError(
                f"`name` of an arm must be a string of 1 to {_MAX_NAME_LENGTH} characters. "
                f"Received: name={self.name!r}"
            )
        if not self.name.isprintable() or not self.name.strip():
            raise InputError(f"`name` of an arm must be printable. Received: name={self.name!r}")

    def _check_function(self) -> None:
        if not callable(self.rectifier) or isinstance(self.rectifier, keras.layers.Layer):
            raise InputError(
                "`rectifier` of an arm must be a name, or a function without arguments that "
                f"returns a new layer. Received: rectifier={self.rectifier!r}"
            )
        if self.alpha is not None:
            raise InputError(
                "`alpha` must be left out if `rectifier` is a function: the function makes the "
                f"whole layer. Received: alpha={self.alpha!r}"
            )
        if self.name is None:
            own = getattr(self.rectifier, "__name__", "<lambda>")
            if own == "<lambda>":
                raise InputError(
                    "`name` of an arm must be given if `rectifier` is a function without a name. "
                    f"Received: rectifier={self.rectifier!r}"
                )
            object.__setattr__(self, "name", own)

    def _checked_alpha(self) -> Any:
        entry = self._entry_or_refuse()
        alpha: Any = self.alpha
        if alpha is None:
            return alpha
        is_pair = isinstance(alpha, tuple | list) and len(alpha) == 2
        is_range = is_pair and entry.alpha_range is not None
        alphas: Any = [alpha]
        if is_range:
            ends = [float(end) if _is_number(end) else math.nan for end in alpha]
            low, high = ends
            if not (low < high and max(abs(low), abs(high)) <= MAX_ALPHA):
                raise InputError(
                    f"`alpha` of {entry.name} must be (low, high) with low < high, at most "
                    f"{MAX_ALPHA:g} in size. Received: alpha={alpha!r}"
                )
            alphas = ends
        for one in alphas:
            try:
                entry.resolve_alpha(one)
            except ValueError as error:
                raise InputError(str(error)) from error
        if is_range:
            return tuple(alphas)
        return float(alphas[0]) if _is_number(alpha) else alpha

    def _entry_or_refuse(self) -> Entry:
        try:
            return entry_of(self.rectifier)
        except ValueError as error:
            raise InputError(
                f"`rectifier` of an arm must be one of {', '.join(TABLE)}, or a function that "
                f"returns a layer. Received: rectifier={self.rectifier!r}"
            ) from error

    @property
    def entry(self) -> Entry | None:
        """The rectifier's entry in the table; None for a user's own layer."""
        return entry_of(self.rectifier) if isinstance(self.rectifier, str) else None

    @property
    def is_baseline(self) -> bool:
        return self.rectifier == BASELINE

    @property
    def searched(self) -> tuple[float, float] | None:
        """The searched range of alpha; None if alpha is fixed, or if there is no alpha."""
        if isinstance(self.alpha, tuple) and self.entry and self.entry.alpha_range is not None:
            return self.alpha
        return self.entry.alpha_range if self.entry and self.alpha is None else None

    @property
    def scale(self) -> str:
        """Scale on which alpha is searched; "linear" if a value may be 0 or less."""
        is_log = self.entry is not None and self.entry.alpha_scale == "log"
        return "log" if is_log and self.searched and self.searched[0] > 0 else "linear"

    @property
    def fixed_alpha(self) -> float | None:
        """The alpha of every trial, if it is one fixed number."""
        if self.searched or self.entry is None:
            return None
        alpha = self.entry.default if self.alpha is None else self.alpha
        return alpha if isinstance(alpha, float) else None

    @property
    def title(self) -> str:
        """The name as people read it."""
        if self.entry is None:
            return str(self.name)
        number = f" {self.alpha:g}" if isinstance(self.alpha, float) else ""
        own = f"{self.rectifier}{'=' + number.strip() if number else ''}"
        return f"{self.entry.title}{number}" if self.name == own else str(self.name)

    def declare_alpha(self, hp: keras_tuner.HyperParameters) -> Any:
        """Asks `hp` for the alpha of a trial, or returns the fixed one."""
        if self.searched is None:
            return self.alpha
        low, high = self.searched
        return hp.Float("alpha", low, high, sampling=self.scale)

    def describe(self) -> list[Any]:
        """The arm's settings as JSON stores them, to tell it from another arm of the same name."""
        rectifier = self.rectifier
        if not isinstance(rectifier, str):
            rectifier = f"function {getattr(rectifier, '__qualname__', type(rectifier).__name__)}"
        return [rectifier, list(self.alpha) if isinstance(self.alpha, tuple) else self.alpha]


class Rectifier:
    """Makes the rectifier layers of a model; `build` receives it.

    Attributes:
        name: Name of the arm.
        alpha: The alpha being tried; None if there is none, as in the baseline.
    """

    def __init__(self, arm: Arm, alpha: Any = None) -> None:
        self._arm = arm
        self.name, self.alpha = str(arm.name), alpha
        self.n_made = 0

    def __call__(self, **kwargs: Any) -> keras.layers.Layer:
        """A new layer with the alpha being tried; `keras.layers.ReLU` in the baseline.

        Args:
            **kwargs: Further arguments of the layer, such as `name` and `dtype`.
        """
        self.n_made += 1
        entry = self._arm.entry
        if entry is not None:
            if entry.is_random:
                # Not from Keras's seed: weights drawn after it would differ from the other arms'.
                kwargs = {"seed": int(np.random.randint(2**31)), **kwargs}
            return entry.make(self.alpha, **kwargs)
        layer = self._arm.rectifier()  # type: ignore[operator]
        if not isinstance(layer, keras.layers.Layer):
            raise InputError(
                f"`rectifier` of arm {self.name!r} must return a new layer. Received: {layer!r}"
            )
        if kwargs.get("name"):
            layer.name = kwargs["name"]
        return layer

    def initializer(self, **kwargs: Any) -> keras.initializers.Initializer:
        """An initializer for the layer in front, which keeps the scale of the signal.

        ReLU and your own layers get He's initializer. Other rectifiers get the same draws, times a
        ratio of gains.

        Args:
            **kwargs: `mode` and `seed` of `keras_leaky.initializers.RectifierNormal`.
        """
        entry = self._arm.entry
        if entry is None or self._arm.is_baseline:
            if kwargs.pop("mode", "fan_in") != "fan_in":
                return RectifierNormal("relu", mode="fan_out", **kwargs)
            return keras.initializers.HeNormal(**kwargs)
        return RectifierNormal(entry.name, alpha=self.alpha, **kwargs)


class ArmModel(keras_tuner.HyperModel):
    """A user's `build(hp, rectifier)` as KerasTuner's `build(hp)`, for one arm."""

    def __init__(self, build: Callable[..., keras.Model], arm: Arm) -> None:
        super().__init__()
        self.function, self.arm = build, arm

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return self.function(hp, self.make_rectifier(hp))

    def make_rectifier(self, hp: keras_tuner.HyperParameters) -> Rectifier:
        return Rectifier(self.arm, self.arm.declare_alpha(hp))

    def build_point(self, values: dict[str, Any]) -> keras.Model:
        """The model for given values of the hyperparameters."""
        hp = keras_tuner.HyperParameters()
        hp.values = dict(values)
        return self.build(hp)


def read_arms(arms: Iterable[str | Arm]) -> list[Arm]:
    """The arms of a study, the baseline first.

    Args:
        arms: Names, "NAME=ALPHA", or `Arm`s.

    Raises:
        InputError: If one is neither, or two have the same name.
    """
    if isinstance(arms, str | Arm) or not isinstance(arms, Iterable):
        raise InputError(f"`arms` must be a list of names or `Arm`s. Received: arms={arms!r}")
    found = [_read_arm(arm) for arm in arms]
    found = [arm for arm in found if not arm.is_baseline]
    names = [BASELINE, *(arm.name for arm in found)]
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"`arms` must have different names. Received: {', '.join(map(repr, twice))} twice. "
            "Give one of them a name: Arm(..., name='...')"
        )
    return [Arm(BASELINE), *found]


def _read_arm(arm: Any) -> Arm:
    if isinstance(arm, Arm):
        return arm
    if not isinstance(arm, str):
        raise InputError(
            "`arms` must hold names, such as 'leaky_relu' and 'leaky_relu=0.1', or `Arm`s. "
            f"Received: {arm!r}"
        )
    name, equals, number = arm.partition("=")
    if not equals:
        return Arm(name)
    try:
        return Arm(name, float(number))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"`arms` must give alpha as a number after '='. Received: {arm!r}"
        ) from error


def color_arms(arms: Iterable[Arm]) -> dict[str, str]:
    """A color for each arm: the rectifier's own, darker for each further arm of it."""
    colors: dict[str, str] = {}
    n_seen: dict[Any, int] = {}
    n_own = 0
    for arm in arms:
        if arm.entry is None:
            colors[str(arm.name)] = _COLORS[n_own % len(_COLORS)]
            n_own += 1
            continue
        n_seen[arm.rectifier] = n_seen.get(arm.rectifier, 0) + 1
        factor = 0.72 ** (n_seen[arm.rectifier] - 1)
        parts = [round(int(arm.entry.color[i : i + 2], 16) * factor) for i in (1, 3, 5)]
        colors[str(arm.name)] = "#" + "".join(f"{part:02x}" for part in parts)
    return colors


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
