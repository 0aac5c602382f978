"""The learning rate over a training."""

from typing import Any

import keras


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
