"""report.html: one self-contained file, and the table that a terminal shows at the end."""

from typing import Any

import numpy as np
from rich.table import Table

from keras_leaky.rectifiers import entry_of
from recipes.common.dead_units import missed_fraction
from recipes.common.outcome import Outcome, arm_results, read_outcome
from recipes.common.plots import draw_plots
from recipes.common.rendering import failures, format_interval, write_report
from recipes.common.run_folder import RunFolder

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
    saved = run.model_row
    write_report(
        run,
        "report.html.j2",
        plots,
        {**CAPTIONS, "dead_units": _dead_units_caption(run)},
        outcome=outcome,
        summary=outcome.summary,
        title=f"{outcome.arms[0].title} on {outcome.summary['data_title']}",
        rows=result_rows(outcome.summary),
        units=unit_rows(outcome),
        failed=failures(outcome.arms),
        n_other_tests=len(run.retrainings) - sum(len(arm.retrainings) for arm in outcome.arms),
        saved_seed=saved.seed if saved in outcome.arms[0].retrainings else None,
        load_lines=load_lines(run),
    )


def _dead_units_caption(run: RunFolder) -> str:
    n_samples = run.dead_units[0].n_samples if run.dead_units else 1
    return (
        "Units are the features of a dense layer and the channels of a convolution, at the best "
        "epoch of each retraining. Inactive: no positive pre-activation on the first "
        f"{n_samples:,} validation images. Dead: none of these images gives the unit a gradient, "
        f"in the precision of the training. Counting 0 of {n_samples:,} still allows (95 %) that a "
        f"unit is active on up to {missed_fraction(n_samples):.2%} of such images. Left: means "
        "over the seeds. Right: the active fraction, the share of positive pre-activations; box: "
        "quartiles and median of the units of all seeds, whiskers: the least and the most active."
    )


def unit_rows(outcome: Outcome) -> list[dict[str, str]]:
    """The table of dead units, one row an arm and layer, as text."""
    return [
        {
            "arm": arm.title,
            "layer": layer.layer.replace("_", " "),
            "units": str(layer.n_units),
            "dead": f"{layer.dead_fraction:.1%}",
            "inactive": f"{layer.inactive_fraction:.1%}",
            "median active fraction": f"{np.median(layer.active_fraction):.2f}",
            "n": str(layer.n_seeds),
        }
        for arm in reversed(outcome.arms)  # the baseline on top
        for layer in arm.layers
    ]


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
            "arm": entry_of(arm).title,
            "alpha": "" if best["alpha"] is None else f"{best['alpha']:.4g}",
            "learning rate": f"{best['learning_rate']:.3g}",
            "validation": f"{best['val_accuracy']:.2%}",
            "test": f"{test['mean']:.2%}",
            "std": "" if test["std"] is None else f"{100 * test['std']:.2f}",
            "95 % interval": format_interval(test["ci95"], "{:.2f}"),
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
                "95 % interval": format_interval(difference["ci95"], "{:+.2f}"),
                "n": str(difference["n"]),
            }
        )
    return rows


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
