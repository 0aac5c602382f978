"""report.html: one file that needs nothing else, and plots/*.svg beside it."""

import importlib.resources
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_leaky import storage
from keras_leaky.study.errors import InputError
from keras_leaky.study.good_points import is_searched
from keras_leaky.study.importance import MIN_TRIALS
from keras_leaky.study.outcome import ArmOutcome, Outcome
from keras_leaky.study.report import result_plots, search_plots
from keras_leaky.study.report.style import color_classes, file_style, page_style
from keras_leaky.study.report.table import arm_cells, format_fraction, format_value
from keras_leaky.study.report.view import MAX_TOLD, Picture, View, space_scale
from keras_leaky.study.statistics import MIN_SEEDS
from keras_leaky.study.wording import capitalize, describe_fraction, list_names, metric_title

_MAX_FAILURES = 100  # rows on the page; trials.csv has them all
_MAX_LAYER_PICTURES = 4


@dataclass(frozen=True)
class Section:
    """A heading, how to read what follows, and its pictures."""

    title: str
    note: str
    pictures: list[Picture]


def write_report(outcome: Outcome) -> Path:
    """Writes report.html and plots/*.svg of a study, from its outcome alone.

    Returns:
        The path of the page.

    Raises:
        InputError: The files cannot be written, or Optuna is not installed.
        WriteError: The disk is full.
    """
    outcome = outcome.of_chosen_points()
    view = View(outcome)
    sections = [section for section in _sections(view) if section.pictures]
    failures = failure_rows([outcome])
    html = _render(
        "page.html.j2",
        title=outcome.title or "Study",
        style=page_style(view.colors.values()),
        outcome=outcome,
        sections=sections,
        facts=_facts(outcome),
        verdict=split_verdict(outcome.verdict),
        table=_arm_table(outcome),
        layers=_layer_table(view),
        budget_note=_budget_note(outcome),
        edge_note=_edge_note(view),
        failures=failures[:_MAX_FAILURES],
        n_failures=len(failures),
        model_path=repr(str(outcome.best_keras)),
        recommended=outcome.arms[outcome.recommended].title if outcome.recommended else None,
        settings=flatten(outcome.settings),
        environment=flatten(outcome.environment),
    )
    style = file_style(view.colors.values())
    pictures = [picture for section in sections for picture in section.pictures]
    return _write(outcome.directory, html, {p.name: p.draw(style) for p in pictures})


def write_joint_report(outcomes: Mapping[str, Outcome], directory: Path, title: str = "") -> Path:
    """Writes report.html and plots/*.svg across the studies of several nets.

    Every net has a page of its own in its folder.

    Args:
        outcomes: Outcomes by the name of their net.
        directory: Folder of the page.

    Returns:
        The path of the page.

    Raises:
        InputError: The files cannot be written.
        WriteError: The disk is full.
    """
    directory = Path(directory)
    outcomes = {net: outcome.of_chosen_points() for net, outcome in outcomes.items()}
    arms = {name: arm for outcome in outcomes.values() for name, arm in outcome.arms.items()}
    views = {
        net: View(outcome, f"{i}_", MAX_TOLD // len(outcomes), arms)
        for i, (net, outcome) in enumerate(outcomes.items())
    }
    colors = list(color_classes(arms.values()).values())
    drawn = [
        (
            net,
            [p for p in (result_plots.draw_differences(view), result_plots.draw_seeds(view)) if p],
            _joint(view),
        )
        for net, view in views.items()
    ]
    pages = {net: _relative(outcome.page, directory) for net, outcome in outcomes.items()}
    failures = failure_rows(outcomes.values())
    html = _render(
        "joint.html.j2",
        title=title or "Studies",
        style=page_style(colors),
        outcomes=outcomes,
        pages=pages,
        verdicts={net: split_verdict(outcome.verdict) for net, outcome in outcomes.items()},
        drawn=drawn,
        tables={net: _arm_table(outcome) for net, outcome in outcomes.items()},
        failures=failures[:_MAX_FAILURES],
        n_failures=len(failures),
    )
    style = file_style(colors)
    pictures = [p for _, first, second in drawn for p in (*first, *second)]
    return _write(directory, html, {p.name: p.draw(style) for p in pictures})


def _joint(view: View) -> list[Picture]:
    found = [search_plots.draw_learning_rates(view), result_plots.draw_dead_units(view)]
    return [picture for picture in found if picture]


def _sections(view: View) -> Iterable[Section]:
    """The sections with pictures, in the order of the page."""
    outcome, arms = view.outcome, view.arms
    metric = metric_title(outcome.metric)
    others = [arm for arm in arms if not arm.is_baseline] or arms

    def drawn(*pictures: Picture | None) -> list[Picture]:
        return [picture for picture in pictures if picture is not None]

    yield Section(
        f"Differences from {view.baseline.title}",
        "Mark: mean over the seeds, filled if the arm helps or hurts. Thick line: 95 % interval "
        "over seeds. Thin line: interval over seeds and test examples. Each tick: one pair of "
        "trainings from the same seed.",
        drawn(result_plots.draw_differences(view), result_plots.draw_seeds(view)),
    )
    n = view.n_astray
    astray = f" Much worse trials are drawn at the edge: {n} of {len(outcome.trials)}." if n else ""
    reading = (
        "One mark is one trial of the search. Ring: the chosen point. Shaded: the range of points "
        "as good as the best. Dashed: the score that such points reach. A worse trial in the "
        f"shaded range has a worse value of another hyperparameter. {_rungs_note(outcome)}Crosses: "
        f"trials without a score. Point at a mark to read its values.{astray}"
    )
    if outcome.metric.is_fraction and outcome.metric.direction == "max":
        reading += " The distance to 100 % is on a logarithmic axis."
    yield Section(
        f"{capitalize(metric)} against alpha and learning rate",
        reading,
        drawn(
            *(
                draw(view, arm)
                for arm in others
                for draw in (search_plots.draw_alpha, search_plots.draw_learning_rate)
            )
        ),
    )
    note = (
        "Color: the score, from dark (worst) to yellow (best). Dashed box: points as good as the "
        "best. Ring: the chosen point."
    )
    if view.importance is None:
        note += " Optuna is not installed, so the importance of the hyperparameters is missing."
    elif view.importance:
        note += (
            " Importance: how much each hyperparameter decides whether a trial is among the best "
            f"of its arm (PED-ANOVA by Optuna, for arms with at least {MIN_TRIALS} trials)."
        )
    yield Section(
        "Alpha and learning rate together",
        note,
        drawn(
            *(search_plots.draw_plane(view, arm) for arm in others),
            search_plots.draw_importance(view),
        ),
    )
    yield Section(
        "Learning curves",
        "The final retrainings of the chosen points. Thin: one seed. Thick: the mean.",
        drawn(
            result_plots.draw_curves(view, "loss"),
            result_plots.draw_curves(view, outcome.metric.objective),
        ),
    )
    shown = [arm for arm in arms if arm.is_baseline or arm.name == outcome.recommended]
    shown += [arm for arm in arms if arm not in shown]
    layers = [result_plots.draw_layers(view, arm) for arm in shown[:_MAX_LAYER_PICTURES]]
    n_samples = max((row.n_samples for row in outcome.dead_units), default=0)
    yield Section(
        "Dead units",
        f"Units of the final retrainings, on {n_samples:,} validation examples. Inactive: the unit "
        "fires on none of them. Dead: it also receives no gradient. In the pictures by layer, the "
        "box shows the quartiles of the units. The line reaches from the least to the most active "
        "unit.",
        drawn(result_plots.draw_dead_units(view), *layers),
    )


def split_verdict(verdict: str) -> tuple[str, str]:
    """The first sentence, and the rest."""
    first, end, rest = verdict.partition(". ")
    return (f"{first}.", rest) if end else (verdict, "")


def _facts(outcome: Outcome) -> list[str]:
    """The size of the study, in a line under the verdict."""
    finals = [row for row in outcome.retrainings if row.stage == "final"]
    seeds = {row.seed for row in finals}
    facts = [f"{len(outcome.arms)} arms", f"{len(outcome.trials):,} trials"]
    if seeds:
        facts.append(f"{len(seeds)} seeds for each chosen point")
    facts.append(f"{_duration(outcome.seconds)} of training")
    return facts


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _edge_note(view: View) -> str:
    """Names the arms whose chosen point lies at an end of what was searched."""
    found = []
    for arm in view.arms:
        own = arm.best.hyperparameters if arm.best else {}
        for name, space in arm.space.items():
            value = own.get(name)
            if not isinstance(value, int | float) or not is_searched(space):
                continue
            place = space_scale([], [space]).place(value)
            if not 0.07 < place < 0.93:  # the axis itself is longer by a margin
                found.append(f"{arm.title} ({name.replace('_', ' ')})")
    if not found:
        return ""
    return (
        f"The chosen point lies at an end of the searched range: {list_names(found, 5)}. Better "
        "points may lie beyond it."
    )


def _arm_table(outcome: Outcome) -> list[dict[str, Any]]:
    """Rows of the table of arms, without columns that are empty for all."""
    kind = "test" if outcome.has_test else "validation"
    titles = {"mean": f"{kind} mean", "search": "search score"}
    rows = [arm_cells(outcome, arm) for arm in outcome.arms.values()]
    columns = [column for column in rows[0] if any(row[column] for row in rows)]
    # What decides comes first.
    first = ["arm", "result", "difference", "95 % interval", "p (Holm)", "mean", "std"]
    columns.sort(key=lambda column: first.index(column) if column in first else len(first))
    return [
        {
            "cells": {titles.get(column, column): row[column] for column in columns},
            "failure": arm.failure,
        }
        for row, arm in zip(rows, outcome.arms.values(), strict=True)
    ]


def _layer_table(view: View) -> list[tuple[str, ...]]:
    """The columns, then a row for each arm and layer; empty if no units were counted."""
    rows = [
        (
            arm.title,
            row.layer,
            row.kind,
            str(row.n_units),
            format_fraction(row.dead_fraction),
            format_fraction(row.inactive_fraction),
            str(row.n_seeds),
        )
        for arm in view.arms
        for row in result_plots.layer_rows(view.outcome.dead_units, arm.name)
    ]
    columns = ("arm", "layer", "activation", "units", "dead", "inactive", "n")
    return [columns, *rows] if rows else []


def _budget_note(outcome: Outcome) -> str:
    """Says so if arms had different budgets."""
    rows = {arm: [row for row in outcome.trials if row.arm == arm] for arm in outcome.arms}
    trials = {arm: len(own) for arm, own in rows.items()}
    epochs = {arm: sum(row.epochs for row in own) for arm, own in rows.items()}
    if min(trials.values()) < max(trials.values()):
        return "The arms had different numbers of trials; more trials find better points."
    if max(epochs.values()) > 1.2 * min(epochs.values()):
        return (
            "The arms had the same number of trials, but not of epochs: hopeless trials were "
            "stopped early."
        )
    return ""


def _rungs_note(outcome: Outcome) -> str:
    """A note on successive halving; empty with another tuner."""
    own = [row for row in outcome.trials if row.arm == next(iter(outcome.arms))]
    fractions = [row.training_fraction for row in own if row.training_fraction is not None]
    if not fractions:
        return ""
    told = []
    for fraction in sorted(set(fractions)):
        n = sum(reached >= fraction for reached in fractions)
        told.append(f"{n} {describe_fraction(fraction)}")
    return (
        "Successive halving trained the points of an arm briefly, and the best of them longer: "
        f"{', '.join(told)}. Open marks: points that were stopped early, at the score of their "
        "short training. A full training scores better. "
    )


def failure_rows(outcomes: Iterable[Outcome]) -> list[tuple[str, str, str, str, str]]:
    """Arm, training, point, status and reason of every training that failed."""
    found = []
    for outcome in outcomes:
        for row in outcome.trials:
            if row.status in ("COMPLETED", "STOPPED"):
                continue
            title = outcome.arms[row.arm].title
            point = _point(row.alpha, row.learning_rate, row.hyperparameters)
            found.append((title, f"trial {row.trial_id}", point, row.status.lower(), row.reason))
        for row in outcome.retrainings:
            if not row.reason:
                continue
            arm: ArmOutcome = outcome.arms[row.arm]
            training = f"{row.stage} retraining of trial {row.trial_id}, seed {row.seed}"
            found.append((arm.title, training, "", "ended early", row.reason))
    return found


def _point(alpha: float | None, learning_rate: float | None, others: Mapping[str, Any]) -> str:
    values = {"alpha": alpha, "learning rate": learning_rate, **others}
    return ", ".join(f"{name} {format_value(v)}" for name, v in values.items() if v is not None)


def flatten(content: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested settings as names and values."""
    found: list[tuple[str, str]] = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found += flatten(value, f"{before}{key}.")
        elif value is not None and value != "" and value != {} and value != []:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            if isinstance(value, list | tuple) and all(map(_is_plain, value)):
                text = ", ".join(str(item) for item in value if item is not None)
            found.append((f"{before}{key}", text if len(text) <= 500 else f"{text[:500]}…"))
    return found


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _relative(page: Path, directory: Path) -> str:
    """A link from one page to another."""
    try:
        return page.relative_to(directory).as_posix()
    except ValueError:
        return page.resolve().as_uri()


def _render(template: str, **context: Any) -> str:
    import jinja2

    folder = importlib.resources.files("keras_leaky.study.report").joinpath("templates")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["min_seeds"] = MIN_SEEDS  # macros see only these
    return environment.get_template(template).render(**context)


def _write(directory: Path, html: str, pictures: Mapping[str, str]) -> Path:
    page = directory / "report.html"
    # Names of files may hold bytes that are not text.
    files = {directory / "plots" / f"{name}.svg": svg for name, svg in pictures.items()}
    try:
        for path, text in {**files, page: html}.items():
            storage.write_whole(path, text.encode("utf-8", "replace"))
        for path in (directory / "plots").glob("*.svg"):
            if path not in files:  # pictures of an arm or a net that is no longer there
                path.unlink()
    except storage.WriteError as error:
        if error.is_disk_full:
            raise
        raise InputError(f"{error.filename} cannot be written: {error.strerror}") from error
    return page
