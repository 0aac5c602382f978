"""The nets of the recipes: raw uint8 images in, logits out, the rectifier under test inside."""

from typing import Any

import keras

import keras_leaky
from recipes.common.data import N_CLASSES
from recipes.common.options import SearchOptions

CNN_FILTERS = {2: (16, 32), 3: (16, 32, 64)}  # by the rank of an image: grey, colour
HIDDEN_UNITS = 100


def activation_layer(activation: str, alpha: float | None, dtype: str) -> keras.layers.Layer:
    """The rectifier that a recipe's flag names."""
    layers = keras_leaky.layers
    if activation == "relu":
        return keras.layers.ReLU(dtype=dtype)
    assert alpha is not None, activation
    if activation == "leaky_relu":
        return layers.LeakyReLU(negative_slope=alpha, dtype=dtype)
    if activation == "prelu":
        return layers.PReLU(alpha_initializer=alpha, dtype=dtype)
    if activation == "elu":
        return layers.ELU(alpha=alpha, dtype=dtype)
    raise ValueError(f"`activation` must name a searched rectifier. Received: {activation=}")


def build_model(
    options: SearchOptions,
    image_shape: tuple[int, ...],
    activation: str,
    alpha: float | None,
    learning_rate: float,
) -> keras.Model:
    """Builds and compiles a net whose initial weights fit the alpha being tried.

    A fixed initializer would make the scale of the signal change with alpha, and the search would
    tune both at once. Weights are drawn from Keras's global seed: after
    `keras.utils.set_random_seed(s)` the nets of all alphas start from the same draws but for the
    gain.

    Args:
        options: For the kind of net, the optimizer and the precision.
        image_shape: (height, width) or (height, width, channels).
    """
    # Given to every layer, because `clear_session` also forgets a global policy.
    dtype = options.precision

    def rectifier() -> keras.layers.Layer:
        return activation_layer(activation, alpha, dtype)

    def initializer() -> Any:
        return keras_leaky.initializers.RectifierNormal(activation, alpha=alpha)

    inputs = keras.Input(image_shape, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, dtype=dtype)(inputs)
    if options.model == "cnn":
        if len(image_shape) == 2:
            x = keras.layers.Reshape((*image_shape, 1), dtype=dtype)(x)
        for filters in CNN_FILTERS[len(image_shape)]:
            x = keras.layers.Conv2D(
                filters, 3, padding="same", kernel_initializer=initializer(), dtype=dtype
            )(x)
            # Pooling first gives what pooling last gives where the rectifier is monotone, with a
            # quarter of the elements to rectify.
            x = keras.layers.MaxPooling2D(dtype=dtype)(x)
            x = rectifier()(x)
        n_hidden = 1
    else:
        n_hidden = 2
    x = keras.layers.Flatten(dtype=dtype)(x)
    for _ in range(n_hidden):
        x = keras.layers.Dense(HIDDEN_UNITS, kernel_initializer=initializer(), dtype=dtype)(x)
        x = rectifier()(x)
    # Softmax in bfloat16 loses small probabilities, so the logits stay float32.
    logits = keras.layers.Dense(
        N_CLASSES, kernel_initializer="lecun_normal", dtype="float32", name="logits"
    )(x)
    model = keras.Model(inputs, logits)
    if options.optimizer == "adam":
        optimizer = keras.optimizers.Adam(learning_rate)
    else:
        optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
