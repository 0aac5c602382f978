"""summary.json of a comparison: every net's arms in numbers, and the verdict."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recipes.common.comparing.arms import CANDIDATES, Net
from recipes.common.comparing.statistics import compare, direction, holm
from recipes.common.data import Arrays
from recipes.common.dead_units import mean_fraction
from recipes.common.run_folder import RunFolder, TrialRow
from recipes.common.search import best_trial
from recipes.common.statistics import as_json, summarize
from recipes.common.summary import TEST_FIELDS, about, best_point


def make_summary(
    run: RunFolder, nets: Sequence[Net], arrays: Arrays, failed: Sequence[str] = ()
) -> dict[str, Any]:
    """Summarizes a finished comparison.

    Args:
        nets: With the arms that have a result.
        failed: Names of those that have none, because all their trials failed.
    """
    results = [_net(run, net) for net in nets]
    chosen = [row for net in nets for row in _chosen(run, net)]
    retrained = [row for trial in chosen for row in run.retrainings_of(trial)]
    n_diverged = sum(row.has_diverged for row in retrained)
    verdict = make_verdict(results)
    if n_diverged:
        verdict += f" {n_diverged} retrainings diverged and count with what they left."
    if failed:
        verdict += f" All trials of {_list(failed)} failed."
    return {**about(run, arrays), "nets": results, "verdict": verdict}


def _chosen(run: RunFolder, net: Net) -> list[TrialRow]:
    return [best_trial(run, arm.name) for arm in net.arms.values()]


def _net(run: RunFolder, net: Net) -> dict[str, Any]:
    chosen = _chosen(run, net)
    accuracies = [[row.test_accuracy for row in run.retrainings_of(trial)] for trial in chosen]
    differences = [compare(values, accuracies[0]) for values in accuracies[1:]]
    corrected = holm([difference.p_value for difference in differences])
    against = [
        {
            **as_json(difference, ("mean", "ci95", "n", "win_fraction", "p_value")),
            "p_holm": p_holm,
            "direction": direction(difference, p_holm),
        }
        for difference, p_holm in zip(differences, corrected, strict=True)
    ]
    arms = [
        {
            "arm": key,
            "title": CANDIDATES[key].title,
            "best": best_point(trial),
            "test": as_json(summarize(values), TEST_FIELDS),
            "difference": difference,
            "dead_fraction": mean_fraction(run.dead_units_of(trial), "dead"),
            "inactive_fraction": mean_fraction(run.dead_units_of(trial), "inactive"),
            "epoch_seconds": _epoch_seconds(run, trial),
        }
        for key, trial, values, difference in zip(
            net.arms, chosen, accuracies, [None, *against], strict=True
        )
    ]
    return {"net": net.name, "title": net.title, "arms": arms}


def _epoch_seconds(run: RunFolder, trial: TrialRow) -> float:
    """Median over the retrainings, each with its share of building the net and of validation."""
    n_epochs = {}
    for row in run.epochs:
        if (row.phase, row.arm, row.trial_id) == ("retrain", trial.arm, trial.trial_id):
            n_epochs[row.seed] = n_epochs.get(row.seed, 0) + 1
    seconds = [row.seconds / n_epochs[row.seed] for row in run.retrainings_of(trial)]
    return round(float(np.median(seconds)), 3)


def make_verdict(nets: Sequence[dict[str, Any]]) -> str:
    """One sentence that claims a difference only where `direction` found one."""
    compared = [arm for net in nets for arm in net["arms"] if arm["difference"]]
    if not compared:
        return "ReLU was run alone, so there is nothing to compare it with."
    n_seeds, n_arms = compared[0]["difference"]["n"], max(len(net["arms"]) for net in nets) - 1
    if n_seeds == 1:
        return "One seed has no interval, so nothing follows from the differences to ReLU."
    setting = (
        f"{n_seeds} paired seeds, Holm's correction over the {n_arms} comparisons with ReLU in a "
        "net"
    )
    claims = [claim for net in nets if (claim := _claim(net))]
    n_claimed = sum(arm["difference"]["direction"] != 0 for arm in compared)
    n_left = len(compared) - n_claimed
    if not claims:
        return f"No difference that {n_seeds} seeds can show in any net ({setting})."
    end = (
        f"; the other {n_left} of {len(compared)} comparisons: no difference that {n_seeds} seeds "
        "can show"
    )
    return f"{'; '.join(claims)}{end if n_left else ''} ({setting}; differences in points)."


def _claim(net: dict[str, Any]) -> str:
    """What a net shows, such as "8 hidden layers: better than ReLU is ELU 1 (+0.30)"."""
    parts = []
    for sign, word in ((1, "better"), (-1, "worse")):
        names = [
            f"{arm['title']} ({100 * arm['difference']['mean']:+.2f})"
            for arm in net["arms"]
            if arm["difference"] and arm["difference"]["direction"] == sign
        ]
        if names:
            parts.append(f"{word} than ReLU {'is' if len(names) == 1 else 'are'} {_list(names)}")
    return f"{net['title']}: {', '.join(parts)}" if parts else ""


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
