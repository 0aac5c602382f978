"""The chosen point of an arm, trained again from several seeds and tested once."""

import numpy as np

from recipes.common.data import Split
from recipes.common.models import build_model
from recipes.common.options import SearchOptions
from recipes.common.progress import Progress
from recipes.common.run_folder import EpochRow, RetrainingRow, RunFolder, TrialRow, write_model
from recipes.common.search import RETRAIN_STREAM, derive_seed
from recipes.common.training import train


def retrain(
    chosen: TrialRow,
    options: SearchOptions,
    data: Split,
    run: RunFolder,
    progress: Progress,
    save_first: bool,
) -> list[RetrainingRow]:
    """Retrains `chosen` with `--seeds` seeds on the training split; tests each at its best epoch.

    The seeds depend on the run's seed alone, so the i-th of every arm form a pair, and none of
    them is a seed of the search. A retraining that diverges counts with the accuracy of what it
    leaves: its best epoch, or a net that has learned nothing.

    Args:
        save_first: Save the model of the first seed as best.keras.
    """
    assert options.epochs is not None
    kept = {row.seed: row for row in run.retrainings if row.arm == chosen.arm}
    rows = []
    for i in range(options.seeds):
        seed = derive_seed(options.seed, RETRAIN_STREAM, i)
        if seed in kept:
            progress.retraining_done(kept[seed], options.epochs, kept=True)
            rows.append(kept[seed])
            continue
        progress.retraining_started(chosen.arm, i + 1, options.seeds)
        training = train(
            lambda: build_model(
                options, data.image_shape, chosen.arm, chosen.alpha, chosen.learning_rate
            ),
            data,
            seed=seed,
            n_epochs=options.epochs,
            batch_size=options.batch_size,
            on_epoch=progress.epoch_done,
        )
        if save_first and i == 0:
            write_model(run.best_model, training.model)
        logits = training.model.predict(data.x_test, batch_size=1000, verbose=0)
        best = training.best
        row = RetrainingRow(
            arm=chosen.arm,
            seed=seed,
            val_accuracy=best.val_accuracy if best else None,
            test_accuracy=float(np.mean(np.argmax(logits, axis=1) == data.y_test)),
            best_epoch=best.epoch if best else None,
            seconds=round(training.seconds, 3),
            reason=training.failure or "",
        )
        epochs = [EpochRow(row.arm, "", seed, **vars(epoch)) for epoch in training.epochs]
        run.add_retraining(row, epochs)
        progress.retraining_done(row, options.epochs)
        rows.append(row)
    return rows
