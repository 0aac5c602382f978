"""What has to be the same for a run to be gone on with."""

from collections.abc import Sequence
from typing import Any

import keras

from recipes.common.data import Arrays
from recipes.common.environment import n_threads
from recipes.common.errors import InputError
from recipes.common.options import RunOptions, settings
from recipes.common.run_folder import RunFolder
from recipes.common.space import Arm

# More trials or more seeds leave the finished ones as they are, and where the images come from does
# not matter: their hash says which they are. Nor does it matter on how many workers trials run.
_MAY_CHANGE = (
    *("trials", "seeds", "data", "data_dir", "workers", "scheduler", "retries", "trial_timeout"),
    *("tls_ca_file", "tls_cert", "tls_key"),
)


def make_fingerprint(options: RunOptions, arms: Sequence[Arm], arrays: Arrays) -> dict[str, Any]:
    """Everything that changes a trial's result, as JSON keeps it."""
    fingerprint = {k: v for k, v in settings(options).items() if k not in _MAY_CHANGE}
    fingerprint["objective"] = "val_accuracy, max"
    fingerprint["data_sha256"] = arrays.sha256()
    fingerprint["backend"] = keras.backend.backend()
    is_parallel = bool(options.workers or options.scheduler)
    fingerprint["n_threads"] = n_threads(default=1 if is_parallel else None)
    if arms[0].n_grid is not None:  # the points of a grid move with their number
        fingerprint["n_grid"] = arms[0].n_grid
    return fingerprint


def additions(run: RunFolder, options: RunOptions) -> list[str]:
    """What a resume will have more of than the run had, one sentence each."""
    before = run.config["options"]
    said = []
    for name, of in {"trials": "trials an arm", "seeds": "retrainings a chosen point"}.items():
        now = getattr(options, name)
        if now is not None and before.get(name) not in (None, now):
            said.append(f"Resuming with {now} {of} instead of {before[name]}.")
    return said


def check_resumable(
    run: RunFolder, now: dict[str, Any], options: RunOptions, arms: Sequence[Arm]
) -> None:
    """Refuses to mix two searches in one folder.

    Raises:
        InputError: Lists what differs, or says that fewer trials were asked for than there are.
    """
    stored = run.config["fingerprint"]
    differences = [
        f"  {name}: the run has {stored.get(name)}, this command asks for {value}"
        for name, value in now.items()
        if stored.get(name) != value
    ]
    if differences:
        raise InputError(
            f"`--resume` must keep the settings of the run in {run.path}:\n"
            + "\n".join(differences)
            + "\nLeave such flags out, bring back the same data and number of threads, or start a "
            "new run in another folder."
        )
    for arm in arms:
        n_done = sum(row.arm == arm.name for row in run.trials)
        if arm.n_trials is not None and n_done > arm.n_trials:
            raise InputError(
                f"`--trials` must not be fewer than the run has. Received: --trials "
                f"{options.trials}, but {n_done} trials of {arm.name} are finished."
            )
    n_seeds = len({row.seed for row in run.retrainings})
    if n_seeds > options.seeds:
        raise InputError(
            f"`--seeds` must not be fewer than the run has. Received: --seeds {options.seeds}, "
            f"but {n_seeds} have been retrained."
        )
