"""The table of rectifiers: everything that the rest of the pack knows about each.

Gains, structure keys, diagnostics, surgery, tuners, recipes and benchmarks ask the table. So a new
rectifier is a function in `keras_leaky.ops`, a layer in `keras_leaky.layers` and an entry here.
"""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from keras_leaky import layers, ops
from keras_leaky.ops.exponential import SELU_ALPHA, SELU_SCALE

__all__ = [
    "TABLE",
    "Entry",
    "activation_name",
    "entry_of",
    "find_entry",
    "register",
    "unregister",
]

# A number, the two ends of a range as JSON stores them, or None if there is nothing to choose.
Alpha = float | list[float] | None
# Class name and config of a layer of Keras.
Twin = tuple[str, dict[str, Any]]

_HALF = math.sqrt(0.5)  # the root of E[z^2; z > 0] and of P(z > 0), z ~ N(0, 1)


@dataclass(frozen=True)
class Entry:
    """One rectifier: a function with a bend at 0 whose derivative is above 0 where x > 0.

    Attributes:
        name: Name for arguments called `activation`.
        title: Name for people to read.
        layer: Class of the layer: ours, for relu Keras's.
        function: The function that the layer computes, from `keras_leaky.ops`, for relu from Keras.
            It takes a tensor, then the numbers that `arguments` names, then `training`.
        parameters: Arguments of `layer` that make up its alpha: none, one, or the ends of a range.
        arguments: Attributes of a layer that hold the numbers `function` takes. For a range from
            which slopes are drawn, the upper end.
        alpha_title: Meaning of alpha in words. Empty if there is no alpha.
        default: The alpha of `layer()`.
        is_valid: Whether a number (NaN for a non-number), a list of two numbers, or None is a valid
            alpha.
        invariant: The rule in words: "alpha must be ...".
        sides: Function `(alpha, backward)`: the roots of E[f(z)^2; z > 0] and E[f(z)^2; z <= 0], z
            ~ N(0, 1); with f' instead of f if `backward`. The gain follows from them.
        to_keras: Function `(config, input_shape)` to Keras's layer with the same outputs in
            inference. It takes a layer's config and the shape it was built for, or None. None if
            Keras has no such layer.
        can_die: Whether units can stay without a gradient, because the derivative of the negative
            side is 0 or vanishes. If units cannot die, that side is straight, `arguments` are its
            slopes, and a unit dies only if such a slope is 0.
        color: Color in plots.
        keras_function: Name of Keras's function with the same values as `function` with its
            defaults; None if there is none.
        alpha_range: Default search range; None if alpha is not one number.
        alpha_scale: Scale of the search.
        is_random: Whether `layer` draws random numbers, and takes a `seed`.
    """

    name: str
    title: str
    layer: type[keras.layers.Layer]
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    alpha_title: str
    default: float | tuple[float, float] | None
    is_valid: Callable[[Any], bool]
    invariant: str
    sides: Callable[[Any, bool], tuple[float, float]]
    to_keras: Callable[[Mapping[str, Any], Sequence[int | None] | None], Twin | None]
    can_die: bool
    color: str
    keras_function: str | None = None
    alpha_range: tuple[float, float] | None = None
    alpha_scale: Literal["log", "linear"] = "log"
    is_random: bool = False

    @property
    def is_of_keras(self) -> bool:
        """Whether the layer is Keras's own."""
        return self.layer.__module__.startswith("keras.")

    @property
    def registered_names(self) -> tuple[str, str]:
        """The names under which Keras knows the layer and the function."""
        layer, function = map(keras.saving.get_registered_name, (self.layer, self.function))
        return layer, function

    def resolve_alpha(self, alpha: Any) -> Alpha:
        """Returns `alpha`, checked and as a JSON value; None stands for the default.

        Raises:
            ValueError: If it does not suit the rectifier.
        """
        value: Any = self.default if alpha is None else alpha
        if len(self.parameters) == 2 and isinstance(value, list | tuple):
            value = [_real_number(end) for end in value]
        elif value is not None:
            value = _real_number(value)
        if not self.is_valid(value):
            raise ValueError(
                f"`alpha` of {self.name} must be {self.invariant}. Received: alpha={alpha!r}"
            )
        return value

    def make(self, alpha: Any = None, **kwargs: Any) -> keras.layers.Layer:
        """A new layer.

        Args:
            alpha: As for `resolve_alpha`.
            **kwargs: Further arguments of the layer.
        """
        return self.layer(**self.config_of(alpha), **kwargs)

    def config_of(self, alpha: Any = None) -> dict[str, float]:
        """The arguments of `layer` that give it this alpha."""
        value = self.resolve_alpha(alpha)
        values = [] if value is None else value if isinstance(value, list) else [value]
        return dict(zip(self.parameters, values, strict=True))

    def read_arguments(self, layer: Any) -> tuple[Any, ...]:
        """The arguments of `function` after the tensor, to compute the same as a layer."""
        return tuple(getattr(layer, name) for name in self.arguments)


def _real_number(value: Any) -> float:
    """`value` as a Python float, or NaN if it is not a real number: range checks refuse NaN."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def _is_none(alpha: Any) -> bool:
    return alpha is None


def _is_finite(alpha: float) -> bool:
    return -math.inf < alpha < math.inf


def _is_ordered_pair(alpha: Any) -> bool:
    return isinstance(alpha, list) and len(alpha) == 2 and 0 <= alpha[0] <= alpha[1] < math.inf


def _straight(slope: float, backward: bool) -> tuple[float, float]:
    return _HALF, slope * _HALF


def _range_of_slopes(ends: Sequence[float], backward: bool) -> tuple[float, float]:
    lower, upper = ends
    mean, deviation = (lower + upper) / 2, (upper - lower) / math.sqrt(12)
    return _HALF, math.hypot(mean, deviation) * _HALF


def _exponential(alpha: float, backward: bool) -> tuple[float, float]:
    """Of ELU, from E[exp(kz); z < 0]."""
    first, second = (math.exp(k * k / 2) * math.erfc(k / math.sqrt(2)) / 2 for k in (1.0, 2.0))
    return _HALF, alpha * math.sqrt(second if backward else second - 2 * first + 0.5)


def _scaled_exponential(alpha: None, backward: bool) -> tuple[float, float]:
    _, negative = _exponential(SELU_SCALE * SELU_ALPHA, backward)
    return SELU_SCALE * _HALF, negative


def _wide_exponential(alpha: float, backward: bool) -> tuple[float, float]:
    """Of CELU, by quadrature.

    The closed form cancels for a large alpha and overflows for a small one. In s = log(-z) the
    integrand is smooth at every alpha and dies off doubly exponentially, so that the trapezoidal
    rule is good to about 1e-13.
    """
    step = 0.1
    u = np.exp(np.arange(-40.0, 4.0, step))  # -z
    with np.errstate(over="ignore"):  # u / alpha may be infinite: exp gives the limit, 0
        f = np.exp(-u / alpha) if backward else -alpha * np.expm1(-u / alpha)
    density = np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    return _HALF, math.sqrt(step * np.sum(f * f * density * u))


def _twin_of_leaky_relu(config: Mapping[str, Any], input_shape: Any) -> Twin | None:
    slope = config["negative_slope"]
    return ("LeakyReLU", {"negative_slope": slope}) if slope >= 0 else None


def _twin_of_prelu(config: Mapping[str, Any], input_shape: Any) -> Twin | None:
    if input_shape is None:
        raise ValueError(
            f"PReLU {config['name']!r} must be built: call the model on data before `to_keras`"
        )
    # Keras's takes ints from 1, or None.
    rank, axes = len(input_shape), config["shared_axes"]
    if isinstance(axes, str):
        axes = range(1, rank if axes == "all" else rank - 1)
    return "PReLU", {**config, "shared_axes": [axis % rank for axis in axes or ()] or None}


_ENTRIES = (
    Entry(
        name="relu",
        title="ReLU",
        layer=keras.layers.ReLU,
        function=keras.ops.relu,
        parameters=(),
        arguments=(),
        alpha_title="",
        default=None,
        is_valid=_is_none,
        invariant="None",
        sides=lambda alpha, backward: (_HALF, 0.0),
        to_keras=lambda config, input_shape: ("ReLU", dict(config)),
        can_die=True,
        color="#555555",
        keras_function="relu",
    ),
    Entry(
        name="leaky_relu",
        title="Leaky ReLU",
        layer=layers.LeakyReLU,
        function=ops.leaky_relu,
        parameters=("negative_slope",),
        arguments=("negative_slope",),
        alpha_title="negative slope",
        default=0.01,
        is_valid=_is_finite,
        invariant="a finite real number",
        sides=_straight,
        to_keras=_twin_of_leaky_relu,
        can_die=False,
        color="#0b6fb8",
        # Not Keras's "leaky_relu", whose slope is 0.2.
        alpha_range=(1e-3, 0.5),
    ),
    Entry(
        name="prelu",
        title="PReLU",
        layer=layers.PReLU,
        function=ops.prelu,
        parameters=("alpha_initializer",),
        arguments=("alpha",),
        alpha_title="initial negative slope",
        default=0.25,
        is_valid=_is_finite,
        invariant="a finite real number",
        sides=_straight,
        to_keras=_twin_of_prelu,
        can_die=False,
        color="#c2570c",
        alpha_range=(0.01, 0.5),
    ),
    Entry(
        name="elu",
        title="ELU",
        layer=layers.ELU,
        function=ops.elu,
        parameters=("alpha",),
        arguments=("alpha",),
        alpha_title="saturation value",
        default=1.0,
        is_valid=lambda alpha: 0 <= alpha < math.inf,
        invariant="a finite real number of at least 0",
        sides=_exponential,
        to_keras=lambda config, input_shape: ("ELU", {"alpha": config["alpha"]}),
        can_die=True,
        color="#0a7d4f",
        keras_function="elu",
        alpha_range=(0.1, 2.0),
        alpha_scale="linear",
    ),
    Entry(
        name="celu",
        title="CELU",
        layer=layers.CELU,
        function=ops.celu,
        parameters=("alpha",),
        arguments=("alpha",),
        alpha_title="saturation value",
        default=1.0,
        is_valid=lambda alpha: 0 < alpha < math.inf,
        invariant="a finite real number above 0",
        sides=_wide_exponential,
        to_keras=lambda config, input_shape: (
            ("Activation", {"activation": "celu"}) if config["alpha"] == 1 else None
        ),
        can_die=True,
        color="#55b98a",
        keras_function="celu",
        # From nearly ReLU to nearly the identity: alpha is also the width of the bend.
        alpha_range=(0.1, 4.0),
    ),
    Entry(
        name="selu",
        title="SELU",
        layer=layers.SELU,
        function=ops.selu,
        parameters=(),
        arguments=(),
        alpha_title="",
        default=None,
        is_valid=_is_none,
        invariant="None",
        sides=_scaled_exponential,
        to_keras=lambda config, input_shape: ("Activation", {"activation": "selu"}),
        can_die=True,
        color="#9bc53d",
        keras_function="selu",
    ),
    Entry(
        name="rrelu",
        title="RReLU",
        layer=layers.RReLU,
        function=ops.leaky_relu,
        parameters=("lower", "upper"),
        arguments=("upper",),
        alpha_title="range of slopes",
        default=(1 / 8, 1 / 3),
        is_valid=_is_ordered_pair,
        invariant="a pair (lower, upper) with 0 <= lower <= upper < inf",
        sides=_range_of_slopes,
        to_keras=lambda config, input_shape: (
            "LeakyReLU",
            {"negative_slope": (config["lower"] + config["upper"]) / 2},
        ),
        can_die=False,
        color="#8e44ad",
        is_random=True,
    ),
)
# By name, in the order in which they are shown. `register` adds to it.
TABLE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}


def entry_of(activation: Any) -> Entry:
    """The entry with this name.

    Raises:
        ValueError: If there is none.
    """
    if not isinstance(activation, str) or activation not in TABLE:
        raise ValueError(
            f"`activation` must be one of {', '.join(TABLE)}. Received: activation={activation!r}"
        )
    return TABLE[activation]


def find_entry(thing: Any) -> Entry | None:
    """The entry of the rectifier that a layer, an operation or a function applies, or None.

    `thing` is as in `activation_name`: Keras's layers and functions of a name count too.
    """
    name = activation_name(thing)
    return None if name is None else TABLE.get(name)


def register(entry: Entry) -> None:
    """Adds a rectifier, which is then known everywhere like the built-in ones.

    Models with another alpha share a compiled program if the layer is a
    `keras_leaky.layers.slope.FixedRectifier` that keeps its `parameters` by `keep_slope`. A worker
    process only knows the rectifier if an unpickled object imports the module that registers it.

    Raises:
        ValueError: If its name or its layer is in the table already.
    """
    taken = {other.layer for other in TABLE.values()}
    if entry.name in TABLE or entry.layer in taken:
        raise ValueError(
            "`entry` must have a name and a layer that are not in the table: `unregister` the old "
            f"entry first. Received: name={entry.name!r}, layer={entry.layer.__name__}"
        )
    TABLE[entry.name] = entry


def unregister(name: str) -> None:
    """Removes a registered rectifier.

    Raises:
        ValueError: If no rectifier with this name was registered.
    """
    if entry_of(name) in _ENTRIES:
        raise ValueError(
            f"`name` must be the name of a registered rectifier. Received: name={name!r}"
        )
    del TABLE[name]


# The class of Keras's layer or operation -> the activation it applies, both in lower case letters
# only. PReLU exists only as a layer.
_OF_KERAS = {name.replace("_", ""): name for name in (*dir(keras.activations), "prelu")}

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_name(thing: Any) -> str | None:
    """Name of the activation that a layer, an operation or a function applies, or None.

    `thing` is the object itself or its serialized form. "linear" does not count as an activation. A
    ReLU with a slope is a "leaky_relu", and a ReLU with a cap of 6 a "relu6". A ReLU with another
    cap, or with a threshold, has no name.
    """
    if isinstance(thing, keras.Operation):  # layers are operations too
        return _name_of_operation(thing)
    if isinstance(thing, dict):
        return _name_of_serialized(thing)
    name: Any = thing if isinstance(thing, str) else getattr(thing, "__name__", None)
    return {"linear": None, **ALIASES}.get(name, name)


def _name_of_operation(operation: Any) -> str | None:
    kind = type(operation)
    if not kind.__module__.startswith("keras."):
        return next((name for name, entry in TABLE.items() if entry.layer is kind), None)
    if isinstance(operation, keras.layers.Activation):
        return activation_name(operation.activation)
    if kind.__name__ == "ReLU":
        return _name_of_relu(operation.negative_slope, operation.max_value, operation.threshold)
    return activation_name(_OF_KERAS.get(kind.__name__.lower()))


def _name_of_serialized(node: Any) -> str | None:
    kind, config = node.get("class_name"), node.get("config")
    if kind == "function":
        return activation_name(config.split(">")[-1])  # less the package it is registered under
    if not str(node.get("module")).startswith("keras."):
        own = (entry for entry in TABLE.values() if not entry.is_of_keras)
        name = node.get("registered_name")
        return next((entry.name for entry in own if entry.registered_names[0] == name), None)
    if kind == "Activation":
        return activation_name(config["activation"])
    if kind == "ReLU":
        return _name_of_relu(config["negative_slope"], config["max_value"], config["threshold"])
    return activation_name(_OF_KERAS.get(str(kind).lower()))


def _name_of_relu(negative_slope: Any, max_value: Any, threshold: Any) -> str | None:
    if threshold or (negative_slope and max_value is not None):
        return None
    if negative_slope:
        return "leaky_relu"
    return {None: "relu", 6: "relu6"}.get(max_value)
