"""Training many new models in few compiled programs."""

import gc
import hashlib
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_leaky.layers._nested import layers_of
from keras_leaky.layers.slope import FixedRectifier, variable_slopes
from keras_leaky.tuning._engine.before_steps import BeforeSteps
from keras_leaky.tuning._engine.compiled_fit import build_metrics, compiled_fit
from keras_leaky.tuning._engine.coverage import (
    describe_labels,
    may_change_model,
    reason_for_fit,
)
from keras_leaky.tuning._engine.device_data import DeviceData
from keras_leaky.tuning._engine.fit_arguments import FitArguments
from keras_leaky.tuning._engine.new_session import in_new_session
from keras_leaky.tuning._engine.programs import (
    Program,
    ProgramCache,
    build_optimizer,
    epochs_module,
    numbers_of,
    set_numbers,
    share_weights,
)
from keras_leaky.tuning._engine.seeding import draws_by_itself, own_generator, set_seed
from keras_leaky.tuning._engine.structure import Watched

_logger = logging.getLogger(__name__)
_N_PROGRAMS = 8
_N_BUILDS_A_COLLECTION = 25


class Trainer:
    """Builds models from seeds and trains those of one structure in one compiled program.

    `ReusingTuner` trains its trials with it. Use it for other trainings: the best point with other
    seeds, or your own loop over learning rates.

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
    >>> models = []
    >>> for alpha in (0.01, 0.1, 0.3):  # compiles once
    ...     model = trainer.build(lambda: build(alpha), seed=1)
    ...     model, history = trainer.fit(model, x, x[:, 0], seed=1, epochs=3, verbose=0)
    ...     models.append(model)
    """

    def __init__(self) -> None:
        self._programs = ProgramCache(_N_PROGRAMS)
        module = epochs_module()
        self._data: Any = DeviceData(module) if module else None
        self._n_builds = 0
        self._seeds_fully = False
        self._reasons_told: set[str] = set()
        # Seed and digests of the first model, () once compared.
        self._first_draw: tuple[int, dict[str, bytes]] | tuple[()] | None = None

    def build(self, build: Callable[[], keras.Model], seed: int) -> keras.Model:
        """Calls `build()` with all its random draws made from `seed`, and returns the model.

        The slopes of this package's layers are variables in it. For a model to keep, see `copy`.

        Args:
            build: Function without arguments that returns a compiled `keras.Model`.
            seed: int in [0, 2**31).
        """
        self._n_builds += 1
        if self._n_builds % _N_BUILDS_A_COLLECTION == 0:
            gc.collect()

        def build_with_variables() -> keras.Model:
            with variable_slopes(), own_generator(seed):
                model = build()
                if isinstance(model, keras.Model) and model.built and model.compiled:
                    build_optimizer(model)  # here, because names start at the beginning
                return model

        set_seed(seed, fully=self._seeds_fully)
        model = in_new_session(build_with_variables)
        if not self._seeds_fully and draws_by_itself(model):
            self._seeds_fully = True
            return self.build(build, seed)
        self._compare_draws(model, seed)
        return model

    def _compare_draws(self, model: keras.Model, seed: int) -> None:
        """Warns once if models of two seeds start from the same weights."""
        if self._first_draw is None:
            self._first_draw = seed, _digests_of_kernels(model)
        elif self._first_draw and self._first_draw[0] != seed:
            first = self._first_draw[1]
            digests = _digests_of_kernels(model)
            same = [path for path, digest in digests.items() if first.get(path) == digest]
            self._first_draw = ()
            if same:
                _logger.warning(
                    "`build` returned models with the same weights for two seeds: %s. They seem "
                    "to come from a model outside of `build`. Make these layers inside of "
                    "`build`, or expect smaller differences between seeds.",
                    ", ".join(same[:3]) + (", ..." if len(same) > 3 else ""),
                )

    def fit(
        self,
        model: keras.Model,
        *args: Any,
        seed: int,
        own_fit: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> tuple[keras.Model, Any]:
        """Trains `model` like `model.fit(*args, **kwargs)`, in a compiled program that is reused.

        The numbers of `model` are loaded into a compiled model of the same structure, trained
        there, and copied back. The returned models are yours: later trainings do not change them.

        Args:
            model: From `build`.
            *args: As for `keras.Model.fit`. Arrays stay on the device for the next `fit` with the
                same arrays; see `forget_data`.
            seed: int in [0, 2**31). The order of the data follows from it.
            own_fit: Function `(model, *args, **kwargs)` to call instead of `model.fit`.
            **kwargs: As for `keras.Model.fit`.

        Returns:
            `model`, trained, and the `keras.callbacks.History`, or what `own_fit` returned.
        """
        program = self._programs.find(model, describe_labels(FitArguments.of(args, kwargs)))
        owner = program.model
        if owner is not model and share_weights(owner, model):
            program, owner = Program(model), model
        if owner is model:
            return self._train(program, args, seed, own_fit, kwargs, is_given_away=True)
        kept = numbers_of(owner)  # of a model that an earlier `fit` returned
        program.load(model)
        try:
            _, result = self._train(program, args, seed, own_fit, kwargs, is_given_away=True)
        finally:
            set_numbers(model, numbers_of(owner))
            set_numbers(owner, kept)
        if isinstance(result, keras.callbacks.History):
            result.set_model(model)
        return model, result

    def train(
        self,
        model: keras.Model,
        *args: Any,
        seed: int,
        own_fit: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> tuple[keras.Model, Any]:
        """Like `fit`, but without a copy: it returns the model that was compiled first.

        The next training in the same program changes this model. Use it in loops that are done with
        a model before they train the next one.
        """
        program = self._programs.find(model, describe_labels(FitArguments.of(args, kwargs)))
        if program.model is not model:
            program.load(model)
        return self._train(program, args, seed, own_fit, kwargs, is_given_away=False)

    def _train(
        self,
        program: Program,
        args: Sequence[Any],
        seed: int,
        own_fit: Callable[..., Any] | None,
        kwargs: dict[str, Any],
        is_given_away: bool,
    ) -> tuple[keras.Model, Any]:
        model = program.model
        callbacks = keras.tree.flatten(kwargs.get("callbacks") or [])
        if own_fit is not None:
            self._compile_fit_of(model, program, seed)
        program.begin(own_fit is not None or is_given_away or any(map(may_change_model, callbacks)))
        program.is_given_away |= is_given_away
        try:
            if own_fit is None:
                return model, self._fit(program, args, kwargs, seed)
            with own_generator(seed):
                keras.utils.set_random_seed(seed)
                return model, own_fit(model, *args, **kwargs)
        except BaseException:
            program.is_reusable = False  # it may have stopped anywhere
            raise
        finally:
            program.end()
            self._programs.drop_if_spent(program)
            if own_fit is not None:
                del model.fit

    def _compile_fit_of(self, model: Any, program: Program, seed: int) -> None:
        """Compiles the `model.fit` that a `HyperModel.fit` calls, if possible."""
        n_fits = itertools.count()

        def fit(_: Any, *args: Any, **kwargs: Any) -> Any:
            return self._fit(program, args, kwargs, seed, next(n_fits))

        model.fit = Watched(model.fit, fit)

    def _fit(
        self,
        program: Program,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        seed: int,
        n_fits: int = 0,
    ) -> Any:
        """`fit`, with one call per epoch if that is covered.

        Args:
            n_fits: How often this training has called it before: a `HyperModel.fit` may call it for
                each epoch, and each epoch needs another order of the data.
        """
        model = program.model
        arguments = FitArguments.of(args, kwargs)
        if not n_fits:
            program.check_labels(describe_labels(arguments))
        reason = reason_for_fit(model, arguments)
        reason = reason or build_metrics(model, arguments, self._data)
        if reason is None:
            if program.has_users_code and not program.is_compiled:
                # It may draw from a generator of the backend. Then the program is used once.
                keras.utils.set_random_seed(seed)
            order_seed = [seed, n_fits] if n_fits else [seed]
            return compiled_fit(program, arguments, self._data, order_seed)
        self._tell(reason)
        callbacks = [*(kwargs.pop("callbacks", None) or []), BeforeSteps(program, seed + n_fits)]
        with own_generator(seed):
            keras.utils.set_random_seed(seed)  # shuffles
            return type(model).fit(model, *args, callbacks=callbacks, **kwargs)

    def forget_data(self) -> None:
        """Frees the data on the device. Call it after you changed arrays in place."""
        if self._data is not None:
            self._data.forget()

    def copy(self, trained: keras.Model, build: Callable[[], keras.Model]) -> keras.Model:
        """Builds a model to keep: from `build()`, with the weights of a trained model.

        Args:
            trained: A model that `fit` returned.
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

    def _tell(self, reason: str) -> None:
        if reason not in self._reasons_told:
            self._reasons_told.add(reason)
            _logger.warning("Trials are trained by `fit`, batch by batch, because %s.", reason)


def _digests_of_kernels(model: keras.Model) -> dict[str, bytes]:
    """Digests of a model's trainable kernels that do not start from a constant, by path."""
    digests = {}
    for variable in getattr(model, "trainable_variables", ()):
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        if value.ndim > 1 and (value != value.flat[0]).any():
            digests[variable.path] = hashlib.blake2b(value.tobytes()).digest()
    return digests
