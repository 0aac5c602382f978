"""What a finished comparison's folder holds, read and checked once for the plots and the page."""

from dataclasses import dataclass
from typing import Any

from recipes.common.errors import InputError
from recipes.common.outcome import ArmOutcome, read_arm, read_summary
from recipes.common.run_folder import RunFolder

_SUMMARY = {
    *("data_source", "data_title", "n_failed", "nets", "seconds", "verdict", "warning"),
}


@dataclass(frozen=True)
class ComparedArm:
    """One arm in one net.

    Attributes:
        key: What the arm is called in every net.
        result: Its numbers in summary.json.
        outcome: Its rows.
    """

    key: str
    result: dict[str, Any]
    outcome: ArmOutcome


@dataclass(frozen=True)
class NetOutcome:
    """One net; ReLU's arm comes first."""

    title: str
    arms: list[ComparedArm]


@dataclass(frozen=True)
class Comparison:
    """A finished comparison."""

    run: RunFolder
    config: dict[str, Any]
    environment: dict[str, Any]
    summary: dict[str, Any]
    nets: list[NetOutcome]


def read_comparison(run: RunFolder) -> Comparison:
    """Reads a finished comparison.

    Raises:
        InputError: The run is not finished, or its files do not fit each other.
    """
    summary, environment = read_summary(run, _SUMMARY)
    try:
        nets = [_read_net(run, net) for net in summary["nets"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{run.path}/summary.json is damaged: {error!r} in its nets.") from error
    return Comparison(run, run.config, environment, summary, nets)


def _read_net(run: RunFolder, net: dict[str, Any]) -> NetOutcome:
    arms = []
    for arm in net["arms"]:
        name = f"{net['net']}/{arm['arm']}"
        outcome = read_arm(run, name, arm["title"], arm["best"], arm["test"])
        arms.append(ComparedArm(arm["arm"], arm, outcome))
    return NetOutcome(net["title"], arms)
