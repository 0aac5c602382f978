"""Seeing what goes into the activations of a model, and what comes out.

For the time of a forward pass `call` of the parts and `activation` of their hosts are wrapped, on
the instances and past Keras's attribute tracking. That reaches nested models, wrappers, shared
layers and subclassed models alike, which a second model with more outputs would not.
"""

import contextlib
import weakref

import keras


@contextlib.contextmanager
def watching(sites, parts, record):
    """Inside, an eager call of the model calls `record(site, source, inputs, outputs)`.

    `source` is the layer whose units are being activated: that of the site, or else the last layer
    with weights that the inputs have come through.

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
        yield


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
        self._sources = {}  # id of a tensor -> (reference, layer)
        self._last = None  # layer with weights that was called last

    def activation(self, site):
        def wrap(original):
            def call(x, *args, **kwargs):
                self._n_entered += 1
                try:
                    y = original(x, *args, **kwargs)
                finally:
                    self._n_entered -= 1
                if not self._n_entered:
                    source = site.source or self._source_of(x)
                    self._record(site, source, x, y)
                    self._remember(y, source)
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
                inputs = keras.tree.flatten([args, kwargs])
                tensors = [x for x in inputs if hasattr(x, "shape")]
                is_new = has_weights or len(tensors) != 1
                self._remember(y, part if is_new else self._source_of(tensors[0]))
                return y

            return call

        return wrap

    def _source_of(self, x):
        """Of a tensor that came through code between layers: the layer that was called last."""
        reference, source = self._sources.get(id(x), (None, None))
        return source if reference is not None and reference() is x else self._last

    def _remember(self, outputs, source):
        for y in keras.tree.flatten(outputs):
            # What a nested model returns has come from a layer in it.
            reference, _ = self._sources.get(id(y), (None, None))
            if hasattr(y, "shape") and (reference is None or reference() is not y):
                self._sources[id(y)] = weakref.ref(y), source
