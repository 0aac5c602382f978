"""A training with a fraction of the steps that `fit` was asked for."""

from collections.abc import Sequence
from typing import Any

from keras_leaky.tuning._engine.coverage import count_steps
from keras_leaky.tuning._engine.fit_arguments import FitArguments

FRACTION = "tuner/fraction"  # key of the fraction of the steps, among the values of a trial


def shorten_fit(
    args: Sequence[Any], kwargs: dict[str, Any], fraction: float
) -> tuple[dict[str, Any], float]:
    """Arguments of `fit` for a training with about `fraction` of the steps.

    It has fewer epochs; if less than one would be left, one epoch of fewer steps.

    Args:
        args, kwargs: Arguments of `fit` for the full training.
        fraction: In (0, 1].

    Returns:
        `kwargs` with other `epochs` and `steps_per_epoch`, and the resulting fraction.

    Raises:
        ValueError: If it is less than an epoch, and the length of the data is not known.
    """
    arguments = FitArguments.of(args, kwargs)
    first, until = arguments.initial_epoch, arguments.epochs
    full = until - first
    wanted = fraction * full * (1 + 1e-9)  # a third of 3 epochs is 1
    if full < 1 or wanted >= 1:
        n_epochs = min(int(wanted), full)
        return {**kwargs, "epochs": first + n_epochs}, n_epochs / max(full, 1)
    n_steps = arguments.steps_per_epoch or count_steps(arguments)
    if n_steps is None:
        raise ValueError(
            f"`steps_per_epoch` must be given, or more `epochs`, to train with {fraction:.3g} of "
            f"the steps: the data do not tell how many steps they have. Received: epochs={until}"
        )
    n_short = max(1, round(wanted * n_steps))
    kwargs = {**kwargs, "epochs": first + 1, "steps_per_epoch": n_short}
    return kwargs, n_short / (full * n_steps)
