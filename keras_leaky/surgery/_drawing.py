"""Other draws by the same initializers."""

import contextlib
import random

import numpy as np

from keras_leaky.surgery._configs import rewrite


def new_seeds(node, seed):
    """A serialized layer whose initializers have other seeds where they have ints.

    Equal seeds stay equal, and others different. An initializer without a seed takes one from
    Python's generator when it is made, so that it stays without.
    """

    def change_seed(part, key, hosts):
        if key == "seed" and isinstance(part, int):
            return int(np.random.SeedSequence([seed, part]).generate_state(1)[0]) % 2**31
        return part

    def change_initializer(part, key, hosts):
        is_initializer = isinstance(part, dict) and key.endswith("initializer")
        return rewrite(part, change_seed) if is_initializer else part

    return rewrite(node, change_initializer)


@contextlib.contextmanager
def own_draws(seed):
    """Inside, `seed_draws` may be called; afterwards Python's generator is where it was.

    With None as `seed` nothing happens.
    """
    state = random.getstate()
    try:
        yield
    finally:
        if seed is not None:
            random.setstate(state)


def seed_draws(seed, name):
    """Makes what is drawn for a layer depend on its name and not on the layers before it.

    Keras takes all seeds that it is not given from Python's generator.
    """
    if seed is not None:
        random.seed(f"{seed}/{name}")
