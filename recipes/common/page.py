"""report.html: one self-contained file, and the table that a terminal shows at the end."""

import base64
import importlib.resources
from typing import Any

import jinja2
from rich.table import Table

from recipes.common.atomic import write_atomically
from recipes.common.errors import InputError
from recipes.common.outcome import Outcome, arm_results, read_outcome
from recipes.common.plots import draw_plots
from recipes.common.progress import format_point
from recipes.common.run_folder import RunFolder
from recipes.common.statistics import TITLES

CAPTIONS = {
    "trials": "Every trial of the search: where it lies and how well it did on the validation "
    "images. The scale follows the logarithm of the error, or the good ones would look alike.",
    "learning_rate": "The same trials and those of the baseline, against the learning rate alone.",
    "learning_curves": "The retrainings of the chosen points. Thin: one seed. Thick: their mean.",
    "test_accuracy": "The held-out test split, used once for each retraining: one dot a seed, the "
    "same seeds joined; beside them the mean and its 95 % interval.",
}


def write_page(run: RunFolder) -> None:
    """Draws the plots and the page of a finished run again, from its files alone.

    Raises:
        InputError: The run is not finished or damaged, or the files cannot be written.
    """
    outcome = read_outcome(run)
    plots = draw_plots(outcome)
    template = importlib.resources.files("recipes.common").joinpath("report.html.j2").read_text()
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    saved = [row.seed for row in outcome.arms[0].retrainings if row.best_epoch]
    html = environment.from_string(template).render(
        outcome=outcome,
        summary=outcome.summary,
        title=f"{outcome.arms[0].title} on {outcome.summary['data_title']}",
        rows=result_rows(outcome.summary),
        images={name: base64.b64encode(png).decode("ascii") for name, png in plots.items()},
        captions=CAPTIONS,
        failed=_failures(outcome),
        n_other_tests=len(run.retrainings) - sum(len(arm.retrainings) for arm in outcome.arms),
        saved_seed=saved[0] if saved else None,
        load_lines=load_lines(run),
    )
    try:
        for name, png in plots.items():
            write_atomically(run.plot(name), png)
        write_atomically(run.page, html.encode())
    except OSError as error:
        raise InputError(f"The page cannot be written into {run.path}: {error}") from error


def _failures(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    """Arm, which training, where, and why: every training that ended early."""
    failures = []
    for arm in outcome.arms:
        for trial in arm.failed:
            point = format_point(trial.alpha, trial.learning_rate)
            failures.append((arm.title, f"trial {trial.trial_id}", point, trial.reason))
        for row in arm.retrainings:
            if row.reason:
                point = format_point(arm.best["alpha"], arm.best["learning_rate"])
                failures.append((arm.title, f"retraining, seed {row.seed}", point, row.reason))
    return failures


def load_lines(run: RunFolder) -> list[str]:
    """The lines that load best.keras and use it."""
    return [
        "import keras, keras_leaky",
        f"model = keras.saving.load_model({str(run.best_model.resolve())!r})",
        "logits = model.predict(images)  # raw uint8 images, as the data set has them",
    ]


def result_rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """The table of the outcome, one row an arm and one for their difference, as text."""
    rows = [
        {
            "arm": TITLES[arm],
            "alpha": "" if best["alpha"] is None else f"{best['alpha']:.4g}",
            "learning rate": f"{best['learning_rate']:.3g}",
            "validation": f"{best['val_accuracy']:.2%}",
            "test": f"{test['mean']:.2%}",
            "std": "" if test["std"] is None else f"{100 * test['std']:.2f}",
            "95 % interval": _interval(test["ci95"], "{:.2f}"),
            "n": str(test["n"]),
        }
        for arm, best, test in reversed(arm_results(summary))  # the baseline on top
    ]
    if difference := summary["difference"]:
        rows.append(
            {
                "arm": "difference",
                "alpha": "",
                "learning rate": "",
                "validation": "",
                "test": f"{100 * difference['mean']:+.2f}",
                "std": "",
                "95 % interval": _interval(difference["ci95"], "{:+.2f}"),
                "n": str(difference["n"]),
            }
        )
    return rows


def _interval(ci95: list[float] | None, form: str) -> str:
    return "" if ci95 is None else " to ".join(form.format(100 * bound) for bound in ci95)


def result_table(summary: dict[str, Any]) -> Table:
    """The same table for a terminal."""
    rows = result_rows(summary)
    table = Table(box=None, padding=(0, 2, 0, 0))  # fits 80 columns
    for i, column in enumerate(rows[0]):
        header = column.replace("learning rate", "learning\nrate")
        table.add_column(header, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return table
