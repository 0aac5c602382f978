"""What a finished run's folder holds, read and checked once for the plots and the page."""

from dataclasses import dataclass
from typing import Any

from keras_leaky.rectifiers import entry_of
from recipes.common.dead_units import LayerShares, layer_shares
from recipes.common.errors import InputError
from recipes.common.run_folder import EpochRow, RetrainingRow, RunFolder, TrialRow

_SUMMARY = {
    *("activation", "best", "data_source", "data_title", "difference", "n_failed"),
    *("relu_baseline", "seconds", "test", "verdict", "warning"),
}


@dataclass(frozen=True)
class ArmOutcome:
    """One arm: its trials, and the retrainings of the one that was chosen."""

    name: str
    title: str
    trials: list[TrialRow]
    best: dict[str, Any]  # as in summary.json
    test: dict[str, Any]
    retrainings: list[RetrainingRow]
    epochs: list[EpochRow]  # of the retrainings
    layers: list[LayerShares]  # none where the run did not count units

    @property
    def scored(self) -> list[TrialRow]:
        return [row for row in self.trials if row.score is not None]

    @property
    def failed(self) -> list[TrialRow]:
        return [row for row in self.trials if row.score is None]


@dataclass(frozen=True)
class Outcome:
    """A finished run. The activation's arm comes first, then ReLU's unless it is the same."""

    run: RunFolder
    config: dict[str, Any]
    environment: dict[str, Any]
    summary: dict[str, Any]
    arms: list[ArmOutcome]


def read_outcome(run: RunFolder) -> Outcome:
    """Reads a finished run.

    Raises:
        InputError: The run is not finished, or its files do not fit each other.
    """
    summary, environment = read_summary(run, _SUMMARY)
    arms = [
        read_arm(run, name, entry_of(name).title, *rest) for name, *rest in arm_results(summary)
    ]
    return Outcome(run, run.config, environment, summary, arms)


def read_summary(run: RunFolder, required: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summary, which must have some keys, and the environment of a finished run.

    Raises:
        InputError: The run is not finished, or one of the two is damaged, or the summary is that
            of other rows.
    """
    summary, environment = run.read_json("summary"), run.read_json("environment")
    if missing := (required | {"n_trials", "n_retrainings"}) - set(summary):
        raise InputError(f"{run.path}/summary.json is damaged: it lacks {sorted(missing)}.")
    if not isinstance(environment.get("versions"), dict):
        raise InputError(f"{run.path}/environment.json is damaged: it lacks the versions.")
    counts = summary["n_trials"], summary["n_retrainings"]
    if counts != (len(run.trials), len(run.retrainings)):
        raise InputError(
            f"{run.path} has {len(run.trials)} trials and {len(run.retrainings)} retrainings, but "
            f"summary.json is that of {counts[0]} and {counts[1]}. Resume the run, which makes "
            "what is missing."
        )
    return summary, environment


def arm_results(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, `best` and `test` of every arm in a summary: the activation's, then ReLU's."""
    results = [(summary["activation"], summary["best"], summary["test"])]
    if baseline := summary["relu_baseline"]:
        results.append(("relu", baseline["best"], baseline["test"]))
    return results


def read_arm(
    run: RunFolder, name: str, title: str, best: dict[str, Any], test: dict[str, Any]
) -> ArmOutcome:
    """The rows of an arm and of its chosen point.

    Raises:
        InputError: They are not all there.
    """
    trials = [row for row in run.trials if row.arm == name]
    chosen = [row for row in trials if row.trial_id == best["trial_id"]]
    retrainings = run.retrainings_of(chosen[0]) if chosen else []
    epochs = [
        row
        for row in run.epochs
        if (row.phase, row.arm, row.trial_id) == ("retrain", name, best["trial_id"])
    ]
    seeds = {row.seed for row in retrainings}
    if len(retrainings) != test["n"] or {row.seed for row in epochs} != seeds:
        raise InputError(
            f"{run.path} has not all of the {test['n']} retrainings of {name} that summary.json "
            "names, or more. Resume the run, which makes them and the summary again."
        )
    layers = layer_shares(run.dead_units_of(chosen[0]))
    return ArmOutcome(name, title, trials, best, test, retrainings, epochs, layers)
