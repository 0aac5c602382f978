"""report.html of a comparison, and the table that a terminal shows at the end."""

from typing import Any

from rich.console import Group
from rich.table import Table

from recipes.common.comparing.outcome import Comparison, read_comparison
from recipes.common.comparing.plots import draw_plots
from recipes.common.comparing.statistics import LEVEL, N_RESAMPLES
from recipes.common.dead_units import missed_fraction
from recipes.common.rendering import failures, format_interval, write_report
from recipes.common.run_folder import RunFolder


def write_page(run: RunFolder) -> None:
    """Draws the plots and the page of a finished comparison again, from its files alone.

    Raises:
        InputError: The run is not finished or damaged, or the files cannot be written.
    """
    comparison = read_comparison(run)
    arms = [arm.outcome for net in comparison.nets for arm in net.arms]
    write_report(
        run,
        "comparing/page.html.j2",
        draw_plots(comparison),
        _captions(comparison),
        outcome=comparison,
        summary=comparison.summary,
        title=f"Activations on {comparison.summary['data_title']}",
        nets=[(net["title"], result_rows(net)) for net in comparison.summary["nets"]],
        failed=failures(arms),
        n_seeds=len(arms[0].retrainings),
        n_other_tests=len(run.retrainings) - sum(len(arm.retrainings) for arm in arms),
        level=LEVEL,
        n_resamples=N_RESAMPLES,
    )


def _captions(comparison: Comparison) -> dict[str, str]:
    units = comparison.run.dead_units
    n_samples = units[0].n_samples if units else 1
    return {
        "forest": "Difference to ReLU in the same net, in points of test accuracy. Disc: the mean "
        "over the seeds, filled where it survives the correction; line: its bootstrap 95 % "
        "interval; ticks: the pairs of seeds. The panels have scales of their own.",
        "learning_rate": "Every trial of the search: what an activation makes of each learning "
        "rate. All arms were offered the same rates; Leaky ReLU tuned differs in its slope from "
        "trial to trial as well. Crosses on the axis: trials that failed. The scale follows the "
        "logarithm of the error.",
        "dead_units": "Hidden units of the retrained nets at their best epoch, mean over seeds and "
        f"layers. Inactive: no positive pre-activation on the first {n_samples:,} validation "
        "images. Dead: inactive, and the derivative is 0 there, so that the unit gets no gradient "
        f"from them; only ReLU can do that. Counting 0 of {n_samples:,} still allows (95 %) that a "
        f"unit is active on up to {missed_fraction(n_samples):.2%} of such images.",
    }


def result_rows(net: dict[str, Any]) -> list[dict[str, str]]:
    """The table of one net, one row an arm, as text."""
    return [_row(arm) for arm in net["arms"]]


def _row(arm: dict[str, Any]) -> dict[str, str]:
    best, test, difference = arm["best"], arm["test"], arm["difference"]
    against = {"difference": "", "95 % interval": "", "beats ReLU": "", "p (Holm)": ""}
    if difference:
        against = {
            "difference": f"{100 * difference['mean']:+.2f}",
            "95 % interval": format_interval(difference["ci95"], "{:+.2f}"),
            "beats ReLU": f"{difference['win_fraction']:.0%}",
            "p (Holm)": _p_value(difference["p_holm"]),
        }
    return {
        "arm": arm["title"],
        "alpha": "" if best["alpha"] is None else f"{best['alpha']:.3g}",
        "learning rate": f"{best['learning_rate']:.2g}",
        "test": f"{test['mean']:.2%}",
        "std": "" if test["std"] is None else f"{100 * test['std']:.2f}",
        **against,
        "dead": _percent(arm["dead_fraction"]),
        "inactive": _percent(arm["inactive_fraction"]),
        "s/epoch": f"{arm['epoch_seconds']:.2f}",
        "n": str(test["n"]),
    }


def _p_value(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"


def result_tables(summary: dict[str, Any]) -> Group:
    """The essence of it for a terminal of 80 columns, one table a net."""
    columns = ("arm", "test", "difference", "95 % interval", "beats ReLU", "p (Holm)")
    tables = []
    for net in summary["nets"]:
        table = Table(
            title=net["title"], title_justify="left", title_style="bold", box=None,
            padding=(0, 2, 0, 0),
        )  # fmt: skip
        for column in columns:
            header = column.replace(" ReLU", "\nReLU")
            table.add_column(header, justify="left" if column == "arm" else "right", no_wrap=True)
        for row in result_rows(net):
            table.add_row(*(row[column] for column in columns))
        tables.append(table)
    return Group(*tables)
