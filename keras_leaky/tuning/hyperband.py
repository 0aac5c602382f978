"""Hyperband in reused programs."""

from typing import Any

import keras_tuner

from keras_leaky.tuning._engine.seeding import accepts_seed_0
from keras_leaky.tuning.reusing_tuner import ReusingTuner


@accepts_seed_0
class Hyperband(keras_tuner.Hyperband, ReusingTuner):
    """`keras_tuner.Hyperband` with the same arguments, on `ReusingTuner`'s programs."""

    def _build_hypermodel(self, hp: keras_tuner.HyperParameters) -> Any:
        before = hp.values.get("tuner/trial_id")
        model = ReusingTuner._build_hypermodel(self, hp)
        if before is not None:
            self._project.read_checkpoint(before).load_into(model)
        return model
