"""JAX: an epoch as one call of a compiled function, or one call per step, over device data."""

# pyright: reportMissingImports=false

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from keras_leaky.tuning._engine.convolutions_jax import convolutions_for_loops
from keras_leaky.tuning._engine.device_data import map_arrays, n_samples_of


def compile_training(model: Any, step: Callable[..., Any]) -> Callable[[Any, Any, int], None]:
    """A compiled epoch of `step`, a model's `train_step`, as `fit` runs it.

    Metrics accumulate in the model, which has to be reset before an epoch.

    Returns:
        Function `(data, order, batch_size)` that trains on the samples that `order` numbers. `data`
        is `(x, y, sample_weight)` of device arrays, nested as the model takes them.
    """
    epoch = _compile_epoch(step)

    def train(data: Any, order: np.ndarray, batch_size: int) -> None:
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        _run(epoch, variables, data, order, batch_size)

    return train


def compile_test(model: Any, step: Callable[..., Any]) -> Callable[[Any, int], None]:
    """Like `compile_training`, for a model's `test_step`: function `(data, batch_size)`."""
    epoch = _compile_epoch(step)

    def test(data: Any, batch_size: int) -> None:
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.metrics_variables,
        )
        _run(epoch, variables, data, np.arange(n_samples_of(data)), batch_size)

    return test


def is_dataset(data: Any) -> bool:
    """No: a data set goes through `fit`, batch by batch."""
    return False


def run_watched(
    step: Callable[..., Any], args: Sequence[Any], known_variables: Callable[[], Iterable[Any]]
) -> tuple[Any, bool]:
    """The value of a step, and whether it uses no Keras variables but the given ones.

    A variable gets its value in a `StatelessScope`. A variable outside the scope is compiled in
    with its current number. `known_variables` is not needed for that.
    """
    is_known = True
    scope_class: Any = keras.StatelessScope
    look_up = scope_class.get_current_value

    def look_up_watched(scope: Any, variable: Any) -> Any:
        nonlocal is_known
        value = look_up(scope, variable)
        is_known &= value is not None
        return value

    scope_class.get_current_value = look_up_watched
    try:
        return step(*args), is_known
    finally:
        scope_class.get_current_value = look_up


def to_device(array: Any) -> Any:
    return jax.device_put(array)


def _run(
    epoch: Callable[[Any, Any, np.ndarray, int], Any],
    variables: Sequence[Sequence[Any]],
    data: Any,
    order: np.ndarray,
    batch_size: int,
) -> None:
    state = [[v.value for v in group] for group in variables]
    state = epoch(state, data, order, batch_size)
    for group, values in zip(variables, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)


def _compile_epoch(step: Callable[..., Any]) -> Callable[[Any, Any, np.ndarray, int], Any]:
    """`(state, data, order, batch_size) -> state` for Keras's `train_step` or `test_step`."""

    def run_step(state: Any, data: Any, numbers: Any) -> list[Any]:
        _, state = step(tuple(state), map_arrays(lambda x: x[numbers], data))
        return [list(group) for group in state]

    def run_steps(state: Any, data: Any, numbers: Any) -> Any:
        return jax.lax.scan(lambda s, n: (run_step(s, data, n), None), state, numbers)[0]

    compile_with_state = partial(jax.jit, donate_argnames="state")
    run_step_compiled, run_steps_compiled = map(compile_with_state, (run_step, run_steps))
    is_one_call: bool | None = None

    def run_epoch(state: Any, data: Any, order: np.ndarray, batch_size: int) -> Any:
        nonlocal is_one_call
        n_whole = len(order) // batch_size
        whole, rest = np.split(order.astype("int32"), [n_whole * batch_size])
        whole = whole.reshape(n_whole, batch_size)
        if is_one_call is None and n_whole:
            is_one_call = is_fast_in_loop(lambda: jax.eval_shape(run_step, state, data, whole[0]))
        if is_one_call and n_whole:
            with _convolutions():
                state = run_steps_compiled(state, data, whole)
        else:
            for numbers in whole:
                state = run_step_compiled(state, data, numbers)
        if len(rest):
            state = run_step_compiled(state, data, rest)
        return state

    return run_epoch


def is_fast_in_loop(trace: Callable[[], Any]) -> bool:
    """Whether an epoch is one call, and not one call per step.

    On a CPU, XLA takes 10 times as long for convolutions in a loop, except for those that
    `convolutions_for_loops` covers. One call per step costs a small net half of its time.
    """
    if jax.default_backend() != "cpu":
        return True
    with convolutions_for_loops() as seen:
        trace()
    return not seen.is_other


def _convolutions() -> Any:
    return convolutions_for_loops() if jax.default_backend() == "cpu" else nullcontext()
