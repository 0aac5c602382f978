"""Dead units over the epochs of a training."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_leaky.diagnostics._activations import parts_of
from keras_leaky.diagnostics.dead_units import NanPreActivation, dead_units
from keras_leaky.diagnostics.report import DeadUnitReport
from keras_leaky.layers import PReLU

if TYPE_CHECKING:  # importing the pack does not import matplotlib
    from matplotlib.figure import Figure


class DeadUnitMonitor(keras.callbacks.Callback):
    """Counts dead units before the training and after epochs, and keeps the slopes of PReLU.

    The epoch's logs get `dead_fraction` and `inactive_fraction`, over the units of all activations,
    and both fractions of each layer (`dead_fraction/dense`). So `CSVLogger`, `TensorBoard` and
    `EarlyStopping(monitor="dead_fraction", mode="min")` see them if they come after this callback
    in the list. Between two measurements the logs repeat the last one. If the model has diverged,
    the fractions are NaN. `dead_units` defines the terms.

    A measurement is a forward pass over `data`. With a thousand images it takes 2 to 5 % of an
    epoch of MNIST (`python -m benchmarks.dead_units`). There are no hooks for batches, so that a
    training by `keras_leaky.tuning` stays compiled.

    Args:
        data: The sample, as for `dead_units`, but not an iterator or generator: it is read at every
            measurement. A thousand validation samples are precise enough and cost little.
        every: Epochs from one measurement to the next, at least 1. Defaults to 1.
        batch_size: As in `dead_units`. Larger batches take less time and more memory: use smaller
            ones for large images. Defaults to 1000.
        per_layer: Whether the logs also hold the fractions of each layer. A net of 50 activations
            has 100 of them. False logs only the two totals, and `reports` still has all. Defaults
            to True.

    Attributes:
        reports: Dict from the number of finished epochs to a `DeadUnitReport`, or None if the model
            had diverged; 0 is before the training. A `fit` with `initial_epoch` adds to it.
        alphas: Dict from the same numbers to a dict from the name of every PReLU to its `alpha`.

    Raises:
        ValueError: If `every` is not a whole number of at least 1, `data` is an iterator, or
            `per_layer` is neither True nor False. When the training begins, also for data and
            models that `dead_units` refuses.

    Example:

    >>> import keras, numpy as np
    >>> from keras_leaky.diagnostics import DeadUnitMonitor
    >>> x = np.random.default_rng(0).normal(size=(256, 4))
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu")])
    >>> model.compile("sgd", "mse")
    >>> monitor = DeadUnitMonitor(x)
    >>> history = model.fit(x, np.ones((256, 8)), epochs=2, callbacks=[monitor], verbose=0)
    >>> sorted(monitor.reports), len(history.history["dead_fraction"])
    ([0, 1, 2], 2)

    References:
        Maas, Hannun and Ng, 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
        Models", section 2. He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers", table 1
        (learned slopes).
    """

    def __init__(
        self, data: Any, every: int = 1, batch_size: int = 1000, per_layer: bool = True
    ) -> None:
        super().__init__()
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"`every` must be a whole number of at least 1. Received: {every=}")
        if isinstance(data, Iterator):
            raise ValueError(
                "`data` must be readable at every measurement, so not an iterator. Received: "
                f"{data=}"
            )
        if not isinstance(per_layer, bool):
            raise ValueError(f"`per_layer` must be True or False. Received: {per_layer=}")
        self.data, self.every, self.batch_size = data, every, batch_size
        self.per_layer = per_layer
        self.reports: dict[int, DeadUnitReport | None] = {}
        self.alphas: dict[int, dict[str, np.ndarray]] = {}
        self._is_new, self._logs = True, {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "DeadUnitMonitor":
        """KerasTuner copies callbacks for every trial; the sample is shared, not copied."""
        memo[id(self.data)] = self.data
        new = copy.copy(self)
        new.reports, new.alphas = copy.deepcopy((self.reports, self.alphas), memo)
        return new

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._is_new = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_new:
            self._is_new = False
            if epoch == 0:  # a resumed training keeps its record
                self.reports, self.alphas = {}, {}
            self._measure(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self._measure(epoch + 1)
        if logs is not None:
            logs.update(self._logs)

    def plot(self) -> "Figure":
        """A `matplotlib.figure.Figure`: dead and inactive fractions, and alphas, over epochs."""
        from keras_leaky.diagnostics._plots import draw_epochs

        return draw_epochs(self.reports, self.alphas)

    def _measure(self, n_epochs):
        model: Any = self.model
        try:
            report = dead_units(model, self.data, batch_size=self.batch_size)
            self._logs = _as_logs(report, self.per_layer)
        except NanPreActivation:
            report = None
            self._logs = dict.fromkeys(self._logs or _TOTALS, float("nan"))
        self.reports[n_epochs] = report
        prelus = [p for p in parts_of(model) if isinstance(p, PReLU | keras.layers.PReLU)]
        self.alphas[n_epochs] = {
            layer.name: np.array(keras.ops.convert_to_numpy(layer.alpha)) for layer in prelus
        }


_TOTALS = ("dead_fraction", "inactive_fraction")


def _as_logs(report, per_layer):
    logs = {name: getattr(report, name) for name in _TOTALS}
    for units in report if per_layer else ():
        for state in ("dead", "inactive"):
            logs[f"{state}_fraction/{units.layer}"] = units.count(state) / units.n_units
    return logs
