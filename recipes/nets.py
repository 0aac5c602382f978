"""The nets of the recipes: raw uint8 images in, logits out, the rectifier under test inside."""

import re
from dataclasses import dataclass
from typing import Any

import keras

from keras_leaky.tuning import ScaledSchedule

HIDDEN_UNITS = 100
SHIFT_PIXELS = 2
DEPTHS = {"mlp": 2, "cnn": 1, "vgg": 2}  # depth of a net whose name has no number


class Triangle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a straight line to 1 over the first fifth of the steps, then falls towards 0.

    A training of few epochs is then complete: it ends with small steps, and is not the start of a
    longer one. As in Leslie Smith and Nicholay Topin, "Super-Convergence" (2018), without its
    cycle of the momentum.

    Args:
        n_steps: Steps of the whole training, at least 1.
    """

    def __init__(self, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.n_rising = max(1, round(0.2 * n_steps))

    def __call__(self, step: Any) -> Any:
        step = keras.ops.cast(step, "float32")
        rising = (step + 1) / self.n_rising
        falling = (self.n_steps - step) / (self.n_steps - self.n_rising + 1)
        return keras.ops.minimum(rising, falling)

    def get_config(self) -> dict[str, Any]:
        return {"n_steps": self.n_steps}


@dataclass(frozen=True)
class Net:
    """`build(hp, rectifier)` of an image net, whose initial weights fit the alpha being tried.

    A fixed initializer would make the scale of the signal change with alpha, and the search would
    tune both at once.

    Attributes:
        name: mlp, cnn or vgg, then the depth if it is not the default in `DEPTHS`, then _bn for
            batch normalization, such as mlp8_bn. The depth of an mlp is its number of hidden
            layers. The depth of the others is the number of convolutions at each resolution.
        image_shape, n_classes: Shape of an image, and number of classes, in the data.
        n_steps, n_epochs: Steps of an epoch, and epochs of a training, for the learning rate: the
            searched one is the peak of a triangle over the whole training.
        learning_rate_range: Searched on a log scale.
        optimizer: adam, or sgd with momentum 0.9.
        augment: Whether to shift the images at random, and flip those in color.
        precision: Name of a Keras dtype policy.
        n_units: Units of each hidden dense layer.
    """

    name: str
    image_shape: tuple[int, ...]
    n_classes: int
    n_steps: int
    n_epochs: int
    learning_rate_range: tuple[float, float] = (1e-4, 1e-1)
    optimizer: str = "adam"
    augment: bool = False
    precision: str = "float32"
    n_units: int = HIDDEN_UNITS

    def __call__(self, hp: Any, rectifier: Any) -> keras.Model:
        inputs = keras.Input(self.image_shape, dtype="uint8", name="image")
        # Given to every layer: a global policy would stay set for the next net.
        dtype = self.precision
        x = keras.layers.Rescaling(1 / 255, dtype=dtype)(inputs)
        if len(self.image_shape) == 2:
            x = keras.layers.Reshape((*self.image_shape, 1), dtype=dtype)(x)
        if self.augment:
            x = self._augmented(x)
        x = self._body(x, rectifier)
        # Softmax in bfloat16 loses small probabilities, so the logits stay float32.
        logits = keras.layers.Dense(
            self.n_classes, kernel_initializer="lecun_normal", dtype="float32", name="logits"
        )(x)
        model = keras.Model(inputs, logits)
        model.compile(
            optimizer=self._optimizer(hp),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        return model

    def _optimizer(self, hp: Any) -> keras.optimizers.Optimizer:
        low, high = self.learning_rate_range
        rate = hp.Float("learning_rate", low, high, sampling="log")
        # Hyperband trains for fewer epochs, and goes on with the best from where they ended.
        until = hp.values.get("tuner/epochs", self.n_epochs)
        n_epochs = until - hp.values.get("tuner/initial_epoch", 0)
        schedule: Any = ScaledSchedule(Triangle(n_epochs * self.n_steps), rate)
        if self.optimizer == "adam":
            return keras.optimizers.Adam(schedule)
        return keras.optimizers.SGD(schedule, momentum=0.9)

    def _augmented(self, x: Any) -> Any:
        """A digit has no mirror image: only images in color are flipped."""
        height, width = self.image_shape[:2]
        if len(self.image_shape) == 3:
            x = keras.layers.RandomFlip("horizontal", dtype=self.precision)(x)
        down, right = (min(SHIFT_PIXELS, size // 8) / size for size in (height, width))
        return keras.layers.RandomTranslation(
            down, right, interpolation="nearest", dtype=self.precision
        )(x)

    def _body(self, x: Any, rectifier: Any) -> Any:
        """Everything between the images and the logits."""
        name = re.fullmatch(r"([a-z]+)(\d*)(_bn)?", self.name)
        assert name, self.name
        kind, depth, norm = name[1], int(name[2] or DEPTHS[name[1]]), bool(name[3])
        dtype, n_rectifiers = self.precision, 0

        def weights() -> dict[str, Any]:
            return {
                "kernel_initializer": rectifier.initializer(),
                "use_bias": not norm,
                "dtype": dtype,
            }

        def rectify(x: Any) -> Any:
            nonlocal n_rectifiers
            if norm:
                # Keras's 0.99 would still remember the start after a short training.
                x = keras.layers.BatchNormalization(momentum=0.9, dtype=dtype)(x)
            n_rectifiers += 1  # the same name for every activation, for dead_units.csv
            return rectifier(name=f"rectifier_{n_rectifiers}", dtype=dtype)(x)

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
            x = rectify(keras.layers.Dense(self.n_units, **weights())(x))
        return x


def _filters(kind: str, n_colors: int) -> tuple[int, ...]:
    """Filters of the convolutions at each resolution."""
    if kind == "mlp":
        return ()
    if kind == "vgg":
        return 64, 256, 256
    return (16, 32) if n_colors == 1 else (16, 32, 64)
