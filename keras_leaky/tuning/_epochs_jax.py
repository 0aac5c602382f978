"""JAX: an epoch as one call of a compiled function, over data on the device."""

# pyright: reportMissingImports=false

from functools import partial

import jax

from keras_leaky.tuning.data import map_arrays, n_samples_of


class Epochs:
    """Epochs of a model's own `train_step` and `test_step`, as `fit` and `evaluate` run them.

    `data` is `(x, y, sample_weight)` of device arrays, nested as the model takes them. Metrics
    accumulate in the model, which has to be reset before an epoch.
    """

    def __init__(self, model):
        self._model = model
        compiled = partial(jax.jit, static_argnames="batch_size", donate_argnames="state")
        self._train = compiled(partial(_run_epoch, model.train_step))
        self._test = compiled(partial(_run_epoch, model.test_step))

    def train(self, data, order, batch_size):
        """Trains on the samples that `order` numbers, `batch_size` a step."""
        model = self._model
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        _run(self._train, variables, data, order, batch_size)

    def test(self, data, batch_size):
        model = self._model
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.metrics_variables,
        )
        order = jax.numpy.arange(n_samples_of(data))
        _run(self._test, variables, data, order, batch_size)


def to_device(array):
    return jax.device_put(array)


def _run(epoch, variables, data, order, batch_size):
    state = [[v.value for v in group] for group in variables]
    state = epoch(state=state, data=data, order=jax.numpy.asarray(order), batch_size=batch_size)
    for group, values in zip(variables, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)


def _run_epoch(step, state, data, order, batch_size):
    n_whole = len(order) // batch_size
    whole, rest = order[: n_whole * batch_size], order[n_whole * batch_size :]

    def run_step(state, numbers):
        batch = map_arrays(lambda x: x[numbers], data)
        _, state = step(tuple(state), batch)
        return [list(group) for group in state], None

    if n_whole:
        state, _ = jax.lax.scan(run_step, state, whole.reshape(n_whole, batch_size))
    if len(rest):
        state, _ = run_step(state, rest)
    return state
