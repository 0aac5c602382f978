"""The nets of `recipes.atlas`, and what is measured of a trained one."""

from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_leaky.diagnostics import dead_units
from keras_leaky.initializers import RectifierNormal
from keras_leaky.layers import LeakyReLU, PReLU
from recipes.atlas import PRELU
from recipes.nets import Net

N_SAMPLE = 500  # images for the count of dead units


@dataclass(frozen=True)
class Rectifier:
    """The rectifier that a `Net` expects: the layer of a slope, and its initializer."""

    slope: Any
    init: str

    def __call__(self, **kwargs: Any) -> keras.layers.Layer:
        return PReLU(**kwargs) if self.slope == PRELU else LeakyReLU(self.slope, **kwargs)

    def initializer(self) -> keras.initializers.Initializer:
        if self.init == "he":
            return RectifierNormal("relu")
        if self.slope == PRELU:
            return RectifierNormal("prelu", 0.25)
        return RectifierNormal("leaky_relu", self.slope)


def build(net: Net, init: str, point: tuple[Any, float]) -> keras.Model:
    """The model of a slope and a learning rate."""
    hp = keras_tuner.HyperParameters()
    hp.values["learning_rate"] = point[1]
    return net(hp, Rectifier(point[0], init))


@dataclass
class Examine:
    """Loss, accuracy and dead units of a trained model."""

    x: np.ndarray
    y: np.ndarray

    def __call__(self, model: keras.Model) -> dict[str, float]:
        loss, accuracy = model.evaluate(self.x, self.y, batch_size=1000, verbose=0)  # type: ignore[arg-type]
        layers = [
            one
            for one in dead_units(model, self.x[:N_SAMPLE]).to_dict()["layers"]
            if one["layer"].startswith("rectifier")
        ]
        n_units = sum(one["n_units"] for one in layers)
        return {
            "val_loss": loss,
            "val_accuracy": accuracy,
            "dead_fraction": sum(one["n_dead"] for one in layers) / n_units,
            "inactive_fraction": sum(one["n_inactive"] for one in layers) / n_units,
        }
