"""Means, intervals and the verdict: what several seeds allow to be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from keras_leaky.rectifiers import entry_of


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (ddof 1) and 95 % interval (Student t) of one number a seed.

    One seed has neither spread nor interval: `std` and `ci95` are None.
    """

    mean: float
    std: float | None
    n: int
    ci95: tuple[float, float] | None


def summarize(values: Sequence[float]) -> Summary:
    """Summarizes one value a seed.

    Raises:
        ValueError: `values` is empty.
    """
    n = len(values)
    if n == 0:
        raise ValueError("`values` must hold at least one number. Received: values=[]")
    mean = float(np.mean(values))
    if n == 1:
        return Summary(mean, None, 1, None)
    std = float(np.std(values, ddof=1))
    half_width = float(stats.t.ppf(0.975, n - 1)) * std / n**0.5
    return Summary(mean, std, n, (mean - half_width, mean + half_width))


def paired_difference(ours: Sequence[float], baseline: Sequence[float]) -> Summary:
    """Summarizes `ours - baseline`, where the i-th of both come from the same seed."""
    return summarize([a - b for a, b in zip(ours, baseline, strict=True)])


def verdict(activation: str, ours: Summary, baseline: Summary, difference: Summary) -> str:
    """One sentence that says "helps" or "hurts" only if the paired interval excludes 0."""
    name = entry_of(activation).title
    facts = f"{ours.mean:.2%} of the test images against ReLU's {baseline.mean:.2%}"
    if difference.ci95 is None:
        return (
            f"{name} gets {facts}, with one seed: one seed has no interval, so nothing follows "
            "from the difference."
        )
    low, high = difference.ci95
    if high - low < 1e-9:
        return (
            f"{name} gets {facts}: all {difference.n} seeds give the same difference, so there is "
            "no spread to judge it by. Take more seeds."
        )
    interval = (
        f"a difference of {100 * difference.mean:+.2f} points, 95 % interval "
        f"{100 * low:+.2f} to {100 * high:+.2f}, {difference.n} paired seeds"
    )
    if low > 0:
        return f"{name} helps here: {facts} ({interval})."
    if high < 0:
        return f"{name} hurts here: {facts} ({interval})."
    return f"No difference that {difference.n} seeds can show: {name} gets {facts} ({interval})."


def as_json(summary: Any, names: Sequence[str]) -> dict[str, Any]:
    """The named fields of a summary, as they stand in summary.json."""
    fields = {name: getattr(summary, name) for name in names}
    return {key: list(v) if isinstance(v, tuple) else v for key, v in fields.items()}
