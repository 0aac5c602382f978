"""Six rectifiers on CIFAR-10, trained for long: a residual net, all training images, tested once.

One rate for all arms, as a search would take longer than the lent machine's minutes. The net, its
rate and its weight decay are those of David Page's ResNet-9 (DAWNBench, 2018), which reaches 94 %
on the original images in 24 epochs.
"""

import time
from functools import partial
from typing import Any

import keras
import numpy as np

from benchmarks.gpu.arms import ARMS
from keras_leaky.initializers import RectifierNormal
from keras_leaky.rectifiers import entry_of
from keras_leaky.tuning import ScaledSchedule, Trainer
from recipes.datasets import load
from recipes.nets import Triangle

NAMES = [name for name in ARMS if name != "rrelu"]
SEEDS = range(101, 121)
RATE, MOMENTUM, BATCH_SIZE, N_EPOCHS = 0.4, 0.9, 512, 24
# Keras decays a weight apart from its gradient, which momentum would make ten times of Page's 5e-4.
WEIGHT_DECAY = 5e-4 / (1 - MOMENTUM)
LABEL_SMOOTHING = 0.1
SHIFT = 4 / 32
FILTERS, SMALL_FILTERS = (64, 128, 256, 512), (4, 4, 4, 4)


def list_long_jobs(options):
    """A job a seed and arm: seed by seed, so that arms are compared wherever it stops."""
    trainer, data = Trainer(), {}
    return {
        f"{seed} {name}": partial(measure, options, name, seed, trainer, data)
        for seed in SEEDS
        for name in NAMES
    }


def measure(options, name, seed, trainer, data):
    """One row."""
    start = time.perf_counter()
    if not data:
        kind = "synthetic" if options.small else "cifar10"
        arrays = load("cifar10", kind, options.data_dir)
        data["train"] = arrays.x_train, np.eye(10, dtype="float32")[arrays.y_train.astype(int)]
        data["test"] = arrays.x_test, np.eye(10, dtype="float32")[arrays.y_test.astype(int)]
    x, y = data["train"]
    n_epochs = 1 if options.small else N_EPOCHS
    n_steps = n_epochs * -(-len(x) // BATCH_SIZE)
    build = partial(build_model, options, *ARMS[name], n_steps)
    quiet: Any = 0
    _, history = trainer.train(
        trainer.build(build, seed),
        x,
        y,
        seed=seed,
        validation_data=data["test"],
        epochs=n_epochs,
        batch_size=BATCH_SIZE,
        verbose=quiet,
    )
    found = history.history
    row = {
        "arm": name,
        "seed": seed,
        "learning_rate": RATE,
        "epochs": n_epochs,
        "test_accuracy": round(found["val_accuracy"][-1], 5),
        "test_loss": round(found["val_loss"][-1], 5),
        "train_accuracy": round(found["accuracy"][-1], 5),
        "seconds": round(time.perf_counter() - start, 2),
    }
    return [row]


def build_model(options, activation, alpha, n_steps):
    """The net: convolutions with a residual pair after the second and the fourth."""
    filters = SMALL_FILTERS if options.small else FILTERS
    policy: dict[str, Any] = {"dtype": "float32" if options.small else "mixed_bfloat16"}
    layers = keras.layers

    def convolve(x, n_filters, pools=False):
        weights: Any = RectifierNormal(activation, alpha=alpha)
        x = layers.Conv2D(
            n_filters, 3, padding="same", use_bias=False, kernel_initializer=weights, **policy
        )(x)
        if pools:
            x = layers.MaxPooling2D(**policy)(x)
        x = layers.BatchNormalization(momentum=0.9, **policy)(x)
        return entry_of(activation).make(alpha, **policy)(x)

    def add_pair(x, n_filters):
        inside = convolve(convolve(x, n_filters), n_filters)
        return layers.Add(**policy)([x, inside])

    inputs = keras.Input((32, 32, 3), dtype="uint8")
    # By the mean and the standard deviation of the training pixels.
    x = layers.Rescaling(1 / 63, offset=-121 / 63, dtype="float32")(inputs)
    x = layers.RandomFlip("horizontal", dtype="float32")(x)
    # Positions of pixels need more digits than bfloat16 has.
    x = layers.RandomTranslation(SHIFT, SHIFT, interpolation="nearest", dtype="float32")(x)
    x = convolve(x, filters[0])
    x = add_pair(convolve(x, filters[1], pools=True), filters[1])
    x = convolve(x, filters[2], pools=True)
    x = add_pair(convolve(x, filters[3], pools=True), filters[3])
    x = layers.GlobalMaxPooling2D(**policy)(x)
    # Scaled as in Page's net, so that the loss stays soft at the start.
    x = layers.Dense(10, use_bias=False, kernel_initializer="lecun_normal", dtype="float32")(x)
    model = keras.Model(inputs, layers.Rescaling(0.125, dtype="float32")(x))
    rate: Any = ScaledSchedule(Triangle(n_steps), RATE)
    optimizer = keras.optimizers.SGD(
        rate, momentum=MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "alpha"])
    loss: Any = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=LABEL_SMOOTHING
    )
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model
