"""From the records in a run folder to an outcome, its tables and summary.json."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_leaky.study._folder import (
    RetrainingRecord,
    StoredArm,
    StudyFolder,
    StudyState,
    write_tables,
)
from keras_leaky.study._searching import count_epochs, make_trial_rows
from keras_leaky.study.outcome import (
    ArmOutcome,
    Best,
    Metric,
    Outcome,
    Range,
    Rows,
    Summary,
)
from keras_leaky.study.rows import DeadUnitRow, EpochRow, TrialRow
from keras_leaky.study.statistics import compare_arms, is_finite, summarize
from keras_leaky.study.verdict import recommend

_FRACTIONS = re.compile(
    r"accuracy|auc|precision|recall|f1|f_?beta|iou|dice|sensitivity|specificity"
)


@dataclasses.dataclass(frozen=True)
class _ArmRecords:
    """The records of one arm in the folder.

    Attributes:
        finals: Retrainings of the chosen point with the study's own seeds, by seed.
    """

    arm: StoredArm
    trials: list[TrialRow]
    epochs: list[EpochRow]
    retrainings: list[RetrainingRecord]
    finals: dict[int, RetrainingRecord]


def read_metric(objective: Mapping[str, str]) -> Metric:
    """The metric of an objective, from its form in study.json."""
    name = objective["name"].removeprefix("val_")
    is_fraction = objective["direction"] == "max" and bool(_FRACTIONS.search(name))
    return Metric(objective["name"], name, objective["direction"], is_fraction)


def assemble(folder: StudyFolder) -> Outcome:
    """The outcome of a study, finished or not, from its folder alone.

    Raises:
        InputError: If the folder holds no study, or study.json is damaged.
    """
    study = folder.read_study()
    metric = read_metric(study.study["objective"])
    objective = keras_tuner.Objective(metric.objective, metric.direction)
    state, about, has_test = study.state, study.about, study.has_test
    arms = [_read_arm(folder, arm, objective, state, study.final_seeds) for arm in study.arms]
    outcomes = {a.arm.name: _arm_outcome(a, metric, has_test, state) for a in arms}
    finals = [record.row for one in arms for record in one.finals.values()]
    names = [one.arm.name for one in arms]
    differences = compare_arms(finals, names, names[0], metric, has_test)
    trials = Rows(row for a in arms for row in a.trials)
    retrainings = Rows(record.row for a in arms for record in a.retrainings)
    verdict, recommended = recommend(
        outcomes,
        differences,
        trials,
        [*(row for row in retrainings if row.stage == "finalist"), *finals],
        metric,
        has_test=has_test,
        is_finished=state.is_finished,
        chance=study.chance,
    )
    return Outcome(
        directory=folder.path,
        title=about["title"],
        metric=metric,
        data_source=about["data_source"],
        warning=about["warning"],
        notes=study.notes,
        verdict=verdict,
        recommended=recommended,
        is_finished=state.is_finished,
        arms=outcomes,
        differences=differences,
        trials=trials,
        epochs=Rows(row for a in arms for row in a.epochs),
        retrainings=retrainings,
        dead_units=Rows(row for a in arms for record in a.retrainings for row in record.dead_units),
        has_test=has_test,
        n_test_looks=state.n_test_looks,
        seconds=round(sum(row.seconds for row in (*trials, *retrainings)), 1),
        settings={**study.study, **study.fit, **(study.options or {})},
        environment=folder.read_environment() or {},
    )


def write_results(folder: StudyFolder, outcome: Outcome) -> None:
    """The tables, summary.json and best.keras of a folder."""
    tables = outcome.trials, outcome.epochs, outcome.retrainings, outcome.dead_units
    write_tables(folder, *tables)
    if outcome.is_finished:
        folder.write_summary(_summary(outcome))
        _write_best(folder, outcome)


def _read_arm(
    folder: StudyFolder,
    arm: StoredArm,
    objective: keras_tuner.Objective,
    state: StudyState,
    seeds: Sequence[int],
) -> _ArmRecords:
    records = folder.read_trials(arm.name)
    epochs = [
        row
        for record in records
        for seed, history in zip(record.seeds, record.histories, strict=False)
        for row in _epoch_rows("search", arm.name, record.trial_id, seed, history)
    ]
    retrainings = folder.read_retrainings(arm.name)
    retrainings.sort(key=lambda record: (record.row.stage, record.row.trial_id, record.row.seed))
    for one in retrainings:
        row = one.row
        epochs += _epoch_rows(row.stage, arm.name, row.trial_id, row.seed, one.history)
    chosen = state.chosen.get(arm.name)
    by_seed = {
        record.row.seed: record
        for record in retrainings
        if record.row.stage == "final" and record.row.trial_id == chosen
    }
    finals = {seed: by_seed[seed] for seed in seeds if seed in by_seed}
    trials = make_trial_rows(arm.name, arm.fixed_alpha, records, objective)
    return _ArmRecords(arm, trials, epochs, retrainings, finals)


def _epoch_rows(
    stage: Any, arm: str, trial_id: str, seed: int, history: Mapping[str, Sequence[float]]
) -> list[EpochRow]:
    return [
        EpochRow(
            stage,
            arm,
            trial_id,
            seed,
            epoch + 1,
            {name: values[epoch] for name, values in history.items() if epoch < len(values)},
        )
        for epoch in range(count_epochs(dict(history)))  # type: ignore[arg-type]
    ]


def _arm_outcome(
    records: _ArmRecords, metric: Metric, has_test: bool, state: StudyState
) -> ArmOutcome:
    arm, finals = records.arm, list(records.finals.values())
    chosen = state.chosen.get(arm.name)
    trial = next((row for row in records.trials if row.trial_id == chosen), None)
    best = None
    if trial is not None and trial.score is not None:
        own = {"alpha": trial.alpha, "learning_rate": trial.learning_rate}
        values = {**{k: v for k, v in own.items() if v is not None}, **trial.hyperparameters}
        best = Best(trial.trial_id, values, trial.score)
    units = [row for record in finals for row in record.dead_units]
    seconds = [r.row.seconds / max(1, count_epochs(r.history)) for r in finals]
    return ArmOutcome(
        name=arm.name,
        title=arm.title,
        rectifier=arm.rectifier,
        is_baseline=arm.is_baseline,
        color=arm.color,
        space={name: Range(*ends) for name, ends in arm.space.items()},
        best=best,
        validation=_summary_of([r.row.val_score for r in finals], metric),
        test=_summary_of([r.row.test_score for r in finals], metric) if has_test else None,
        dead_fraction=_fraction(units, "n_dead"),
        inactive_fraction=_fraction(units, "n_inactive"),
        epoch_seconds=round(float(np.median(seconds)), 3) if seconds else None,
        failure=state.failed.get(arm.name, ""),
    )


def _summary_of(values: Sequence[float | None], metric: Metric) -> Summary | None:
    known = [value for value in values if value is not None and is_finite(value)]
    return summarize(known, metric.is_fraction) if known else None


def _fraction(units: Sequence[DeadUnitRow], kind: str) -> float | None:
    n_units = sum(row.n_units for row in units)
    return sum(getattr(row, kind) for row in units) / n_units if n_units else None


def _summary(outcome: Outcome) -> dict[str, Any]:
    def plain(thing: Any) -> Any:
        return None if thing is None else dataclasses.asdict(thing)

    return {
        "title": outcome.title,
        "objective": {"name": outcome.metric.objective, "direction": outcome.metric.direction},
        "data_source": outcome.data_source,
        "n_trials": len(outcome.trials),
        "n_failed": sum(row.status in ("DIVERGED", "FAILED") for row in outcome.trials),
        "n_stopped": sum(row.status == "STOPPED" for row in outcome.trials),
        "n_test_looks": outcome.n_test_looks,
        "seconds": outcome.seconds,
        "arms": [
            {
                "arm": arm.name,
                "title": arm.title,
                "is_baseline": arm.is_baseline,
                "best": plain(arm.best),
                "validation": plain(arm.validation),
                "test": plain(arm.test),
                "difference": plain(outcome.differences.get(arm.name)),
                "dead_fraction": arm.dead_fraction,
                "inactive_fraction": arm.inactive_fraction,
                "epoch_seconds": arm.epoch_seconds,
                "failure": arm.failure,
            }
            for arm in outcome.arms.values()
        ],
        "recommended": outcome.recommended,
        "verdict": outcome.verdict,
        "warning": outcome.warning,
        "notes": outcome.notes,
    }


def _write_best(folder: StudyFolder, outcome: Outcome) -> None:
    """Writes best.keras: the best retraining of the recommended arm, if it could be saved."""
    if outcome.recommended is None:
        return
    path = folder.model_file(outcome.recommended)
    if path.exists():
        folder.write_best(path.read_bytes())
