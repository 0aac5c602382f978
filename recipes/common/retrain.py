"""The chosen point of an arm, trained again from several seeds and tested once."""

from functools import partial
from typing import Any

import keras

from keras_leaky.diagnostics import NanPreActivation, dead_units
from keras_leaky.tuning import Trainer
from recipes.common.atomic import write_model
from recipes.common.data import Split
from recipes.common.models import build_model
from recipes.common.options import RunOptions
from recipes.common.progress import Progress
from recipes.common.run_folder import (
    DeadUnitRow,
    EpochRow,
    RetrainingRow,
    RunFolder,
    TrialRow,
)
from recipes.common.search import RETRAIN_STREAM, derive_seed
from recipes.common.space import Arm
from recipes.common.training import train

N_DEAD_UNIT_IMAGES = 2000  # the first of the validation images


def retrain(
    arm: Arm,
    chosen: TrialRow,
    options: RunOptions,
    data: Split,
    run: RunFolder,
    progress: Progress,
    trainer: Trainer,
    save_model: bool,
) -> None:
    """Retrains `chosen` with `--seeds` seeds on the training split; tests each at its best epoch.

    There its units are counted too, on validation images.

    The seeds depend on the run's seed alone, so the i-th of every arm form a pair, and none of
    them is a seed of the search. A retraining that diverges counts with the accuracy of what it
    leaves: its best epoch, or a net that has learned nothing.

    Args:
        save_model: Save the first model that has a best epoch as best.keras.
    """
    assert options.epochs is not None

    def build(n_epochs: int | None) -> keras.Model:
        point = chosen.alpha, chosen.learning_rate
        return build_model(options, data, arm, *point, n_epochs)

    kept = {row.seed: row for row in run.retrainings_of(chosen)}
    saved = any(row.best_epoch for row in kept.values())
    for i in range(options.seeds):
        seed = derive_seed(options.seed, RETRAIN_STREAM, i)
        if seed in kept:
            progress.retraining_done(kept[seed], options.epochs, kept=True)
            continue
        progress.retraining_started(chosen.arm, i + 1, options.seeds)
        training = train(
            trainer,
            partial(build, options.epochs),
            data,
            seed=seed,
            n_epochs=options.epochs,
            batch_size=options.batch_size,
            on_epoch=progress.epoch_done,
        )
        best = training.best
        if save_model and best and not saved:
            write_model(run.best_model, trainer.copy(training.model, partial(build, None)))
            saved = True
        row = RetrainingRow(
            arm=chosen.arm,
            trial_id=chosen.trial_id,
            seed=seed,
            val_accuracy=best.val_accuracy if best else None,
            test_accuracy=_test(training.model, data, options.batch_size),
            best_epoch=best.epoch if best else None,
            seconds=round(training.seconds, 3),
            reason=training.failure or "",
        )
        run.add_retraining(
            row,
            [
                EpochRow("retrain", row.arm, row.trial_id, seed, **vars(epoch))
                for epoch in training.epochs
            ],
            count_dead_units(training.model, data, row),
        )
        progress.retraining_done(row, options.epochs)
    if save_model and not saved:  # what an earlier choice of point may have left
        run.best_model.unlink(missing_ok=True)


def count_dead_units(model: keras.Model, data: Split, row: RetrainingRow) -> list[DeadUnitRow]:
    """The rectifiers of a retrained net, on validation images. None where the net is one of NaN."""
    try:
        report = dead_units(model, data.x_validation[:N_DEAD_UNIT_IMAGES]).to_dict()
    except NanPreActivation:
        return []
    identity = row.arm, row.trial_id, row.seed, report["n_samples"]
    return [DeadUnitRow(*identity, **layer) for layer in report["layers"]]


def _test(model: keras.Model, data: Split, batch_size: int) -> float:
    """The fraction of test images that the model gets right.

    By `evaluate`, whose program the validation has compiled already. It counts in float32, so its
    answer is rounded back to a whole number of images.
    """
    verbose: Any = 0  # Keras's annotation knows "auto" alone
    result: Any = model.evaluate(
        data.x_test, data.y_test, batch_size=batch_size, verbose=verbose, return_dict=True
    )
    return round(result["accuracy"] * len(data.y_test)) / len(data.y_test)
