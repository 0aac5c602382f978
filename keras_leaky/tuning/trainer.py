"""Training many new models in few compiled programs."""

import gc
import logging

import keras

from keras_leaky.layers.slope import FixedRectifier, variable_slopes
from keras_leaky.tuning.callbacks import Seed
from keras_leaky.tuning.compiled_fit import compiled_fit
from keras_leaky.tuning.coverage import read_arguments, reason_for_fit
from keras_leaky.tuning.data import DeviceData
from keras_leaky.tuning.layers_of import layers_of
from keras_leaky.tuning.new_session import in_new_session
from keras_leaky.tuning.programs import ProgramCache, epochs_module
from keras_leaky.tuning.seeding import draws_by_itself, own_generator, set_seed

_logger = logging.getLogger(__name__)
_N_PROGRAMS = 8
_N_BUILDS_A_COLLECTION = 25


class Trainer:
    """Builds models from seeds and trains those of one structure in one compiled program.

    What `ReusingTuner` trains its trials with, for trainings that are no trials: the best point
    with other seeds, or a loop of your own over learning rates.

    Example:

    >>> import keras, numpy as np
    >>> from keras_leaky.layers import LeakyReLU
    >>> from keras_leaky.tuning import Trainer
    >>> def build(alpha):
    ...     layers = [keras.Input((4,)), keras.layers.Dense(8), LeakyReLU(alpha)]
    ...     model = keras.Sequential([*layers, keras.layers.Dense(1)])
    ...     model.compile("adam", "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> trainer = Trainer()
    >>> for alpha in (0.01, 0.1, 0.3):  # compiles once
    ...     model = trainer.build(lambda: build(alpha), seed=1)
    ...     model, history = trainer.fit(model, x, x[:, 0], seed=1, epochs=3, verbose=0)
    """

    def __init__(self):
        self._programs = ProgramCache(_N_PROGRAMS)
        module = epochs_module()
        self._data = DeviceData(module.to_device) if module else None
        self._n_builds = 0
        self._seeds_fully = False
        self._reasons_told = set()

    def build(self, build, seed):
        """The model that `build()` returns when everything random in it derives from `seed`.

        The slopes of this package's layers are in variables: for a model to keep see `copy`.

        Args:
            build: Function without arguments that returns a compiled `keras.Model`.
            seed: int in [0, 2**31).
        """
        self._n_builds += 1
        if self._n_builds % _N_BUILDS_A_COLLECTION == 0:
            gc.collect()

        def build_with_variables():
            with variable_slopes(), own_generator(seed):
                return build()

        set_seed(seed, fully=self._seeds_fully)
        model = in_new_session(build_with_variables)
        if not self._seeds_fully and draws_by_itself(model):
            self._seeds_fully = True
            return self.build(build, seed)
        return model

    def fit(self, model, *args, seed, own_fit=None, **kwargs):
        """Trains as `model.fit(*args, **kwargs)` does, in a program that may be compiled already.

        Args:
            model: From `build`. It must not be used afterwards.
            *args: As for `keras.Model.fit`. Arrays stay on the device for the next `fit` with
                the same ones; see `forget_data`.
            seed: int in [0, 2**31). The order of the data derives from it.
            own_fit: Function `(model, *args, **kwargs)` to call in the place of `model.fit`. Then
                nothing is compiled in advance.
            **kwargs: As for `keras.Model.fit`.

        Returns:
            The trained model, which the next `fit` may train anew from other weights, and the
            `keras.callbacks.History`, or what `own_fit` returned.
        """
        program = self._programs.load(model)
        model, arguments = program.model, None
        if own_fit is not None:
            reason = "the HyperModel has a `fit` of its own"
        else:
            arguments = read_arguments(args, kwargs)
            reason = reason_for_fit(model, arguments)
        if reason is None:
            return model, compiled_fit(program, arguments, self._data, seed)
        self._tell(reason)
        fit = own_fit or type(model).fit
        callbacks = [*(kwargs.pop("callbacks", None) or []), Seed(seed)]
        try:
            with own_generator(seed):
                keras.utils.set_random_seed(seed)  # shuffles
                return model, fit(model, *args, callbacks=callbacks, **kwargs)
        finally:
            self._programs.forget_if_changed(program)

    def forget_data(self):
        """Frees the data on the device. To be called when arrays have changed in place."""
        if self._data is not None:
            self._data.forget()

    def copy(self, trained, build):
        """The model that `build()` returns, with the weights of a trained one: one to keep.

        Args:
            trained: What `fit` returned.
            build: Function without arguments that returns a model with the same weights. Layers
                without weights may differ, and the slopes of this package's layers are numbers.

        Raises:
            ValueError: If the weights differ in number or shape.
        """
        layers = [layer for layer in layers_of(trained) if isinstance(layer, FixedRectifier)]
        slopes = {id(v) for layer in layers for v in layer.weights}
        model = in_new_session(build)
        model.set_weights(
            [keras.ops.convert_to_numpy(v) for v in trained.weights if id(v) not in slopes]
        )
        return model

    def _tell(self, reason):
        if reason not in self._reasons_told:
            self._reasons_told.add(reason)
            _logger.warning("Trials are trained by `fit`, batch by batch, because %s.", reason)
