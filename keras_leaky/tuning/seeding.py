"""Seeds for the draws of a trial."""

import functools
import inspect
import random

import keras
import numpy as np

_SEED_FOR_0 = 2**31 - 1


def accepts_seed_0(tuner_class):
    """Gives a tuner created with `seed=0`, which KerasTuner takes for none, a fixed other seed."""
    init = tuner_class.__init__
    signature = inspect.signature(init)

    @functools.wraps(init)
    def init_with_seed(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        if bound.arguments.get("seed") == 0:
            bound.arguments["seed"] = _SEED_FOR_0
        init(*bound.args, **bound.kwargs)

    tuner_class.__init__ = init_with_seed
    return tuner_class


def derive_seed(seed, execution):
    """The seed of an execution, the same for every trial."""
    return int(np.random.SeedSequence([seed, execution]).generate_state(1)[0]) % 2**31


def set_seed(seed, fully):
    """Seeds what Keras draws; `fully`, what TensorFlow's own random operations draw as well.

    Keras derives all its seeds from Python's generator. `keras.utils.set_random_seed` has
    TensorFlow also forget the kernels of compiled functions, at 0.15 s a trial.
    """
    if fully:
        keras.utils.set_random_seed(seed)
    else:
        random.seed(seed)
        np.random.seed(seed)


def draws_by_itself(model):
    """Whether parts of `model` that are neither Keras's nor ours may draw in ways of their own."""
    layers = model._flatten_layers(include_self=False)  # Keras has no public walk
    parts = [
        part
        for layer in layers
        for part in (layer, *(v for k, v in vars(layer).items() if k.endswith("_initializer")))
    ]
    return not all(_package(part) in ("keras", "keras_leaky", "builtins") for part in parts)


def _package(part):
    return type(part).__module__.split(".")[0]
