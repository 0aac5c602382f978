"""`fit` with an epoch as one compiled call."""

from typing import Any

import keras
import numpy as np

from keras_leaky.tuning._engine.device_data import DeviceData
from keras_leaky.tuning._engine.fit_arguments import FitArguments
from keras_leaky.tuning._engine.programs import Program


def build_metrics(model: Any, arguments: FitArguments, data: DeviceData) -> str | None:
    """Makes the variables of metrics, because a compiled function cannot make them.

    Returns:
        Why this training needs `fit`, or None.
    """
    training, _ = data.place(arguments)
    batch = data.batch_of(training, arguments.batch_size or 32)
    try:
        model._symbolic_build(data_batch=batch)
    except Exception:  # `fit` reports the problem, or works without the metrics
        return "its metrics cannot be built without training"
    return None


def compiled_fit(
    program: Program, arguments: FitArguments, data: DeviceData, seed: list[int]
) -> keras.callbacks.History:
    """Trains as the `fit` of the program's model does.

    If `fit` would shuffle, `seed` and the number of the epoch give the order. The losses of single
    outputs weigh a smaller last batch by its size, like the loss; the losses of `fit` do not.

    Args:
        program: `Program` with the numbers to start from, with its metrics made.
        arguments: `FitArguments` that `reason_for_fit` has found covered.
        data: `DeviceData`.
        seed: Ints >= 0.

    Returns:
        The `keras.callbacks.History`.
    """
    model = program.model
    training, validation = data.place(arguments)
    batch_size = arguments.batch_size or 32
    order, n_epochs = data.order_of(training), arguments.epochs
    program.forget_recompiled()
    program.load_metrics()

    params = {
        "verbose": arguments.verbose,
        "epochs": n_epochs,
        "steps": arguments.steps_per_epoch or data.n_batches_of(training, batch_size),
    }
    callbacks = keras.callbacks.CallbackList(
        arguments.callbacks, add_history=True, model=model, **params
    )
    progress = keras.callbacks.ProgbarLogger()
    progress.set_params(params)
    model.stop_training = False
    callbacks.on_train_begin()
    logs, is_tested = {}, False
    for epoch in range(arguments.initial_epoch, n_epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        progress.on_epoch_begin(epoch)
        if arguments.shuffle and order is not None:
            order = np.random.default_rng([*seed, epoch]).permutation(len(order))
        if epoch == arguments.initial_epoch:
            program.forget_stale_code("train_epoch")
        program.train_epoch(training, _first_of(order, arguments, batch_size), batch_size)
        logs = _results(model)
        if validation and (epoch + 1) % arguments.validation_freq == 0:
            callbacks.on_test_begin()
            model.reset_metrics()
            if not is_tested:
                program.forget_stale_code("test_epoch")
                is_tested = True
            program.test_epoch(validation, arguments.validation_batch_size or batch_size)
            results = _results(model)
            callbacks.on_test_end(results)
            logs.update({f"val_{name}": value for name, value in results.items()})
        progress.on_epoch_end(epoch, logs)
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    if n_epochs > 0:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)
    return model.history


def _first_of(order: np.ndarray | None, arguments: FitArguments, batch_size: int) -> Any:
    """The samples of the steps that an epoch has."""
    if order is None or arguments.steps_per_epoch is None:
        return order
    return order[: arguments.steps_per_epoch * batch_size]


def _results(model: Any) -> dict[str, Any]:
    """The metrics so far, side by side for several outputs, sorted as in `fit`."""
    results = {}
    for name, value in sorted(model.get_metrics_result().items()):
        results.update(value if isinstance(value, dict) else {name: value})
    return {name: _as_python(value) for name, value in results.items()}


def _as_python(value: Any) -> Any:
    """A float; a value that is not a single number, such as F1 by class, stays an array."""
    value = np.asarray(keras.ops.convert_to_numpy(value))
    return float(value) if value.size == 1 else value
