"""Whether a search can resume the trials of an earlier search."""

from typing import Any

import keras_tuner


def check_space(tuner: Any, hp: keras_tuner.HyperParameters) -> None:
    """Refuses to resume trials of another search space.

    Args:
        tuner: `ReusingTuner` that has read its project.
        hp: `keras_tuner.HyperParameters` that its oracle was given. `build` adds to it.
    """
    given = [parameter.name for parameter in hp.space]
    tuner.hypermodel.build(hp)
    known = [parameter.get_config() for parameter in tuner.oracle.get_space().space]
    for parameter in hp.space:
        is_tuned = tuner.oracle.tune_new_entries or parameter.name in given
        if is_tuned and parameter.get_config() not in known:
            raise ValueError(
                f"The search space must be the one of the project in {tuner.project_dir} to resume "
                "it. Restore it, or give another `project_name` or `overwrite=True`. Received: "
                f"{parameter.get_config()}"
            )
