"""How long trainings take, as far as the net and the data tell.

An estimate, and not a measurement: it is the same in every run, and so is what is decided by it.
"""

PRODUCTS_A_SECOND = 8e9  # of one core, forward and backward
SECONDS_A_STEP = 1e-3
SECONDS_A_TRAINING = 0.2  # building, loading and saving
SECONDS_A_PROGRAM = 1.0  # to compile it


def estimate_epoch_seconds(
    n_products: int, n_steps: int, batch_size: int, n_cores: int = 2
) -> float:
    """Seconds of an epoch of training.

    Args:
        n_products: Multiplications of a forward pass, for one example.
    """
    n_examples = n_steps * batch_size
    return n_steps * SECONDS_A_STEP + n_examples * n_products / (PRODUCTS_A_SECOND * n_cores)
