"""Seeds for every purpose, from the seed of the study."""

import numpy as np

SEARCH, FINALISTS, FINAL = range(3)


def derive_seed(seed: int, purpose: int, index: int = 0) -> int:
    """A seed for one purpose, from the study's seed; never 0, which KerasTuner would ignore."""
    state = np.random.SeedSequence([seed, purpose, index]).generate_state(1)[0]
    return int(state) % (2**31 - 2) + 1
