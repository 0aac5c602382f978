"""Seeds for the draws of a trial."""

import contextlib
import functools
import inspect
import random
import threading
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any, TypeVar

import keras
import numpy as np

from keras_leaky.layers._nested import layers_of

_SEED_FOR_0 = 2**31 - 1
_one_at_a_time = threading.RLock()

TunerClass = TypeVar("TunerClass", bound=type)


def accepts_seed_0(tuner_class: TunerClass) -> TunerClass:
    """Gives a tuner with `seed=0` a fixed other seed, because KerasTuner treats 0 as no seed."""
    init = tuner_class.__init__
    signature = inspect.signature(init)

    @functools.wraps(init)
    def init_with_seed(*args: Any, **kwargs: Any) -> None:
        bound = signature.bind(*args, **kwargs)
        if bound.arguments.get("seed") == 0:
            bound.arguments["seed"] = _SEED_FOR_0
        init(*bound.args, **bound.kwargs)

    tuner_class.__init__ = init_with_seed
    return tuner_class


def derive_seed(seed: int, execution: int) -> int:
    """The seed of an execution, the same for every trial."""
    return int(np.random.SeedSequence([seed, execution]).generate_state(1)[0]) % 2**31


def set_seed(seed: int, fully: bool) -> None:
    """Seeds the draws of Keras and, if `fully`, of TensorFlow's own random operations.

    Keras derives all its seeds from Python's generator. `keras.utils.set_random_seed` would make
    TensorFlow forget the kernels of compiled functions, which costs 0.15 s per trial.
    """
    if fully:
        keras.utils.set_random_seed(seed)
    else:
        random.seed(seed)
        np.random.seed(seed)


@contextlib.contextmanager
def own_generator(seed: int) -> Iterator[None]:
    """Gives Python's `random` its own generator in this thread only.

    Keras derives all its seeds from Python's generator, which every thread of the process draws
    from: in a Dask worker so does the thread that talks to the scheduler, at any time.
    """
    generator, thread = random.Random(seed), threading.get_ident()

    def route(own: Callable[..., Any], shared: Callable[..., Any]) -> Callable[..., Any]:
        def draw(*args: Any, **kwargs: Any) -> Any:
            function = own if threading.get_ident() == thread else shared
            return function(*args, **kwargs)

        return draw

    with _one_at_a_time:
        functions = {
            name: function
            for name, function in vars(random).items()
            if not name.startswith("_")
            and isinstance(getattr(function, "__self__", None), random.Random)
        }
        for name, function in functions.items():
            setattr(random, name, route(getattr(generator, name), function))
        try:
            yield
        finally:
            for name, function in functions.items():
                setattr(random, name, function)


def draws_by_itself(model: Any) -> bool:
    """Whether parts of `model` that are neither Keras's nor ours may draw in ways of their own."""
    parts = [
        part
        for layer in layers_of(model)
        for part in (layer, *(value for name, value in vars(layer).items() if _may_draw(name)))
    ]
    return not all(_package(part) in ("keras", "keras_leaky", "builtins") for part in parts)


def _may_draw(name: str) -> bool:
    return name.endswith("_initializer") or name in ("function", "activation")


def _package(part: Any) -> str:
    owner = part if isinstance(part, FunctionType | MethodType) else type(part)
    return owner.__module__.split(".")[0]
