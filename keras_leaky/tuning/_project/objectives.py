"""The objective of a search, and whether it matches the project."""

from typing import Any

import keras
import keras_tuner


def describe_objective(oracle: Any) -> list[str]:
    """Direction and name of each objective, for the files of a project."""
    return [f"{objective.direction} {objective.name}" for objective in _parts(oracle.objective)]


def check_objective(known: list[str], given: list[str], folder: str) -> None:
    """Refuses to resume trials that were scored by another objective."""
    if known != given:
        raise ValueError(
            f"The objective must be the one of the project in {folder}, {known}, to resume it. "
            f"Give this objective, another `project_name`, or `overwrite=True`. Received: {given}"
        )


def check_logged(result: Any, objective: keras_tuner.Objective) -> None:
    """Refuses a `History` without the objective: no other trial would have it either.

    Raises:
        keras_tuner.errors.FatalValueError: If the objective is missing; this ends a search.
    """
    if isinstance(result, list | tuple):
        for one in result:
            check_logged(one, objective)
    if not isinstance(result, keras.callbacks.History) or objective.has_value(result.history):
        return
    logged = sorted(result.history)
    missing = [one.name for one in _parts(objective) if one.name not in logged]
    what_to_do = "name one of these"
    starts = [any(name.startswith("val_") for name in group) for group in (missing, logged)]
    if starts == [True, False]:
        what_to_do = "give `search` a `validation_split` or `validation_data`, or " + what_to_do
    received = None if missing == ["default_objective"] else ", ".join(missing)
    raise keras_tuner.errors.FatalValueError(
        f"`objective` must be among what a training logs, which is "
        f"{', '.join(logged) or 'nothing'}: {what_to_do}. Received: objective={received!r}"
    )


def _parts(objective: Any) -> list[Any]:
    return getattr(objective, "objectives", [objective])
