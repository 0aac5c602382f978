"""JAX on a CPU: convolutions that are fast in a loop.

XLA finds a good layout for the convolutions of a program's entry, and not for those in a loop body.
There the two that a gradient is made of, which JAX writes in other layouts, take ten times as long.
Here they are written as convolutions of NHWC images with HWIO kernels, which need no other layout.
"""

# pyright: reportMissingImports=false

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

_NHWC = jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
_one_at_a_time = threading.RLock()
_convolve = jax.lax.conv_general_dilated

Padding = tuple[tuple[int, int], tuple[int, int]]


@dataclass
class Seen:
    """Whether a convolution was traced that this module does not cover."""

    is_other: bool = False


@contextmanager
def convolutions_for_loops() -> Iterator[Seen]:
    """Makes JAX trace two-dimensional convolutions of stride 1 with gradients for loops.

    Keras calls a public function of JAX, which is replaced meanwhile, for this thread.
    """
    seen, thread = Seen(), threading.get_ident()

    def convolve(lhs: Any, rhs: Any, window_strides: Any, padding: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return _convolve(lhs, rhs, window_strides, padding, **kwargs)
        pads = _read_padding(padding, rhs.shape)
        if pads is None or not _is_plain(lhs, rhs, window_strides, kwargs):
            seen.is_other = True
            return _convolve(lhs, rhs, window_strides, padding, **kwargs)
        return _convolution(lhs, rhs, pads)

    with _one_at_a_time:
        jax.lax.conv_general_dilated = convolve
        try:
            yield seen
        finally:
            jax.lax.conv_general_dilated = _convolve


def _is_plain(lhs: Any, rhs: Any, strides: Any, kwargs: dict[str, Any]) -> bool:
    dilation, groups = kwargs.get("rhs_dilation"), kwargs.get("feature_group_count", 1)
    known = {"rhs_dilation", "feature_group_count", "dimension_numbers"}
    return (
        lhs.ndim == 4
        and lhs.dtype == rhs.dtype
        and jnp.issubdtype(lhs.dtype, jnp.floating)
        and set(kwargs) <= known
        and all(stride == 1 for stride in strides)
        and all(one == 1 for one in dilation or ())
        and groups == 1
        and kwargs.get("dimension_numbers") == _NHWC
    )


def _read_padding(padding: Any, kernel_shape: tuple[int, ...]) -> Padding | None:
    """Rows before and behind, and columns; None for another kind."""
    kind = padding.upper() if isinstance(padding, str) else ""
    if kind in ("SAME", "VALID"):
        totals = [(size - 1) * (kind == "SAME") for size in kernel_shape[:2]]
        height, width = [(total // 2, total - total // 2) for total in totals]
        return height, width
    return None


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolution(x: Any, kernel: Any, padding: Padding) -> Any:
    return _convolve(x, kernel, (1, 1), padding, dimension_numbers=_NHWC)


def _forward(x: Any, kernel: Any, padding: Padding) -> tuple[Any, Any]:
    return _convolution(x, kernel, padding), (x, kernel)


def _backward(padding: Padding, saved: Any, dy: Any) -> tuple[Any, Any]:
    x, kernel = saved
    sizes = kernel.shape[:2]
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    rest = tuple(
        (size - 1 - low, size - 1 - high) for size, (low, high) in zip(sizes, padding, strict=True)
    )
    dx = _convolve(dy, turned, (1, 1), rest, dimension_numbers=_NHWC)
    # The examples are what is summed over: they take the place of the channels.
    images, kernels = x.transpose(3, 1, 2, 0), dy.transpose(1, 2, 0, 3)
    dkernel = _convolve(images, kernels, (1, 1), padding, dimension_numbers=_NHWC)
    return dx, dkernel.transpose(1, 2, 0, 3)


_convolution.defvjp(_forward, _backward)
