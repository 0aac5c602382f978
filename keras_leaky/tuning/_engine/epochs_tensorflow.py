"""TensorFlow: an epoch as one call of a compiled function, over data in memory."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from keras_leaky.tuning._engine.device_data import map_arrays, n_samples_of

# Operations with a state outside of variables: random generators, calls of Python.
_STATEFUL = re.compile(r"Random|TruncatedNormal|ParameterizedTruncatedNormal|Multinomial|.*PyFunc")


def compile_training(model: Any, step: Callable[..., Any]) -> Callable[[Any, Any, int], None]:
    """A compiled epoch of `step`, a model's `train_step`, as `fit` runs it.

    Metrics accumulate in the model, which has to be reset before an epoch.

    Returns:
        Function `(data, order, batch_size)` that trains on the samples that `order` numbers. `data`
        is `(x, y, sample_weight)` of device tensors, nested as the model takes them, or a
        `tf.data.Dataset`, which has its own order and batches.
    """
    run, run_dataset = _compile_epochs(model, step)

    def train(data: Any, order: Any, batch_size: int) -> None:
        if is_dataset(data):
            run_dataset(iter(data))
        else:
            run(data, tf.constant(order, tf.int32), batch_size)

    return train


def compile_test(model: Any, step: Callable[..., Any]) -> Callable[[Any, int], None]:
    """Like `compile_training`, for a model's `test_step`: function `(data, batch_size)`."""
    run, run_dataset = _compile_epochs(model, step)

    def test(data: Any, batch_size: int) -> None:
        if is_dataset(data):
            run_dataset(iter(data))
        else:
            run(data, tf.range(n_samples_of(data)), batch_size)

    return test


def is_dataset(data: Any) -> bool:
    """Whether an epoch can be compiled over `data` as a whole, which is not an array."""
    return isinstance(data, tf.data.Dataset) and data.cardinality() != tf.data.INFINITE_CARDINALITY


def _compile_epochs(model: Any, step: Callable[..., Any]) -> list[Any]:
    if model.jit_compile:  # only where `fit` would: nets of convolutions are slow in XLA on a CPU
        step = tf.function(step, jit_compile=True, autograph=False)
    return [tf.function(partial(run, step), autograph=False) for run in (_run_epoch, _run_dataset)]


def run_watched(
    step: Callable[..., Any], args: Sequence[Any], known_variables: Callable[[], Iterable[Any]]
) -> tuple[Any, bool]:
    """The value of a step, and whether its graph has only the state of known variables."""
    result = step(*args)
    if tf.executing_eagerly():
        return result, True
    graph = tf.compat.v1.get_default_graph()
    return result, not _has_other_state(graph, {id(v.value.handle) for v in known_variables()})


def _has_other_state(graph: Any, handles: set[int]) -> bool:
    resources = [inner for _, inner in graph.captures if inner.dtype == tf.resource]
    if any(id(_captured(resource)) not in handles for resource in resources):
        return True  # a variable, a table, an iterator
    definition = graph.as_graph_def()
    nodes = [definition.node, *(function.node_def for function in definition.library.function)]
    return any(_STATEFUL.match(node.op) for part in nodes for node in part)


def _captured(tensor: Any) -> Any:
    """The value outside of all graphs for which a graph's tensor stands."""
    while not hasattr(tensor, "numpy"):
        outer = [outer for outer, inner in tensor.graph.captures if inner is tensor]
        if not outer:
            break
        (tensor,) = outer
    return tensor


def to_device(array: Any) -> Any:
    return tf.convert_to_tensor(array)


def _run_epoch(step: Callable[..., Any], data: Any, order: Any, batch_size: int) -> None:
    n_samples = order.shape[0]
    n_whole, n_rest = divmod(n_samples, batch_size)

    def run_step(first: Any, size: int) -> None:
        numbers = order[first : first + size]

        def gather(x: Any) -> Any:
            # With an unknown batch size BatchNormalization takes another gradient than in `fit`.
            return tf.ensure_shape(tf.gather(x, numbers), (size, *x.shape[1:]))

        step(map_arrays(gather, data))

    def body(i: Any) -> tuple[Any]:
        run_step(i * batch_size, batch_size)
        return (i + 1,)

    if n_whole:
        tf.while_loop(lambda i: i < n_whole, body, [tf.constant(0)], parallel_iterations=1)
    if n_rest:
        run_step(n_whole * batch_size, n_rest)


def _run_dataset(step: Callable[..., Any], iterator: Any) -> None:
    def body(batch: Any) -> tuple[Any]:
        step(batch.get_value())
        return (iterator.get_next_as_optional(),)

    first = iterator.get_next_as_optional()
    tf.while_loop(lambda batch: batch.has_value(), body, [first], parallel_iterations=1)
