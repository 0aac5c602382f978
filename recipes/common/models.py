"""The nets of the recipes: raw uint8 images in, logits out, the rectifier under test inside."""

import re
from typing import Any

import keras
import numpy as np

import keras_leaky
from keras_leaky.rectifiers import entry_of
from keras_leaky.tuning import ScaledSchedule
from recipes.common.data import Split
from recipes.common.options import RunOptions
from recipes.common.schedule import Triangle
from recipes.common.space import Arm

HIDDEN_UNITS = 100
SHIFT_PIXELS = 2
DEPTHS = {"mlp": 2, "cnn": 1, "vgg": 2}  # of a net whose name does not say it


def activation_layer(
    activation: str, alpha: float | None, dtype: str, name: str | None = None
) -> keras.layers.Layer:
    """The rectifier that a recipe's flag names. None stands for its default alpha."""
    entry = entry_of(activation)
    arguments: dict[str, Any] = {"dtype": dtype, "name": name}
    if entry.is_random:
        # Not from Keras's seed: weights drawn after it would not be those of the other rectifiers.
        arguments["seed"] = int(np.random.randint(2**31))
    return entry.make(alpha, **arguments)


def build_model(
    options: RunOptions,
    data: Split,
    arm: Arm,
    alpha: float | None,
    learning_rate: float,
    n_epochs: int | None = None,
) -> keras.Model:
    """Builds and compiles a net whose initial weights fit the alpha being tried.

    A fixed initializer would make the scale of the signal change with alpha, and the search would
    tune both at once. Weights are drawn from Keras's global seed: with the same seed the nets of
    all alphas start from the same draws but for the gain.

    Args:
        options: For the optimizer, the augmentation and the precision.
        data: For the shape of an image and the number of classes.
        arm: For the activation and the net: mlp, cnn or vgg, then its depth unless it is that of
            `DEPTHS`, then _bn for batch normalization, such as mlp8_bn. The depth of an mlp is
            the number of hidden layers, that of the others of convolutions at each resolution.
        n_epochs: Epochs of the whole training, for the learning-rate schedule. None for a model to
            keep: a constant learning rate, and no augmentation.
    """
    inputs = keras.Input(data.image_shape, dtype="uint8", name="image")
    # Given to every layer: a global policy would stay set for the next net.
    dtype = options.precision
    x = keras.layers.Rescaling(1 / 255, dtype=dtype)(inputs)
    if len(data.image_shape) == 2:
        x = keras.layers.Reshape((*data.image_shape, 1), dtype=dtype)(x)
    if n_epochs is not None and options.augment == "yes":
        x = _augment(x, data, dtype)
    x = _body(x, arm, alpha, dtype)
    # Softmax in bfloat16 loses small probabilities, so the logits stay float32.
    logits = keras.layers.Dense(
        data.n_classes, kernel_initializer="lecun_normal", dtype="float32", name="logits"
    )(x)
    model = keras.Model(inputs, logits)
    rate: Any = learning_rate
    if n_epochs is not None:
        n_steps = n_epochs * -(-len(data.x_train) // options.batch_size)
        rate = ScaledSchedule(Triangle(n_steps), learning_rate)
    if options.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _augment(x: Any, data: Split, dtype: str) -> Any:
    """Shifts images at random, and flips those in colour: a digit has no mirror image."""
    height, width = data.image_shape[:2]
    if len(data.image_shape) == 3:
        x = keras.layers.RandomFlip("horizontal", dtype=dtype)(x)
    shifts = SHIFT_PIXELS / height, SHIFT_PIXELS / width
    return keras.layers.RandomTranslation(*shifts, interpolation="nearest", dtype=dtype)(x)


def _body(x: Any, arm: Arm, alpha: float | None, dtype: str) -> Any:
    """Everything between the images and the logits."""
    name = re.fullmatch(r"([a-z]+)(\d*)(_bn)?", arm.model)
    assert name, arm.model
    kind, depth, norm = name[1], int(name[2] or DEPTHS[name[1]]), bool(name[3])
    n_rectifiers = 0

    def weights() -> dict[str, Any]:
        initializer: Any = keras_leaky.initializers.RectifierNormal(arm.activation, alpha=alpha)
        return {"kernel_initializer": initializer, "use_bias": not norm, "dtype": dtype}

    def rectify(x: Any) -> Any:
        nonlocal n_rectifiers
        if norm:
            # Keras's 0.99 would still remember the start after a short training.
            x = keras.layers.BatchNormalization(momentum=0.9, dtype=dtype)(x)
        n_rectifiers += 1  # the same name whatever the activation, for dead_units.csv
        return activation_layer(arm.activation, alpha, dtype, f"rectifier_{n_rectifiers}")(x)

    for filters in _filters(kind, n_colors=x.shape[-1]):
        for i in range(depth):
            x = keras.layers.Conv2D(filters, 3, padding="same", **weights())(x)
            if i == 0:
                # Pooling first gives what pooling last gives where the rectifier is monotone,
                # with a quarter of the elements to rectify.
                x = keras.layers.MaxPooling2D(dtype=dtype)(x)
            x = rectify(x)
    if kind == "vgg":
        return keras.layers.GlobalMaxPooling2D(dtype=dtype)(x)
    x = keras.layers.Flatten(dtype=dtype)(x)
    for _ in range(depth if kind == "mlp" else 1):
        x = rectify(keras.layers.Dense(HIDDEN_UNITS, **weights())(x))
    return x


def _filters(kind: str, n_colors: int) -> tuple[int, ...]:
    """Filters of the convolutions at each resolution."""
    if kind == "mlp":
        return ()
    if kind == "vgg":
        return 64, 256, 256
    return (16, 32) if n_colors == 1 else (16, 32, 64)
