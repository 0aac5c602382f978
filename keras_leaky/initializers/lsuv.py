"""Layer-sequential unit variance: weights scaled by the outputs on data."""

import contextlib
import functools
import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_leaky.layers._nested import layers_of

_LAYERS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
# They call inner layers in a loop, or with weights that they compute.
_LEFT_ALONE = (keras.layers.Wrapper, keras.layers.RNN)


def lsuv(
    model: keras.Model,
    x: Any,
    *,
    tolerance: float = 0.01,
    t_max: int = 10,
    seed: int | keras.random.SeedGenerator | None = None,
) -> list[dict[str, Any]]:
    """Scales the kernels of a model, layer after layer, so that every layer has unit variance.

    ```
    kernel <- orthonormal
    repeat at most t_max times, until |variance - 1| <= tolerance:
        kernel <- kernel / sqrt(variance)         variance = Var(W x + b) over batch and units
    ```

    The variance is taken of the layer's output before its activation, over all samples, positions
    and units. Layers come in the order in which the model calls them, so each sees scaled inputs,
    whatever activations lie between. All layers need one forward pass, in inference mode (no
    dropout, batch normalization with its moving statistics). With biases of 0, Keras's default, one
    scaling is exact.

    `lsuv` initializes Dense and all convolutions: also transposed, depthwise and separable ones (by
    their pointwise kernel), in nested and subclassed models and in your own layers. A shared layer
    has variance 1 at its first call. Not changed are biases, layers that are not trainable or
    adapted by LoRA, and layers in wrappers (TimeDistributed, Bidirectional, SpectralNormalization)
    or recurrent layers. Orthonormal means as in `keras.initializers.Orthogonal`: the kernel is a
    matrix whose columns are the last axis, with orthonormal columns, or rows if there are more
    columns than rows. A Dense layer of fan_in >= units gets weights of standard deviation scale /
    sqrt(fan_in).

    Args:
        model: Built `keras.Model`. It is changed in place, or not at all if anything fails.
        x: One batch as the model takes it, without labels: an array, or a list or dict of arrays. A
            few hundred samples give a good estimate.
        tolerance: How far from 1 a variance may stay, in (0, 1). Defaults to 0.01.
        t_max: Maximum number of scalings of a layer, an int of at least 1. Defaults to 10.
        seed: Seed of the orthonormal matrices: int, `keras.random.SeedGenerator` or None. Defaults
            to None, a random int.

    Returns:
        List of one dict per layer, in the order of their calls: `layer`, its name; `variance`, the
        reached one; `scale`, the factor on its orthonormal kernel; `n_iterations`.

    Raises:
        ValueError: If `model` is not a built model or has none of these layers, `x` is empty or not
            finite, or `tolerance` or `t_max` is out of range. If a layer's variance is 0 or not
            finite, or not within the tolerance after `t_max` iterations, as with biases whose own
            variance is near or above 1.

    Example:

    >>> import keras
    >>> from keras_leaky.initializers import lsuv
    >>> relu = [keras.layers.Dense(64, activation="relu", name=f"relu{i}") for i in range(3)]
    >>> model = keras.Sequential([keras.Input((32,)), *relu])
    >>> report = lsuv(model, keras.random.normal((256, 32), seed=1), seed=2)
    >>> [(row["layer"], round(row["variance"], 2)) for row in report]
    [('relu0', 1.0), ('relu1', 1.0), ('relu2', 1.0)]

    References:
        Mishkin and Matas, 2016, "All you need is a good init", algorithm 1.
        Saxe, McClelland and Ganguli, 2014, "Exact solutions to the nonlinear dynamics of learning
        in deep linear neural networks", section 3.
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(f"`model` must be a built keras.Model. Received: model={model!r}")
    _check_batch(x)
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, numbers.Real)
        or not 0 < tolerance < 1
    ):
        raise ValueError(f"`tolerance` must lie in (0, 1). Received: tolerance={tolerance!r}")
    if isinstance(t_max, bool) or not isinstance(t_max, numbers.Integral) or t_max < 1:
        raise ValueError(f"`t_max` must be an int of at least 1. Received: t_max={t_max!r}")
    if not isinstance(seed, keras.random.SeedGenerator):
        seed = keras.random.SeedGenerator(seed)  # an int would give equal layers equal matrices
    layers = _layers_of(model)
    if not layers:
        raise ValueError(
            "`model` must hold a trainable Dense or convolution. Received: a model with the layers "
            f"{[layer.name for layer in model.layers]}"
        )
    report, failures = [], []

    def initialize(layer: Any, call: Callable[[], Any]) -> None:
        try:
            report.append(_initialize(layer, call, tolerance, t_max, seed))
        except ValueError as error:
            failures.append(error)  # Keras lengthens the messages of what is raised in a layer
            raise

    # In this scope variables take new values without being written, so a failure changes nothing.
    # Nor could they be written under mixed precision in PyTorch, whose layers see cast copies.
    with keras.StatelessScope() as scope, contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_before_first_call(layer, initialize))
        try:
            model(x, training=False)
        except ValueError:
            if failures:
                raise failures[0] from None
            raise
    kernels = [kernel for layer in layers for kernel in _kernels_of(layer)]
    variables: list[Any] = [*kernels, seed.state]
    for variable in variables:
        value = scope.get_current_value(variable)
        if value is not None:  # that of a layer which was called
            variable.assign(value)
    return report


def _check_batch(x: Any) -> None:
    arrays = keras.tree.flatten(x)
    if not arrays or not all(getattr(array, "shape", ()) and array.shape[0] for array in arrays):
        shapes = [tuple(getattr(array, "shape", ())) for array in arrays]
        raise ValueError(f"`x` must be one batch of at least one sample. Received: shapes {shapes}")
    for array in arrays:
        array = np.asarray(keras.ops.convert_to_numpy(array))
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            n_bad = int(np.sum(~np.isfinite(array)))
            raise ValueError(
                f"`x` must be finite. Received: {n_bad} NaN or infinite of {array.size} numbers"
            )


def _layers_of(model: keras.Model) -> list[Any]:
    parts = layers_of(model)
    held = [layers_of(part)[1:] for part in parts if isinstance(part, _LEFT_ALONE)]
    inside = {id(part) for group in held for part in group}
    layers = [part for part in parts if isinstance(part, _LAYERS) and id(part) not in inside]
    has_own_kernel = [layer for layer in layers if not getattr(layer, "lora_enabled", False)]
    return [layer for layer in has_own_kernel if layer.trainable and layer.built]


def _kernels_of(layer: Any) -> list[Any]:
    """The kernels of a layer; the last one is to be scaled."""
    if hasattr(layer, "pointwise_kernel"):
        return [layer.depthwise_kernel, layer.pointwise_kernel]
    return [layer.kernel]


def _initialize(
    layer: Any,
    call: Callable[[], Any],
    tolerance: float,
    t_max: int,
    seed: keras.random.SeedGenerator,
) -> dict[str, Any]:
    """Algorithm 1 for one layer; `call()` gives its outputs."""
    orthonormal = keras.initializers.Orthogonal(seed=seed)
    for kernel in _kernels_of(layer):
        # Not the kernel's own dtype, which in a forward pass is the one it is cast to.
        start = orthonormal(kernel.shape, dtype=layer.variable_dtype)
        kernel.assign(start)
    scale = 1.0
    for n_iterations in range(t_max + 1):
        with _replaced(layer, "activation", keras.activations.linear):
            variance = _variance(call())
        if not 0 < variance < math.inf:
            raise ValueError(
                f"Layer {layer.name!r} must have a finite variance above 0 on `x`. It is 0 if all "
                f"inputs of the layer are 0. Received: variance={variance}"
            )
        if abs(variance - 1) <= tolerance:
            break
        if n_iterations == t_max:
            raise ValueError(
                f"Layer {layer.name!r} must have variance 1 within {tolerance=} after {t_max=} "
                f"iterations; biases are not scaled. Received: variance={variance}"
            )
        scale /= math.sqrt(variance)
        kernel.assign(start * scale)
    return {
        "layer": layer.name,
        "variance": variance,
        "scale": scale,
        "n_iterations": n_iterations,
    }


def _variance(outputs: Any) -> float:
    variance = keras.ops.var(keras.ops.cast(outputs, "float32"))
    return float(np.asarray(keras.ops.convert_to_numpy(variance)))


@contextlib.contextmanager
def _before_first_call(layer: Any, run: Callable[[Any, Callable[[], Any]], None]) -> Iterator[None]:
    """Inside, `run(layer, call)` runs before the first call of the layer; `call()` makes it."""
    original = layer.call
    is_first = True

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal is_first
        if is_first:
            is_first = False
            run(layer, functools.partial(original, *args, **kwargs))
        return original(*args, **kwargs)

    with _replaced(layer, "call", call):
        yield


@contextlib.contextmanager
def _replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Replaces an attribute for a while, past Keras's attribute tracking."""
    own = vars(layer)
    before = {name: own[name]} if name in own else {}
    own[name] = value
    try:
        yield
    finally:
        del own[name]
        own.update(before)
