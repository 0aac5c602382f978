"""From plots and a template to report.html: one self-contained file."""

import base64
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from recipes.common.errors import InputError
from recipes.common.outcome import ArmOutcome
from recipes.common.progress import format_point
from recipes.common.run_files import write_run_file
from recipes.common.run_folder import RunFolder


def write_report(
    run: RunFolder,
    template: str,
    plots: Mapping[str, bytes],
    captions: Mapping[str, str],
    **context: Any,
) -> None:
    """Writes the plots and the page of a run.

    Args:
        template: Its path in this folder.
        plots: PNG by name, in the order of the page.
        captions: For each of them.
        **context: What else the template shows.

    Raises:
        InputError: The files cannot be written.
    """
    folder = importlib.resources.files("recipes.common")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    images = {
        name: {"data": base64.b64encode(png).decode("ascii"), "caption": captions[name]}
        for name, png in plots.items()
    }
    html = environment.get_template(template).render(images=images, **context)
    try:
        for name, png in plots.items():
            write_run_file(run.plot(name), png)
        write_run_file(run.page, html.encode())
    except OSError as error:
        raise InputError(f"The page cannot be written into {run.path}: {error}") from error


def failures(arms: Sequence[ArmOutcome]) -> list[tuple[str, str, str, str]]:
    """Arm, which training, where, and why: every training that ended early."""
    found = []
    for arm in arms:
        for trial in arm.failed:
            point = format_point(trial.alpha, trial.learning_rate)
            found.append((arm.title, f"trial {trial.trial_id}", point, trial.reason))
        for row in arm.retrainings:
            if row.has_diverged:
                point = format_point(arm.best["alpha"], arm.best["learning_rate"])
                found.append((arm.title, f"retraining, seed {row.seed}", point, row.reason))
    return found


def format_interval(ci95: Sequence[float] | None, form: str) -> str:
    """An interval of fractions in percent, or nothing."""
    return "" if ci95 is None else " to ".join(form.format(100 * bound) for bound in ci95)
