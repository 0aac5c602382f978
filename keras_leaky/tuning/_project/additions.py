"""The entries that we add to KerasTuner's files of a project."""

import dataclasses
from typing import Any

OURS = "keras_leaky"  # its key in these files


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialLog:
    """The course of a trial's trainings. By default nothing is known about them.

    Attributes:
        histories: One per training: metric -> its value in each epoch.
        seeds: One per training.
        has_diverged: Whether a loss or an objective was not finite.
        seconds: Seconds of all trainings.
    """

    histories: list[dict[str, list[float]]] = dataclasses.field(default_factory=list)
    seeds: list[int] = dataclasses.field(default_factory=list)
    has_diverged: bool = False
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {} if self == TrialLog() else dict(vars(self))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "TrialLog":
        return cls(**_fields_in(cls, content))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Additions:
    """The entries that we add to a trial's file and to oracle.json, unless they are None.

    Attributes:
        before: Of a trial: id -> values of the trial that began before it.
        files: Of a trial: name -> SHA-256 of each file beside its own.
        log: Of a trial.
        n_ended: The place of a trial among the ended trials, from 1; 0 before it ends.
        n_runs: How often a trial was run.
        objective: Direction and name of each objective.
        oracle: Of a trial: the oracle's state, without the entries that follow from the trials.
        trials: Of oracle.json: id -> values of every trial.
        revision: Counts the writes, so that the newest file is known; 0 if the file has no count.
    """

    # In the order in which files have them.
    before: dict[str, dict[str, Any]] | None = None
    files: dict[str, str] | None = None
    log: TrialLog | None = None
    n_ended: int | None = None
    n_runs: int | None = None
    objective: list[str] | None = None
    oracle: dict[str, Any] | None = None
    trials: dict[str, dict[str, Any]] | None = None
    revision: int = 0

    def to_json(self) -> dict[str, Any]:
        content = {name: value for name, value in vars(self).items() if value is not None}
        return content if self.log is None else {**content, "log": self.log.to_json()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Additions":
        """Reads the content of a file: missing parts are None, unknown parts are left out."""
        log = {"log": TrialLog.from_json(content["log"])} if "log" in content else {}
        return cls(**{**_fields_in(cls, content), **log})


def _fields_in(cls: Any, content: dict[str, Any]) -> dict[str, Any]:
    return {one.name: content[one.name] for one in dataclasses.fields(cls) if one.name in content}
