"""report.html of a run: one self-contained file."""

import base64
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from recipes.common.drawing import draw_png
from recipes.common.dying.born_dead import CHECKED
from recipes.common.dying.collapse import DEPTH, LEARNED_RMSE, TOLERANCE, WIDTH, NetRow
from recipes.common.dying.intervals import percent
from recipes.common.dying.plots_after import draw_collapse, draw_functions
from recipes.common.dying.plots_before import draw_born_dead, draw_remedies
from recipes.common.dying.plots_during import draw_comparison, draw_over_epochs, draw_revival
from recipes.common.dying.results import BornDead, Collapse, Results, TrainingDeath

LITERATURE = importlib.resources.files("recipes.common.dying").joinpath("literature.html")


def plots_of(part: BornDead | Collapse | TrainingDeath) -> dict[str, bytes]:
    """The pictures of one part: name and PNG."""
    if isinstance(part, BornDead):
        functions = {"born_dead": draw_born_dead, "born_dead_remedies": draw_remedies}
    elif isinstance(part, Collapse):
        functions = {"collapse": draw_collapse, "collapse_functions": draw_functions}
    else:
        functions = {
            "dead_over_epochs": draw_over_epochs,
            "remedies": draw_comparison,
            "revival": draw_revival,
        }
    return {name: draw_png(function, part) for name, function in functions.items()}


def make_page(
    results: Results,
    plots: Mapping[str, bytes],
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> str:
    """Puts the page together.

    Args:
        plots: All that `plots_of` drew.
        summary, config, environment: The contents of these files.
    """
    folder = importlib.resources.files("recipes.common.dying")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        folder.joinpath("page.html.j2").read_text()
    )
    return template.render(
        results=results,
        images={name: base64.b64encode(png).decode("ascii") for name, png in plots.items()},
        summary=summary,
        config=config,
        environment=environment,
        literature=LITERATURE.read_text(),
        checked=[row for row in results.born_dead.nets if (row.depth, row.width) in CHECKED],
        collapse=(DEPTH, WIDTH, TOLERANCE, LEARNED_RMSE),
        other_tolerances=_other_tolerances(results.collapse.nets),
        percent=_percent,
        interval=_interval,
        points=_points,
    )


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else percent(fraction)


def _interval(low: float | None, high: float | None) -> str:
    return (
        ""
        if low is None or high is None
        else f"{percent(low).removesuffix(' %')} to {percent(high)}"
    )


def _points(value: float | None) -> str:
    # Adding 0 turns a rounded -0.0 into 0.0.
    return "" if value is None else f"{round(100 * value, 1) + 0:+.1f}"


def _other_tolerances(nets: Sequence[NetRow]) -> list[tuple[str, list[str]]]:
    """The collapsed share of every arm under criteria ten times as strict and five times as lax."""
    rows = []
    for tolerance in (TOLERANCE / 10, TOLERANCE, 5 * TOLERANCE):
        shares = []
        for arm in dict.fromkeys(row.arm for row in nets):
            ranges = [row.range for row in nets if row.arm == arm]
            limit = tolerance * 3**0.5
            n = sum(output is not None and output < limit for output in ranges)
            shares.append(percent(n / len(ranges)))
        rows.append((f"{100 * tolerance:g} %", shares))
    return rows
