"""`fit` with an epoch as one compiled call."""

from typing import Any

import keras
import numpy as np

from keras_leaky.tuning.data import map_arrays, n_samples_of


def compiled_fit(program, arguments, data, seed):
    """Trains as `fit(**arguments)` of the program's model does.

    Where `fit` would shuffle, an epoch has the order that `seed` and its number give. The losses of
    single outputs weigh a smaller last batch by its size, as the loss does; those of `fit` do not.

    Args:
        program: `Program` with the numbers to start from.
        arguments: All arguments of `fit` by name. `reason_for_fit` has found them covered.
        data: `DeviceData`.
        seed: int >= 0.

    Returns:
        The `keras.callbacks.History`.
    """
    model = program.model
    training, validation = data.place(arguments)
    batch_size = arguments["batch_size"] or 32
    n_samples, n_epochs = n_samples_of(training), arguments["epochs"]
    if not program.is_prepared:
        _build_loss_and_metrics(model, training)
        program.is_prepared = True

    params = {
        "verbose": arguments["verbose"],
        "epochs": n_epochs,
        "steps": -(-n_samples // batch_size),
    }
    callbacks = keras.callbacks.CallbackList(
        arguments["callbacks"], add_history=True, model=model, **params
    )
    progress = keras.callbacks.ProgbarLogger()
    progress.set_params(params)
    model.stop_training = False
    callbacks.on_train_begin()
    logs = {}
    for epoch in range(arguments["initial_epoch"], n_epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        progress.on_epoch_begin(epoch)
        order = np.arange(n_samples)
        if arguments["shuffle"]:
            order = np.random.default_rng([seed, epoch]).permutation(n_samples)
        program.epochs.train(training, order, batch_size)
        logs = _results(model)
        if validation and (epoch + 1) % arguments["validation_freq"] == 0:
            callbacks.on_test_begin()
            model.reset_metrics()
            program.epochs.test(validation, arguments["validation_batch_size"] or batch_size)
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


def _build_loss_and_metrics(model, data):
    """Makes the variables of metrics, which a compiled function cannot, and forgets the values."""
    sample: Any = map_arrays(lambda a: a[:1], data)
    x, y, sample_weight = sample
    y_pred = keras.tree.map_structure(
        lambda spec: keras.ops.zeros((1, *spec.shape[1:]), spec.dtype), _output_spec(model, x)
    )
    model.compute_loss(x, y, y_pred, sample_weight)
    model.compute_metrics(x, y, y_pred, sample_weight)
    model.reset_metrics()


def _output_spec(model, x):
    def spec(a):
        return keras.KerasTensor(a.shape, keras.backend.standardize_dtype(a.dtype))

    return model.compute_output_spec(keras.tree.map_structure(spec, x))


def _results(model):
    """The metrics so far as floats, those of several outputs side by side, sorted as in `fit`."""
    results = {}
    for name, value in sorted(model.get_metrics_result().items()):
        results.update(value if isinstance(value, dict) else {name: value})
    return {name: float(value) for name, value in results.items()}
