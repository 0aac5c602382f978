"""Estimates of training time, from the net and the data.

They are not measurements: every run gets the same estimates and makes the same decisions.
"""

from collections.abc import Mapping

from keras_leaky.study._checks import Probe
from keras_leaky.tuning._lanes.workplace import Workplace

PRODUCTS_A_SECOND = 8e9  # of one core, forward and backward
SECONDS_A_STEP = 1e-3
SECONDS_A_TRAINING = 0.2  # building, loading and saving
SECONDS_A_PROGRAM = 1.0  # to compile it


def estimate_epoch_seconds(
    probes: Mapping[str, Probe], place: Workplace, n_cores: int = 2
) -> float | None:
    """Seconds of an epoch of the largest net; None if the number of steps is unknown."""
    n_steps = place.count_steps()
    if n_steps is None:
        return None
    n_examples = n_steps * (place.kwargs.get("batch_size") or 32)
    n_products = max(probe.n_products for probe in probes.values())
    return n_steps * SECONDS_A_STEP + n_examples * n_products / (PRODUCTS_A_SECOND * n_cores)
