"""The nets of `recipes.survival`, and what is seen of their units after every epoch."""

from typing import Any

import keras
import numpy as np

from keras_leaky.diagnostics import dead_units
from keras_leaky.initializers import RectifierNormal
from keras_leaky.tuning import Trainer

N_HIDDEN, N_UNITS, BATCH_SIZE = 3, 100, 32


def build(is_normalized: bool, optimizer: str, rate: float) -> keras.Model:
    layers: list[Any] = [keras.Input((28, 28)), keras.layers.Rescaling(1 / 255)]
    layers.append(keras.layers.Flatten())
    for i in range(N_HIDDEN):
        initializer: Any = RectifierNormal("relu")
        layers.append(
            keras.layers.Dense(N_UNITS, kernel_initializer=initializer, name=f"dense_{i}")
        )
        if is_normalized:
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        layers.append(keras.layers.ReLU(name=f"relu_{i}"))
    model = keras.Sequential([*layers, keras.layers.Dense(10, kernel_initializer="lecun_normal")])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(_optimizer(optimizer, rate), loss, metrics=["accuracy"])
    return model


def _optimizer(name: str, rate: float) -> keras.optimizers.Optimizer:
    if name == "adam":
        return keras.optimizers.Adam(rate)
    return keras.optimizers.SGD(rate, momentum=0.9 if name == "momentum" else 0.0)


class Watch(keras.callbacks.Callback):
    """Looks at every unit after every epoch.

    Attributes:
        states: Whether each unit fires on the sample, (units,) an epoch.
        outputs, gradients: On the training images, (units,) an epoch: the mean output of a unit,
            and the norm of the gradient of its weights, each over the mean of its layer. 0/0 is 0.
    """

    def __init__(self, sample: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self._sample, self._x, self._y = sample, x, y
        self.states: list[np.ndarray] = []
        self.outputs: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []

    def on_epoch_end(self, epoch, logs=None):
        model: Any = self.model
        kernels = [model.get_layer(f"dense_{i}").kernel for i in range(N_HIDDEN)]
        if not all(np.isfinite(np.asarray(one)).all() for one in kernels):
            model.stop_training = True
            return
        report = dead_units(model, self._sample, batch_size=1000)
        units = [report[f"relu_{i}"] for i in range(N_HIDDEN)]
        self.states.append(np.concatenate([~one.is_dead for one in units]))
        report = dead_units(model, self._x, batch_size=2000)
        units = [report[f"relu_{i}"] for i in range(N_HIDDEN)]
        self.outputs.append(np.concatenate([one.relative_output for one in units]))
        self.gradients.append(self._relative_gradients(model, kernels))

    def _relative_gradients(self, model: Any, kernels: list[Any]) -> np.ndarray:
        import tensorflow as tf

        totals = [np.zeros(tuple(kernel.shape)) for kernel in kernels]
        values = [kernel.value for kernel in kernels]
        for first in range(0, len(self._x), 2000):
            part = slice(first, first + 2000)
            with tf.GradientTape() as tape:
                outputs = model(self._x[part], training=False)
                loss = model.compute_loss(self._x[part], self._y[part], outputs)
            found: Any = tape.gradient(loss, values)
            for total, gradient in zip(totals, found, strict=True):
                total += gradient.numpy()
        norms = [np.linalg.norm(total, axis=0) for total in totals]
        return np.concatenate([norm / max(norm.mean(), 1e-30) for norm in norms])


def observe(
    trainer: Trainer, net: str, optimizer: str, rate: float, seed: int, parts: Any, n_epochs: int
) -> list[dict[str, Any]]:
    """Trains one net; a row a unit, or one row without states if its weights are not finite."""
    watch = Watch(parts.x_validation[:1000], *parts.train)
    model = trainer.build(lambda: build(net == "batch_norm", optimizer, rate), seed)
    _, history = trainer.train(
        model, *parts.train, seed=seed, validation_data=parts.validation, epochs=n_epochs,
        batch_size=BATCH_SIZE, callbacks=[watch], verbose=0,
    )  # fmt: skip
    own = {"net": net, "optimizer": optimizer, "learning_rate": rate, "seed": seed}
    own["val_accuracy"] = round(history.history["val_accuracy"][-1], 4)
    if len(watch.states) < n_epochs:
        return [{**own, "val_accuracy": ""}]
    states = np.stack(watch.states, axis=1)  # (units, epochs)
    rows = []
    for unit, of_unit in enumerate(states):
        row = {
            **own,
            "layer": unit // N_UNITS + 1,
            "unit": unit % N_UNITS,
            "states": "".join("01"[int(is_active)] for is_active in of_unit),
        }
        if not of_unit.all():
            death = int(np.argmin(of_unit))
            row["death_epoch"] = death + 1
            row["output_at_death"] = f"{watch.outputs[death][unit]:.3g}"
            row["gradient_at_death"] = f"{watch.gradients[death][unit]:.3g}"
        rows.append(row)
    return rows
