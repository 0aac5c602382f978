"""Whether a search can go on with trials of an earlier one."""

from typing import Any

import keras_tuner


def check_space(tuner: Any, hp: keras_tuner.HyperParameters) -> None:
    """Refuses to go on with trials of another search space.

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
                f"The search space must be that of the project in {tuner.project_dir} to "
                "resume it; or give another `project_name`, or `overwrite=True`. "
                f"Received: {parameter.get_config()}"
            )
