"""How much each hyperparameter matters, and a study in Optuna's form."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from keras_leaky.study.errors import InputError
from keras_leaky.study.good_points import is_scored
from keras_leaky.study.outcome import ArmOutcome, Metric, Outcome, Range
from keras_leaky.study.rows import TrialRow

if TYPE_CHECKING:
    import optuna

# PED-ANOVA looks at where the best trials lie; Optuna asks for at least 5 of these. With fewer
# than 20 trials they would be more than the best quarter.
MIN_TRIALS = 20
_N_BEST = 5
_BEST_FRACTION = 0.1  # Optuna's default

_STATES = {"COMPLETED": "COMPLETE", "STOPPED": "PRUNED", "DIVERGED": "FAIL", "FAILED": "FAIL"}


def importance(arm: ArmOutcome, trials: Iterable[TrialRow], metric: Metric) -> dict[str, float]:
    """How much each hyperparameter of an arm decides whether a trial is among the best.

    Uses Optuna's PED-ANOVA (Watanabe et al., 2023), which compares the best tenth of the trials, at
    least 5, with all trials. Only their order counts: with successive halving, points that were
    trained longer come first.

    Args:
        trials: Rows of all arms.

    Returns:
        Fractions that add up to 1, the largest first. Empty if the arm has fewer than 20 trials
        with a score, fewer than two hyperparameters that vary, or if all trials score the same.

    Raises:
        InputError: Optuna is not installed.
    """
    rows = [row for row in trials if row.arm == arm.name and is_scored(row)]
    points = [_parameters(row) for row in rows]
    shared = [name for name in (points[0] if points else ()) if all(name in p for p in points)]
    varied = [name for name in shared if len({repr(point[name]) for point in points}) > 1]
    if len(rows) < MIN_TRIALS or len(varied) < 2 or len({row.score for row in rows}) == 1:
        return {}
    optuna = _import_optuna()
    distributions = {
        name: distribution
        for name, distribution in _distributions([arm], rows).items()
        if name in varied
    }
    sign = 1 if metric.direction == "max" else -1
    keys = [(row.training_fraction or 1, sign * (row.score or 0.0)) for row in rows]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    with _quiet(optuna):
        study = optuna.create_study(direction="maximize")
    study.add_trials(
        optuna.trial.create_trial(
            value=float(places[key]),
            params={name: point[name] for name in varied},
            distributions=distributions,
        )
        for key, point in zip(keys, points, strict=True)
    )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(
        target_quantile=max(_BEST_FRACTION, _N_BEST / len(rows))
    )
    found = evaluator.evaluate(study, params=varied)
    total = sum(found.values())
    if not 0 < total < math.inf:
        return {}
    ranked = sorted(found.items(), key=lambda item: -item[1])
    return {name: float(value / total) for name, value in ranked}


def to_optuna(outcome: Outcome, storage: Any = None) -> "optuna.Study":
    """All trials of a study as one Optuna study, for example for its dashboard.

    The arm is a categorical parameter, so that every plot can tell arms apart. `alpha` is one
    parameter for all arms that have one; the ranges of the arms are joined. STOPPED trials become
    pruned, DIVERGED and FAILED ones failed. Every epoch's objective is an intermediate value.

    Args:
        storage: Storage for `optuna.create_study`, such as "sqlite:///study.db". None keeps the
            study in memory.

    Raises:
        InputError: Optuna is not installed, or the storage holds a study of this name.
    """
    optuna = _import_optuna()
    metric = outcome.metric
    name = outcome.title or outcome.directory.name
    try:
        with _quiet(optuna):
            study = optuna.create_study(
                study_name=name, storage=storage, direction=_direction(metric)
            )
    except optuna.exceptions.DuplicatedStudyError as error:
        raise InputError(
            f"`storage` holds a study called {name!r} already. Delete it, or name another "
            f"`storage`. Received: storage={storage!r}"
        ) from error
    study.set_user_attr("objective", metric.objective)
    study.set_user_attr("verdict", outcome.verdict)
    study.set_user_attr("directory", str(outcome.directory))
    distributions = {
        "arm": optuna.distributions.CategoricalDistribution(list(outcome.arms)),
        **_distributions(list(outcome.arms.values()), outcome.trials),
    }
    curves: dict[tuple[str, str], dict[int, float]] = {}
    for row in outcome.epochs:
        value = row.metrics.get(metric.objective)
        if row.stage == "search" and value is not None and math.isfinite(value):
            curves.setdefault((row.arm, row.trial_id), {})[row.epoch] = value
    for row in outcome.trials:
        values = {"arm": row.arm, **_parameters(row)}
        state = _STATES[row.status] if _is_complete(row) or row.status != "COMPLETED" else "FAIL"
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[state],
                value=row.score if _is_complete(row) else None,
                params=values,
                distributions={name: distributions[name] for name in values},
                intermediate_values=curves.get((row.arm, row.trial_id), {}),
                user_attrs={
                    "trial_id": row.trial_id,
                    "status": row.status,
                    "seed": row.seed,
                    "best_epoch": row.best_epoch,
                    "epochs": row.epochs,
                    "seconds": row.seconds,
                    "reason": row.reason,
                },
            )
        )
    return study


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError(
            'Optuna is not installed: run `pip install "keras_leaky[study]"`.'
        ) from error
    return optuna


@contextlib.contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Silences Optuna, which logs every study that it makes."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _direction(metric: Metric) -> str:
    return "maximize" if metric.direction == "max" else "minimize"


def _is_complete(row: TrialRow) -> bool:
    return row.status == "COMPLETED" and row.score is not None and math.isfinite(row.score)


def _parameters(row: TrialRow) -> dict[str, Any]:
    """The values of a trial, by hyperparameter."""
    own = {"alpha": row.alpha, "learning_rate": row.learning_rate}
    return {name: v for name, v in own.items() if v is not None} | row.hyperparameters


def _distributions(arms: Sequence[ArmOutcome], rows: Sequence[TrialRow]) -> dict[str, Any]:
    """Optuna's distribution of each hyperparameter that a trial has."""
    values: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in _parameters(row).items():
            values.setdefault(name, []).append(value)
    return {
        name: _distribution(found, [arm.space[name] for arm in arms if name in arm.space])
        for name, found in values.items()
    }


def _distribution(values: Sequence[Any], ranges: Sequence[Range]) -> Any:
    from optuna import distributions

    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return distributions.CategoricalDistribution(list(dict.fromkeys(values)))
    ends = [end for range_ in ranges for end in (range_.low, range_.high) if end is not None]
    low, high = min([*values, *ends]), max([*values, *ends])
    is_log = low > 0 and bool(ranges) and all(range_.scale == "log" for range_ in ranges)
    if all(isinstance(value, int) for value in values):
        return distributions.IntDistribution(int(low), int(high), log=is_log)
    return distributions.FloatDistribution(float(low), float(high), log=is_log)
