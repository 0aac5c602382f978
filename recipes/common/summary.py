"""summary.json: the outcome of a run in numbers, and its verdict."""

from collections.abc import Sequence
from typing import Any

from recipes.common.run_folder import RetrainingRow, RunFolder, TrialRow
from recipes.common.statistics import as_json, paired_difference, summarize, verdict

TEST_FIELDS = ("mean", "std", "n", "ci95")


def make_summary(
    run: RunFolder, chosen: Sequence[TrialRow], dataset: str, data_source: str
) -> dict[str, Any]:
    """Summarizes a finished run.

    Args:
        chosen: The best trial of the activation's arm, then that of ReLU's unless it is the same.
    """
    ours = chosen[0]
    test = summarize(_accuracies(run, ours.arm))
    summary = {
        "dataset": dataset,
        "data_source": data_source,
        "activation": ours.arm,
        "n_trials": len(run.trials),
        "n_failed": sum(row.status == "FAILED" for row in run.trials),
        "seconds": round(sum(row.seconds for row in (*run.trials, *run.retrainings)), 1),
        "best": _best(ours),
        "test": as_json(test, TEST_FIELDS),
        "relu_baseline": None,
        "difference": None,
        "verdict": f"ReLU gets {test.mean:.2%} of the test images; it was searched alone, so there "
        "is nothing to compare it with.",
    }
    if len(chosen) == 1:
        return summary
    relu = chosen[1]
    baseline = summarize(_accuracies(run, relu.arm))
    difference = paired_difference(_accuracies(run, ours.arm), _accuracies(run, relu.arm))
    return {
        **summary,
        "relu_baseline": {"best": _best(relu), "test": as_json(baseline, TEST_FIELDS)},
        "difference": as_json(difference, ("mean", "ci95", "n")),
        "verdict": verdict(ours.arm, test, baseline, difference),
    }


def _best(row: TrialRow) -> dict[str, float | None]:
    return {
        "alpha": row.alpha,
        "learning_rate": row.learning_rate,
        "val_accuracy": row.score,
    }


def _accuracies(run: RunFolder, arm: str) -> list[float]:
    """Test accuracies in the order of the seeds, which is the same for every arm."""
    rows: list[RetrainingRow] = [row for row in run.retrainings if row.arm == arm]
    return [row.test_accuracy for row in rows]
