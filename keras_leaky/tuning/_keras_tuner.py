"""Everything private of KerasTuner that this package touches, each with the reason.

Seen in keras-tuner 1.4.8. Methods that a subclass overrides stand in the subclass:
`_populate_initial_space` and `_build_hypermodel`.
"""

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import keras_tuner

from keras_leaky.storage import WriteError

Trial = keras_tuner.engine.trial.Trial
TrialStatus = keras_tuner.engine.trial.TrialStatus
_N_COLLISIONS = 100  # proposals in a row that were tried before, until a search ends


class FatalWriteError(keras_tuner.errors.FatalError, WriteError):
    """Ends the search; KerasTuner records an OSError in a trial as a failure and continues."""


def record_values(oracle: keras_tuner.Oracle, trial: Trial) -> None:
    """Tells an oracle the values of a trial, so that it does not propose them again.

    `create_trial` does so for a new trial. KerasTuner has no public way for a trial that was read
    or made here.
    """
    oracle._record_values(trial)


def propose_by(oracle: Any, propose: Callable[[Any, int], dict[str, Any] | None]) -> None:
    """Makes an oracle take points from `propose(space, index)` instead of random draws.

    This covers every trial of a random search, the first points of a Bayesian search, and the first
    rungs of Hyperband. None ends the search. Nothing public reaches all three. The index goes into
    `_seed_state`, which the oracle saves, so that a resumed search continues with the next index.
    """

    def draw() -> dict[str, Any] | None:
        for _ in range(_N_COLLISIONS):
            values = propose(oracle.hyperparameters.space, oracle._seed_state - oracle.seed)
            oracle._seed_state += 1
            if values is None or not oracle._duplicate(values):
                return values
        return None

    oracle._random_values = draw


def replace_files(
    oracle: Any,
    save: Callable[[], None],
    save_trial: Callable[[Trial], None],
    reload: Callable[[], bool],
) -> None:
    """Replaces the methods with which an oracle writes and reads.

    KerasTuner's write in place, and stop at the first file that they cannot read.
    """
    oracle.save, oracle._save_trial, oracle.reload = save, save_trial, reload


def build_model(
    hypermodel: Any, optimizer: Any, loss: Any, metrics: Any, hyperparameters: Any
) -> Any:
    """The model that a `keras_tuner.Tuner` with these arguments builds and compiles.

    It uses a tuner without an oracle and files: the method needs neither.
    """
    tuner = object.__new__(keras_tuner.Tuner)
    tuner.hypermodel, tuner.distribution_strategy = hypermodel, None
    tuner.optimizer, tuner.loss, tuner.metrics = optimizer, loss, metrics
    return tuner._build_hypermodel(hyperparameters)


def copy_callbacks(tuner: keras_tuner.Tuner, callbacks: Any) -> list[Any]:
    """Copies for one training, or KerasTuner's error about a callback that cannot be copied."""
    return list(tuner._deepcopy_callbacks(callbacks))


def configure_tensorboard(tuner: Any, callbacks: Any, trial: Trial, execution: int) -> None:
    """Gives TensorBoard callbacks the folder of a trial. It imports tensorboard."""
    tuner._configure_tensorboard_dir(callbacks, trial, execution)


def checkpoint_paths(tuner: Any, trial_id: str) -> tuple[str, str]:
    """Where a tuner, or a subclass that overrides it, looks for weights and build config."""
    return str(tuner._get_checkpoint_fname(trial_id)), str(tuner._get_build_config_fname(trial_id))


def tuner_path(tuner: Any) -> str:
    """The file of a tuner's state."""
    return str(tuner._get_tuner_fname())


def run_and_record(tuner: keras_tuner.Tuner, trial: Trial, *args: Any, **kwargs: Any) -> None:
    """Calls `run_trial` and tells the oracle the results or the error.

    KerasTuner prints a traceback for every failed trial, even if only a loss became NaN, which is
    not a program error. Here only unexpected errors are printed.
    """
    # A constant of a private module, and there is no other way to reach it.
    config: Any = sys.modules[keras_tuner.Tuner.__bases__[0].__module__].config_module
    before, config.DEBUG = config.DEBUG, False
    try:
        tuner._try_run_and_update_trial(trial, *args, **kwargs)
    finally:
        config.DEBUG = before
    if config.DEBUG and trial.status == TrialStatus.INVALID:
        print(trial.message, file=sys.stderr)


def check_results(results: Any, objective: keras_tuner.Objective) -> None:
    """Raises KerasTuner's error if a `HyperModel.fit` may not return these results."""
    # In a private module, and there is no other way to reach it.
    utils = sys.modules[keras_tuner.Tuner.__module__].tuner_utils
    utils.validate_trial_results(results, objective, "HyperModel.fit()")


def count_no_failures(oracle: Any) -> None:
    """Stops an oracle from ending a search after failures in a row: `Crashes` does that.

    KerasTuner counts trials that diverged as well, ends the search without a reason, and goes
    through all trials each time.
    """
    oracle._check_consecutive_failures = lambda: None


def release_after_errors(oracle: keras_tuner.Oracle) -> None:
    """Makes the methods of `oracle` give back its lock also when they raise.

    KerasTuner's `synchronized` does not: after an error, such as that of a full disk, every call
    from another thread would wait forever.
    """
    # The locks are in a private module, and there is no other way to reach them.
    module = sys.modules[keras_tuner.Oracle.__module__]

    def guard(method: Any) -> Any:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            thread = threading.current_thread().name
            was_held = module.THREADS[oracle] == thread
            try:
                return method(*args, **kwargs)
            except BaseException:
                if not was_held and module.THREADS[oracle] == thread:
                    module.THREADS[oracle] = None
                    module.LOCKS[oracle].release()
                raise

        return call

    for name in ("create_trial", "update_trial", "end_trial"):
        setattr(oracle, name, guard(getattr(oracle, name)))
