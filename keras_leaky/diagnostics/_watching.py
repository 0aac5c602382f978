"""Watching the inputs and outputs of a model's activations.

For the time of a forward pass `call` of the parts and `activation` of their hosts are wrapped, on
the instances and past Keras's attribute tracking. That reaches nested models, wrappers, shared
layers and subclassed models alike, which a second model with more outputs would not.
"""

import contextlib
import weakref
from dataclasses import dataclass, replace
from typing import Any

import keras

from keras_leaky.layers._axes import channel_axis


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from.

    Attributes:
        layer: The last layer with weights that it has come through, or that merged tensors; None
            for an input of the model.
        axis: Axis of its features or channels.
        is_guess: Whether it came through code between layers, so that `layer` is only the layer
            that was called last.
    """

    layer: Any = None
    axis: int = -1
    is_guess: bool = False


@contextlib.contextmanager
def watching(sites, parts, record):
    """Inside, an eager call calls `record(site, origin, inputs, outputs, apply)`.

    `apply` is the activation, as a function of the inputs alone. The layer of the `Origin` is the
    one whose units are being activated: that of the site, if it has one.

    Args:
        sites: From `find_activations`.
        parts: From `parts_of`.
    """
    watch = _Watch(record)
    at = {id(site.host or site.activation): site for site in sites}
    with contextlib.ExitStack() as stack:
        for part in parts:
            site = at.get(id(part))
            if site and site.host is not None:
                stack.enter_context(_replaced(part, "activation", watch.activation(site)))
            if site and site.host is None:
                stack.enter_context(_replaced(part, "call", watch.activation(site)))
            else:
                stack.enter_context(_replaced(part, "call", watch.layer(part)))
        # Before `call`, a layer of another precision casts what it gets: that is a new tensor.
        policies = {id(part.dtype_policy): part.dtype_policy for part in parts if _has_policy(part)}
        for policy in policies.values():
            stack.enter_context(_replaced(policy, "convert_input", watch.cast))
        yield


def _has_policy(part):
    return isinstance(getattr(part, "dtype_policy", None), keras.dtype_policies.DTypePolicy)


@contextlib.contextmanager
def _replaced(part, name, wrap):
    own = vars(part)
    before = {name: own[name]} if name in own else {}
    own[name] = wrap(getattr(part, name))
    try:
        yield
    finally:
        del own[name]
        own.update(before)


class _Watch:
    def __init__(self, record):
        self._record = record
        self._n_entered = 0  # activations can hold others: the outermost counts
        self._origins = {}  # id of a tensor -> (reference, origin)
        self._last = None  # layer with weights that was called last

    def activation(self, site):
        def wrap(original):
            def call(x, *args, **kwargs):
                def apply(x):
                    return original(x, *args, **kwargs)

                self._n_entered += 1
                try:
                    y = apply(x)
                    if self._n_entered == 1:
                        origin = self._origin_of(x)
                        if site.source is not None:
                            origin = Origin(site.source, channel_axis(site.source) or -1)
                        self._record(site, origin, x, y, apply)
                        self._remember(y, origin)
                finally:
                    self._n_entered -= 1
                return y

            return call

        return wrap

    def layer(self, part):
        has_weights = bool(getattr(part, "weights", None))

        def wrap(original):
            def call(*args, **kwargs):
                y = original(*args, **kwargs)
                if has_weights:
                    self._last = part
                tensors = [x for x in keras.tree.flatten([args, kwargs]) if hasattr(x, "shape")]
                origins = [self._origin_of(x) for x in tensors]
                axis = channel_axis(part)
                if axis is None:
                    axes = {o.axis for o in origins} if not has_weights else set()
                    axis = axes.pop() if len(axes) == 1 else -1
                for output in keras.tree.flatten(y):
                    same_rank = tensors and len(output.shape) == len(tensors[0].shape)
                    origin = Origin(part, axis if same_rank else -1)
                    if not has_weights and len(tensors) == 1:
                        origin = replace(origins[0], axis=origin.axis)
                    self._remember(output, origin)
                return y

            return call

        return wrap

    def cast(self, original):
        def convert_input(x, *args, **kwargs):
            y = original(x, *args, **kwargs)
            reference, origin = self._origins.get(id(x), (None, None))
            if y is not x and reference is not None and reference() is x:
                self._remember(y, origin)
            return y

        return convert_input

    def _origin_of(self, x):
        reference, origin = self._origins.get(id(x), (None, None))
        if reference is not None and reference() is x:
            return origin
        return Origin(self._last, channel_axis(self._last) or -1, is_guess=self._last is not None)

    def _remember(self, outputs, origin):
        for y in keras.tree.flatten(outputs):
            # What a nested model returns has come from a layer in it.
            reference, _ = self._origins.get(id(y), (None, None))
            if hasattr(y, "shape") and (reference is None or reference() is not y):
                self._origins[id(y)] = weakref.ref(y), origin
