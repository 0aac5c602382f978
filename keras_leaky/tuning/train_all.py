"""Many trainings without a search: every point from every seed."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from keras_leaky.tuning._lanes.local_workers import local_workers
from keras_leaky.tuning._lanes.scheduler import Job, open_lanes, run_jobs
from keras_leaky.tuning._lanes.training import Trained, TrainingWork
from keras_leaky.tuning._lanes.worker_outcome import Finished, WorkerLostError
from keras_leaky.tuning._lanes.workplace import Workplace


def train_all(
    build: Callable[[Any], keras.Model],
    points: Iterable[Any],
    *fit_args: Any,
    seeds: Sequence[int] = (0,),
    examine: Callable[[keras.Model], Any] | None = None,
    workers: int = 0,
    client: Any = None,
    retries: int = 2,
    timeout: float | None = None,
    verbose: int = 1,
    **fit_kwargs: Any,
) -> list[Trained]:
    """Trains the model of every point from every seed, in programs that are compiled once.

    Use it for a map of alpha and learning rate, or your own comparison. Trainings of one seed see
    the same order of the data and the same unscaled initial draws. A training ends if its loss is
    not finite; the others continue.

    Args:
        build: Function from a point to a compiled model. As for `ReusingTuner`, models that differ
            only in numbers share a program.
        points: Anything that `build` takes, such as dicts of alpha and learning rate.
        *fit_args: As for `keras.Model.fit`. You can pass a function without arguments instead of an
            argument: it is called once on each worker.
        seeds: Ints in [0, 2**31), each once.
        examine: Function of the trained model, for example to evaluate it on test data. It runs in
            the process that trained the model. The next point reuses the model object.
        workers: int >= 0. Number of processes of one thread each on this machine; 0 trains in this
            process.
        client: `distributed.Client` instead of `workers`.
        retries: int >= 0. How often a training is repeated after its worker was lost.
        timeout: Seconds after which a worker counts as hung, or None.
        verbose: 0, or 1 for a progress bar over the trainings.
        **fit_kwargs: As for `keras.Model.fit`. Callbacks are copied for each training.

    Returns:
        One `Trained` per point and seed, in order: all seeds of the first point, then all seeds of
        the next.

    Raises:
        ValueError: If `seeds` is empty or has one twice, if `workers` and `client` are both given,
            or if workers need an object that cannot be pickled.
        SchedulerLostError: If the connection to the Dask scheduler is lost.

    Example:

    >>> import keras, numpy as np
    >>> from keras_leaky.layers import LeakyReLU
    >>> from keras_leaky.tuning import train_all
    >>> def build(alpha):
    ...     layers = [keras.Input((4,)), keras.layers.Dense(8), LeakyReLU(alpha)]
    ...     model = keras.Sequential([*layers, keras.layers.Dense(1)])
    ...     model.compile("adam", "mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(64, 4))
    >>> trained = train_all(build, [0.01, 0.3], x, x[:, 0], seeds=[1, 2], epochs=2, verbose=0)
    >>> [(one.point, one.seed, len(one.history["loss"])) for one in trained]
    [(0.01, 1, 2), (0.01, 2, 2), (0.3, 1, 2), (0.3, 2, 2)]
    """
    if not len(seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"`seeds` must hold at least one int, each once. Received: {seeds=}")
    if workers and client is not None:
        raise ValueError(f"`workers` must be left out if a `client` is given. Received: {workers=}")
    fit_kwargs = {**fit_kwargs, "verbose": 0}
    callbacks = fit_kwargs.pop("callbacks", None)
    place = Workplace(fit_args, fit_kwargs)
    work = TrainingWork(place, build, callbacks, _Examine(examine) if examine else None)
    pairs = [(point, seed) for point in points for seed in seeds]
    bar = keras.utils.Progbar(len(pairs), unit_name="training") if verbose and pairs else None
    with contextlib.ExitStack() as stack:
        if workers:
            client = stack.enter_context(local_workers(workers))
        if client is not None:
            place.check_can_travel(build=build, examine=examine, callbacks=callbacks)
        source = _TrainingSource(work, pairs, bar)
        lanes = stack.enter_context(open_lanes([source], client, retries=retries, timeout=timeout))
        run_jobs([source], lanes)
    return [source.trained[number] for number in range(len(pairs))]


@dataclasses.dataclass(frozen=True)
class _Examine:
    """`examine` of the model alone."""

    function: Callable[[keras.Model], Any]

    def __call__(self, model: keras.Model, point: Any, history: Any) -> Any:
        return self.function(model)


class _TrainingSource:
    """Trainings as jobs for lanes."""

    def __init__(self, work: TrainingWork, pairs: Sequence[tuple[Any, int]], bar: Any) -> None:
        self.work = work
        self.trained: dict[Any, Trained] = {}  # by number
        self._pairs, self._bar, self._n_begun = pairs, bar, 0

    @property
    def is_done(self) -> bool:
        return len(self.trained) == len(self._pairs)

    def next_job(self) -> Job | None:
        if self._n_begun == len(self._pairs):
            return None
        self._n_begun += 1
        return Job(self._n_begun - 1, self._pairs[self._n_begun - 1])

    def perform(self, job: Job) -> Trained:
        return self.work(*job.arguments)

    def record(self, job: Job, finished: Finished) -> None:
        trained = finished.value
        if isinstance(finished.error, WorkerLostError):
            point, seed = job.arguments
            trained = Trained(point, seed, {}, None, str(finished.error), 0.0)
        elif finished.error is not None:
            raise finished.error
        self.trained[job.name] = trained
        if self._bar is not None:
            self._bar.add(1)
