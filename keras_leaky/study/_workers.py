"""Whether a study trains in worker processes: decided once, before the first trial."""

import importlib.util
import math
from collections.abc import Sequence

import keras

from keras_leaky.study._estimates import SECONDS_A_TRAINING, estimate_epoch_seconds
from keras_leaky.study._folder import StudyContent
from keras_leaky.study._prepared import Prepared
from keras_leaky.study.environment import count_threads
from keras_leaky.tuning._lanes.workplace import Workplace

_SECONDS_TO_START = 15
_PROCESS_BYTES = 1.5e9


def choose_workers(studies: Sequence[Prepared], max_seconds: float | None) -> tuple[int, str]:
    """How many worker processes to start, 0 for none, and the reason, for a person.

    A study that is resumed keeps its choice, as the number of threads changes the last bits.
    """
    for one in studies:
        if one.study.is_resumed:
            return _choice_of(one.study.folder.read_study())
    n_cores = count_threads()
    if n_cores < 2:
        return 0, "one core"
    reason = _reason_to_stay(studies)
    if reason:
        return 0, reason
    seconds = [_estimate_seconds(one) for one in studies]
    known = [one for one in seconds if one is not None]
    if len(known) < len(seconds):
        return 0, "the number of steps of an epoch is unknown"
    total = min(sum(known), max_seconds or math.inf)
    # Two processes of one thread train about 1.3 times as fast as one of two, with a small net 2.
    saved = total * (1 - 1.5 / n_cores) - _SECONDS_TO_START
    if saved <= 0:
        return 0, f"about {_duration(total)} of training is too little for workers"
    n_runs = sum(one.n_runs_and_epochs()[0] for one in studies)
    n_workers = min(n_cores, n_runs // 2, _most_for_memory(studies[0]))
    if n_workers < 2:
        return 0, "there is memory or work for only one process"
    return n_workers, f"one process would train for about {_duration(total)}"


def _choice_of(stored: StudyContent) -> tuple[int, str]:
    reason = "the study began this way"
    if stored.workers:
        return stored.workers, reason
    if stored.fingerprint["n_threads"] == count_threads():
        return 0, reason
    return count_threads(), reason  # it began on a cluster


def _reason_to_stay(studies: Sequence[Prepared]) -> str:
    """Why this process must train; empty if workers may."""
    if keras.backend.backend() == "torch":
        return "it is not known whether workers pay with PyTorch"
    if any(not name.lower().startswith("cpu") for name in keras.distribution.list_devices()):
        return "one process uses the accelerator"
    if importlib.util.find_spec("distributed") is None:
        return "Dask is not installed"
    first = studies[0]
    for callback in first.callbacks:
        if not type(callback).__module__.startswith("keras.") or isinstance(
            callback, keras.callbacks.TensorBoard
        ):
            return f"the callback {type(callback).__name__} may need this process"
    try:
        Workplace(first.data.fit_args, first.fit_kwargs).check_can_travel(
            build=[one.study.build for one in studies], callbacks=first.callbacks
        )
    except ValueError:
        return "the data or `build` cannot be pickled"
    return ""


def _estimate_seconds(prepared: Prepared) -> float | None:
    """Seconds of all trainings in this process; None if unknown."""
    place = Workplace(prepared.data.fit_args, prepared.fit_kwargs)
    epoch = estimate_epoch_seconds(prepared.probes, place, count_threads())
    if epoch is None:
        return None
    n_runs, n_epochs = prepared.n_runs_and_epochs()
    return n_epochs * epoch + n_runs * SECONDS_A_TRAINING


def _most_for_memory(prepared: Prepared) -> int:
    from distributed.system import MEMORY_LIMIT

    arrays = keras.tree.flatten(list(prepared.data.parts.values()))
    n_bytes = sum(getattr(array, "nbytes", 0) for array in arrays)
    return int(0.9 * MEMORY_LIMIT / (_PROCESS_BYTES + 3 * n_bytes))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
