"""The nets of the recipes: raw uint8 images in, logits out, the rectifier under test inside."""

from typing import Any

import keras

import keras_leaky

N_CLASSES = 10
CNN_FILTERS = {2: (16, 32), 3: (16, 32, 64)}  # by the rank of an image: grey, colour
HIDDEN_UNITS = 100


def activation_layer(activation: str, alpha: float | None) -> keras.layers.Layer:
    """The rectifier that a recipe's flag names."""
    layers = keras_leaky.layers
    if activation == "relu":
        return keras.layers.ReLU()
    assert alpha is not None, activation
    if activation == "leaky_relu":
        return layers.LeakyReLU(negative_slope=alpha)
    if activation == "prelu":
        return layers.PReLU(alpha_initializer=alpha)
    if activation == "elu":
        return layers.ELU(alpha=alpha)
    raise ValueError(f"`activation` must name a searched rectifier. Received: {activation=}")


def build_model(
    kind: str,
    image_shape: tuple[int, ...],
    activation: str,
    alpha: float | None,
    learning_rate: float,
    optimizer: str,
) -> keras.Model:
    """Builds and compiles a net whose initial weights fit the alpha being tried.

    A fixed initializer would make the scale of the signal change with alpha, and the search would
    tune both at once. Weights are drawn from Keras's global seed: after
    `keras.utils.set_random_seed(s)` the nets of all alphas start from the same draws but for the
    gain.

    Args:
        kind: "mlp" or "cnn".
        image_shape: (height, width) or (height, width, channels).
    """

    def rectifier() -> keras.layers.Layer:
        return activation_layer(activation, alpha)

    def initializer() -> Any:
        return keras_leaky.initializers.RectifierNormal(activation, alpha=alpha)

    inputs = keras.Input(image_shape, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    if kind == "cnn":
        if len(image_shape) == 2:
            x = keras.layers.Reshape((*image_shape, 1))(x)
        for filters in CNN_FILTERS[len(image_shape)]:
            x = keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer())(x)
            # Pooling first gives what pooling last gives where the rectifier is monotone, with a
            # quarter of the elements to rectify.
            x = keras.layers.MaxPooling2D()(x)
            x = rectifier()(x)
        x = keras.layers.Flatten()(x)
        n_hidden = 1
    else:
        x = keras.layers.Flatten()(x)
        n_hidden = 2
    for _ in range(n_hidden):
        x = keras.layers.Dense(HIDDEN_UNITS, kernel_initializer=initializer())(x)
        x = rectifier()(x)
    # Softmax in bfloat16 loses small probabilities, so the logits stay float32.
    logits = keras.layers.Dense(
        N_CLASSES, kernel_initializer="lecun_normal", dtype="float32", name="logits"
    )(x)
    model = keras.Model(inputs, logits)
    model.compile(
        optimizer=_optimizer(optimizer, learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    if name == "adam":
        return keras.optimizers.Adam(learning_rate)
    return keras.optimizers.SGD(learning_rate, momentum=0.9)
