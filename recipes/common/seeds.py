"""Seeds for every purpose, from the seed of the run."""

import numpy as np

SEARCH_STREAM, ORACLE_STREAM, RETRAIN_STREAM = range(3)


def derive_seed(seed: int, stream: int, index: int = 0) -> int:
    """A seed for one purpose, from the run's seed; never 0, which KerasTuner would ignore."""
    state = np.random.SeedSequence([seed, stream, index]).generate_state(1)[0]
    return int(state) % (2**31 - 2) + 1
