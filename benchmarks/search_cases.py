"""The nets, data and search space of `benchmarks.search`, and the Keras model of a trial."""

from dataclasses import dataclass

import keras
import numpy as np

from benchmarks.measuring import refuse
from keras_leaky.layers import LeakyReLU
from keras_leaky.study import InputError
from recipes.datasets import load, split

layers = keras.layers


@dataclass
class Case:
    dataset: str
    image_shape: tuple[int, ...]
    filters: tuple[int, ...]
    n_hidden: int
    n_training: int
    n_validation: int
    n_epochs: int


CASES = {
    "mlp-short": Case("mnist", (28, 28, 1), (), 2, 10_000, 2_000, 1),
    "cnn-short": Case("mnist", (28, 28, 1), (16, 32), 1, 10_000, 2_000, 1),
    "cnn-full": Case("mnist", (28, 28, 1), (16, 32), 1, 51_000, 9_000, 2),
    "cifar-small": Case("cifar10", (32, 32, 3), (16, 32, 64), 1, 10_000, 2_000, 1),
}
BATCH_SIZE = 250
N_UNITS = 100
N_CLASSES = 10
ALPHA = (1e-3, 0.5)  # both on a log scale
LEARNING_RATE = (1e-4, 1e-2)
SEED = 1  # KerasTuner ignores 0


def make_build(case, precision):
    """`build(hp)` as a user writes it: nothing in it is about reusing programs."""
    policy = {"dtype": precision}

    def build(hp):
        alpha = hp.Float("alpha", *ALPHA, sampling="log")
        rate = hp.Float("learning_rate", *LEARNING_RATE, sampling="log")
        net = keras.Sequential([keras.Input(case.image_shape), layers.Rescaling(1 / 255, **policy)])
        for filters in case.filters:
            net.add(layers.Conv2D(filters, 3, padding="same", **policy))
            net.add(layers.MaxPooling2D(**policy))
            net.add(LeakyReLU(alpha, **policy))
        net.add(layers.Flatten(**policy))
        for _ in range(case.n_hidden):
            net.add(layers.Dense(N_UNITS, **policy))
            net.add(LeakyReLU(alpha, **policy))
        net.add(layers.Dense(N_CLASSES, dtype="float32"))
        net.compile(
            keras.optimizers.Adam(rate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return net

    return build


def draw_data(case):
    """Random (images, labels) for training, and for validation."""

    def draw(n_images, seed):
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (n_images, *case.image_shape)).astype("uint8")
        return images, rng.integers(0, N_CLASSES, n_images)

    return draw(case.n_training, 0), draw(case.n_validation, 1)


def load_data(case, folder):
    """Real (images, labels) for training, and for validation: parts of the training images."""
    try:
        parts = split(load(case.dataset, case.dataset, folder), case.n_training)
    except InputError as error:
        refuse(str(error))
    received = len(parts.x_train), len(parts.x_validation)
    if received[0] < case.n_training or received[1] < case.n_validation:
        refuse(
            f"`--data-dir` must hold {case.n_training} images for training and "
            f"{case.n_validation} for validation in {case.dataset}.npz. Received: "
            f"{received[0]} and {received[1]}"
        )

    def prepare(x, y, n_images):
        return x[:n_images].reshape(-1, *case.image_shape), y[:n_images].astype("int64")

    return (
        prepare(parts.x_train, parts.y_train, case.n_training),
        prepare(parts.x_validation, parts.y_validation, case.n_validation),
    )
