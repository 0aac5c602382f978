"""The results of a study as rows of text: for the page, and as a table in a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from keras_leaky.study.outcome import ArmOutcome, Outcome
from keras_leaky.study.report.view import format_score, format_spread
from keras_leaky.study.wording import format_change, format_interval, format_number

RESULTS = {1: "helps", -1: "hurts", 0: ""}


def result_table(outcome: Outcome) -> Table:
    """The results in at most 80 columns, one row an arm."""
    kind = "test" if outcome.has_test else "validation"
    columns = ["arm", "alpha", "rate", kind, "difference", "95 % interval", "result"]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        is_first = column == "arm"
        table.add_column(
            column,
            justify="left" if is_first else "right",
            no_wrap=not is_first,
            overflow="fold" if is_first else "ellipsis",
            min_width=8 if is_first else None,
        )
    for arm in outcome.arms.values():
        cells = arm_cells(outcome, arm)
        row = [cells["alpha"], cells["learning rate"], cells["mean"] or "no result"]
        shown = outcome.differences[arm.name].direction if cells["difference"] else 0
        row += [cells["difference"], cells["95 % interval"], RESULTS[shown]]
        table.add_row(Text(arm.title), *map(Text, row), style="bold" if shown else "")
    return table


def arm_cells(outcome: Outcome, arm: ArmOutcome) -> dict[str, str]:
    """All cells of an arm's table rows, as text; empty if there is no value."""
    metric = outcome.metric
    final = arm.test if outcome.has_test else arm.validation
    difference = outcome.differences.get(arm.name)
    own: Mapping[str, Any] = arm.best.hyperparameters if arm.best else {}
    others = {k: v for k, v in own.items() if k not in ("alpha", "learning_rate")}
    rows = [row for row in outcome.trials if row.arm == arm.name]
    counts = {status: sum(row.status == status for row in rows) for status in
              ("STOPPED", "DIVERGED", "FAILED")}  # fmt: skip
    return {
        "arm": arm.title,
        "alpha": format_value(own.get("alpha")),
        "learning rate": format_value(own.get("learning_rate")),
        "other": ", ".join(f"{name} {format_value(value)}" for name, value in others.items()),
        "search": format_score(arm.best.score, metric) if arm.best else "",
        "mean": format_score(final.mean, metric, final.std) if final else "",
        "std": format_spread(final.std, metric) if final and final.std is not None else "",
        "interval of the mean": " to ".join(
            format_score(end, metric, final.std) for end in final.ci95
        )
        if final and final.ci95 else "",
        "n": str(final.n) if final else "",
        "difference": format_change(difference, metric)
        if difference else "",
        "95 % interval": format_interval(difference.ci95, metric)
        if difference and difference.ci95 else "",
        "with examples": format_interval(difference.ci95_examples, metric)
        if difference and difference.ci95_examples else "",
        "pairs won": f"{100 * difference.win_fraction:.0f} %" if difference else "",
        "result": RESULTS[difference.direction] if difference else "",
        "p (Holm)": format_p_value(difference.p_holm) if difference else "",
        "dead": format_fraction(arm.dead_fraction),
        "inactive": format_fraction(arm.inactive_fraction),
        "s/epoch": "" if arm.epoch_seconds is None else format_number(arm.epoch_seconds),
        "trials": str(len(rows)),
        "epochs": str(sum(row.epochs for row in rows)),
        **{status.lower(): str(n) if n else "" for status, n in counts.items()},
    }  # fmt: skip


def format_value(value: Any) -> str:
    """A hyperparameter."""
    if value is None:
        return ""
    return format_number(value, 3) if isinstance(value, float) else str(value)


def format_fraction(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f} %"


def format_p_value(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
