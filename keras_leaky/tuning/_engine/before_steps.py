"""The work to do in `fit` before its first step."""

from typing import Any

import keras

from keras_leaky.tuning._engine.programs import Program


class BeforeSteps(keras.callbacks.Callback):
    """The last of the callbacks of a `fit`.

    It sets the global seed, because `fit` takes a first batch from its data to build a new model,
    but not for a used one. It also recompiles code for anything that earlier callbacks have
    changed.
    """

    model: keras.Model

    def __init__(self, program: Program, seed: int) -> None:
        super().__init__()
        self.program, self.seed = program, seed
        self._is_tested = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        keras.utils.set_random_seed(self.seed)
        self.program.restore_metrics()
        self.program.forget_stale_code("train_function", "test_function")
        self.model.make_train_function()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._is_tested:
            self.program.forget_stale_code("test_function")
            self.model.make_test_function()
            self._is_tested = True
