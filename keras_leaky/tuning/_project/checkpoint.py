"""The weights of a model as bytes."""

import dataclasses
import io
import json
import os
import weakref
from typing import Any

from keras_leaky.tuning._keras_tuner import checkpoint_paths
from keras_leaky.tuning._project.weights_template import WeightsTemplate
from keras_leaky.tuning._project.writing import write_whole

WEIGHTS_FILE, BUILD_CONFIG_FILE = "checkpoint.weights.h5", "build_config.json"
_saved_once: Any = weakref.WeakSet()  # models
_templates: Any = weakref.WeakKeyDictionary()  # model -> its `WeightsTemplate`


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The files that KerasTuner keeps of a trial's model.

    Attributes:
        weights: Content of a `.weights.h5` file.
        build_config: `model.get_build_config()`.
    """

    weights: bytes
    build_config: dict[str, Any] | None

    @classmethod
    def of(cls, model: Any) -> "Checkpoint":
        """The checkpoint of a model in its current state."""
        weights = _weights_of(model)
        # Parts of what Keras returns cannot be pickled.
        build_config = json.loads(json.dumps(model.get_build_config()))
        return cls(weights, build_config)

    @classmethod
    def read(cls, folder: str) -> "Checkpoint":
        """The checkpoint in the folder of a trial."""
        paths = os.path.join(folder, WEIGHTS_FILE), os.path.join(folder, BUILD_CONFIG_FILE)
        with open(paths[0], "rb") as weights, open(paths[1]) as build_config:
            return cls(weights.read(), json.load(build_config))

    def load_into(self, model: Any) -> None:
        """Gives `model` the weights, as KerasTuner's Hyperband does."""
        if self.build_config is not None:
            model.build_from_config(self.build_config)
        model.load_weights(_WeightsInMemory(self.weights))

    def files(self) -> dict[str, bytes]:
        """The content of each file of it, by name."""
        return {
            WEIGHTS_FILE: self.weights,
            BUILD_CONFIG_FILE: json.dumps(self.build_config).encode(),
        }

    def write_for(self, tuner: Any, trial_id: str) -> None:
        """Writes it to the place where a tuner's subclass looks, beside the project's own files."""
        paths = checkpoint_paths(tuner, trial_id)
        for path, data in zip(paths, self.files().values(), strict=True):
            write_whole(path, data)


def _weights_of(model: Any) -> bytes:
    """The content of a file of weights; from the second time on, by a template."""

    def save() -> bytes:
        file = _WeightsInMemory()
        model.save_weights(file)
        return file.getvalue()

    template = _templates.get(model)
    if template is None:
        if model not in _saved_once:
            _saved_once.add(model)  # a model that is saved only once needs no template
            return save()
        template = _templates[model] = WeightsTemplate.of(model, save)
    return template.fill(model) if template.fits(model) else save()


class _WeightsInMemory(io.BytesIO):
    """A file for Keras, which looks at the end of its name.

    It is not on disk: on a full disk, h5py 3.14 ends the process with a segmentation fault.
    """

    def __str__(self) -> str:
        return WEIGHTS_FILE
