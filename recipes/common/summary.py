"""summary.json: the outcome of a run in numbers, and its verdict."""

from collections.abc import Sequence
from typing import Any

from recipes.common.data import Arrays
from recipes.common.run_folder import RunFolder, TrialRow
from recipes.common.statistics import as_json, paired_difference, summarize, verdict

TEST_FIELDS = ("mean", "std", "n", "ci95")


def make_summary(run: RunFolder, chosen: Sequence[TrialRow], arrays: Arrays) -> dict[str, Any]:
    """Summarizes a finished run.

    Args:
        chosen: The best trial of the activation's arm, then that of ReLU's unless it is the same.
    """
    ours = chosen[0]
    retrainings = [run.retrainings_of(trial) for trial in chosen]
    accuracies = [[row.test_accuracy for row in rows] for rows in retrainings]
    test = summarize(accuracies[0])
    summary = {
        **about(run, arrays),
        "activation": ours.arm,
        "best": best_point(ours),
        "test": as_json(test, TEST_FIELDS),
        "relu_baseline": None,
        "difference": None,
        "verdict": f"ReLU gets {test.mean:.2%} of the test images; it was searched alone, so there "
        "is nothing to compare it with.",
    }
    if len(chosen) == 2:
        baseline = summarize(accuracies[1])
        difference = paired_difference(*accuracies)
        summary["relu_baseline"] = {
            "best": best_point(chosen[1]),
            "test": as_json(baseline, TEST_FIELDS),
        }
        summary["difference"] = as_json(difference, ("mean", "ci95", "n"))
        summary["verdict"] = verdict(ours.arm, test, baseline, difference)
    diverged = [row for rows in retrainings for row in rows if row.has_diverged]
    if diverged:
        summary["verdict"] += (
            f" {len(diverged)} of {sum(map(len, retrainings))} retrainings diverged and count with "
            "what they left."
        )
    return summary


def about(run: RunFolder, arrays: Arrays) -> dict[str, Any]:
    """What the summary of every recipe begins with: the data, and the size of the run."""
    return {
        "dataset": arrays.kind,
        "data_title": arrays.title,
        "data_source": arrays.source,
        "warning": arrays.warning,
        "n_trials": len(run.trials),
        "n_retrainings": len(run.retrainings),
        "n_failed": sum(row.status == "FAILED" for row in run.trials),
        "seconds": round(sum(row.seconds for row in (*run.trials, *run.retrainings)), 1),
    }


def best_point(row: TrialRow) -> dict[str, Any]:
    """A chosen trial as it stands in summary.json."""
    return {
        "trial_id": row.trial_id,
        "alpha": row.alpha,
        "learning_rate": row.learning_rate,
        "val_accuracy": row.score,
    }
