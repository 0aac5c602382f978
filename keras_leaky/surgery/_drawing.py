"""Other draws by the same initializers."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_leaky.surgery._configs import Hosts, rewrite


def new_seeds(node: Any, seed: int) -> Any:
    """A serialized layer with other int seeds in its initializers.

    Equal seeds stay equal, and others different. An initializer without a seed takes one from
    Python's generator when it is made, so that it stays without.
    """

    def change_seed(part: Any, key: str, hosts: Hosts) -> Any:
        if key == "seed" and isinstance(part, int):
            return int(np.random.SeedSequence([seed, part]).generate_state(1)[0]) % 2**31
        return part

    def change_initializer(part: Any, key: str, hosts: Hosts) -> Any:
        is_initializer = isinstance(part, dict) and key.endswith("initializer")
        return rewrite(part, change_seed) if is_initializer else part

    return rewrite(node, change_initializer)


@contextlib.contextmanager
def own_draws(seed: int | None) -> Iterator[None]:
    """Inside, `seed_draws` may be called; afterwards Python's generator is where it was.

    With None as `seed` nothing happens.
    """
    state = random.getstate()
    try:
        yield
    finally:
        if seed is not None:
            random.setstate(state)


def seed_draws(seed: int | None, name: str) -> None:
    """Makes the draws of a layer depend on its name and not on the layers before it.

    Keras takes all seeds that it is not given from Python's generator.
    """
    if seed is not None:
        random.seed(f"{seed}/{name}")
