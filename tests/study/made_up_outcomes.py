"""Outcomes of studies that never ran, for tests of the statistics and of the page."""

import dataclasses
import math
from pathlib import Path
from unittest import mock

import numpy as np

from keras_leaky.rectifiers import entry_of
from keras_leaky.study.outcome import ArmOutcome, Best, Metric, Outcome, Range, Rows
from keras_leaky.study.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow
from keras_leaky.study.statistics import compare_arms, summarize
from keras_leaky.study.verdict import recommend

ACCURACY = Metric("val_accuracy", "accuracy", "max", True)
MAE = Metric("val_mae", "mae", "min", False)
RATES = (1e-4, 1e-1)


@dataclasses.dataclass(frozen=True)
class MadeUpArm:
    """What an arm is like; scores fall off with the distance to `best_rate` and `best_alpha`."""

    name: str
    rectifier: str | None = "leaky_relu"
    title: str = ""
    effect: float = 0.0
    best_rate: float = 8e-3
    best_alpha: float = 0.2
    alpha: tuple[float, float] | float | None = (0.01, 0.5)
    noise: float = 0.002
    n_trials: int = 20
    n_diverged: int = 0  # final retrainings without a score
    fails: bool = False


RELU = MadeUpArm("relu", "relu", alpha=None)
LEAKY = MadeUpArm("leaky_relu")


def make_trials(arm, metric, rng, n_epochs):
    rates = np.exp(rng.uniform(*np.log(RATES), arm.n_trials))
    rows = []
    for i, rate in enumerate(rates):
        alpha = arm.alpha
        if isinstance(alpha, tuple):
            alpha = float(np.exp(rng.uniform(*np.log(alpha))))
        worse = loss_at(arm, alpha, rate)
        score = make_score(metric, arm.effect - worse + arm.noise * rng.normal())
        status, reason = "COMPLETED", ""
        if arm.fails or rate > 0.07:
            status, score, reason = "DIVERGED", None, "training loss became nan in epoch 1"
        elif worse > 0.035:
            status, reason = "STOPPED", "hopeless after epoch 2"
        rows.append(
            TrialRow(
                arm.name, f"{i:04d}", status, alpha, float(rate), {}, 0, score,
                None if score is None else n_epochs, 2 if status == "STOPPED" else n_epochs,
                1.5, reason,
            )
        )  # fmt: skip
    return rows


def loss_at(arm, alpha, rate):
    """How much worse a point is than the best of its arm."""
    loss = 0.003 * math.log(rate / arm.best_rate) ** 2
    if isinstance(arm.alpha, tuple):
        loss += 0.0004 * math.log(alpha / arm.best_alpha) ** 2
    return loss


def make_score(metric, quality):
    """Quality 0 is an accuracy of 97 %, or an error of 2.5."""
    if metric.is_fraction:
        return float(np.clip(0.97 + quality, 0, 1))
    return float(2.5 * np.exp(-10 * quality))


def make_outcome(
    directory="run",
    arms=(RELU, LEAKY),
    metric=ACCURACY,
    n_seeds=5,
    seed=0,
    has_test=True,
    n_epochs=5,
    n_examples=200,
    layers=("dense_rectifier", "dense_1_rectifier"),
    **changes,
):
    """An outcome that follows from made-up rows, as a study's follows from its records."""
    rng = np.random.default_rng(seed)
    sign = 1 if metric.direction == "max" else -1
    trials, epochs, retrainings, dead_units, outcomes = [], [], [], [], {}
    shared = 0.002 * rng.normal(size=n_seeds)  # what a seed does to all arms
    difficulty = rng.random(n_examples)
    for arm in arms:
        rows = make_trials(arm, metric, np.random.default_rng(seed + 1), n_epochs)
        trials += rows
        scored = [row for row in rows if row.status == "COMPLETED"]
        chosen = max(scored, key=lambda row: sign * row.score, default=None)
        for i in range(n_seeds if chosen else 0):
            quality = arm.effect - loss_at(arm, chosen.alpha, chosen.learning_rate)
            quality += shared[i] + arm.noise * rng.normal()
            lost = i < arm.n_diverged
            retrainings.append(
                RetrainingRow(
                    arm.name, chosen.trial_id, "final", 100 + i,
                    None if lost else make_score(metric, quality),
                    make_score(metric, quality - 0.002) if has_test and not lost else None,
                    None if lost else n_epochs, 2.0,
                    "training loss became nan in epoch 1" if lost else "",
                    test_examples=difficulty < make_score(metric, quality - 0.002)
                    if has_test and metric.is_fraction and not lost else None,
                )
            )  # fmt: skip
            for epoch in range(1, n_epochs + 1):
                late = math.exp(-epoch / 2)
                metrics = {
                    "loss": late + 0.05 * rng.random(),
                    metric.objective: make_score(metric, quality - 0.1 * late),
                }
                epochs.append(EpochRow("final", arm.name, chosen.trial_id, 100 + i, epoch, metrics))
            for layer in layers:
                active = rng.beta(0.6, 1.4, 32)
                active[active < (0.03 if arm.rectifier == "relu" else 0.005)] = 0.0
                n_inactive = int((active == 0).sum())
                dead_units.append(
                    DeadUnitRow(
                        arm.name, chosen.trial_id, 100 + i, layer, arm.rectifier or "gelu", 1000,
                        32, n_inactive if arm.rectifier == "relu" else 0, n_inactive,
                        active.tolist(),
                    )
                )  # fmt: skip
        outcomes[arm.name] = make_arm(arm, chosen, retrainings, dead_units, metric)
    with mock.patch("gc.collect"):  # statsmodels calls it, which takes longer than all the rest
        differences = compare_arms(retrainings, list(outcomes), "relu", metric, has_test)
    verdict, recommended = recommend(
        outcomes,
        differences,
        trials,
        retrainings,
        metric,
        has_test,
        changes.get("is_finished", True),
    )
    given = {
        "directory": Path(directory),
        "title": "Made up",
        "metric": metric,
        "data_source": "nowhere",
        "warning": "",
        "notes": [],
        "verdict": verdict,
        "recommended": recommended,
        "is_finished": True,
        "arms": outcomes,
        "differences": differences,
        "trials": Rows(trials),
        "epochs": Rows(epochs),
        "retrainings": Rows(retrainings),
        "dead_units": Rows(dead_units),
        "has_test": has_test,
        "n_test_looks": 1,
        "seconds": 123.4,
        "settings": {"tuner": "random", "fit": {"epochs": n_epochs, "batch_size": 128}},
        "environment": {"machine": "made up", "versions": {"keras": "3.15.1"}},
    }
    return Outcome(**{**given, **changes})


def make_arm(arm, chosen, retrainings, dead_units, metric):
    finals = [row for row in retrainings if row.arm == arm.name]
    units = [row for row in dead_units if row.arm == arm.name]
    n_units = sum(row.n_units for row in units)
    entry = entry_of(arm.rectifier) if arm.rectifier else None
    space = {"learning_rate": Range(*RATES, "log")}
    if isinstance(arm.alpha, tuple):
        space["alpha"] = Range(*arm.alpha, "log")
    point = {}
    if chosen:
        point = {"learning_rate": chosen.learning_rate}
        point |= {} if chosen.alpha is None else {"alpha": chosen.alpha}

    def summary(name):
        values = [v for row in finals if (v := getattr(row, name)) is not None]
        return summarize(values, metric.is_fraction) if values else None

    return ArmOutcome(
        name=arm.name,
        title=arm.title or (entry.title if entry else arm.name),
        rectifier=arm.rectifier,
        is_baseline=arm.name == "relu",
        color=entry.color if entry else "#777777",
        space=space,
        best=Best(chosen.trial_id, point, chosen.score) if chosen else None,
        validation=summary("val_score"),
        test=summary("test_score"),
        dead_fraction=sum(row.n_dead for row in units) / n_units if units else None,
        inactive_fraction=sum(row.n_inactive for row in units) / n_units if units else None,
        epoch_seconds=0.4 if chosen else None,
        failure="" if chosen else "every trial diverged",
    )
