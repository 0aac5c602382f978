"""Our search, stock KerasTuner's and Optuna's, each as a function of a number of trials."""

import time
from functools import partial
from typing import Any

import keras
import keras_tuner

from benchmarks.search_cases import BATCH_SIZE, SEED, make_build
from keras_leaky import tuning


class Stopwatch:
    """Seconds and score of every trial, and how many of the seconds were epochs with validation."""

    def __init__(self, on_trial_end=lambda: None):
        self.seconds, self.in_epochs, self.scores = [], [], []
        self._on_trial_end = on_trial_end

    def start(self):
        self._trial_start, self._in_epochs = time.perf_counter(), 0.0

    def start_epoch(self):
        self._epoch_start = time.perf_counter()

    def end_epoch(self):
        self._in_epochs += time.perf_counter() - self._epoch_start

    def end_trial(self, score):
        """Notes a trial; the next one starts."""
        self.seconds.append(time.perf_counter() - self._trial_start)
        self.in_epochs.append(self._in_epochs)
        self.scores.append(score)
        self._on_trial_end()
        self.start()


def load_peers(names, folder, precision, console):
    """Those of `names` that are installed: name -> function (case, data, stopwatch).

    What the function returns, called with n, runs n more trials of its search. `precision` is that
    of ours.
    """
    peers: dict[str, Any] = {
        "ours": partial(keras_search, tuning.RandomSearch, folder / "ours", precision),
        "stock": partial(keras_search, keras_tuner.RandomSearch, folder / "stock", "float32"),
    }
    if "optuna" in names:
        try:
            from benchmarks import search_optuna

            peers["optuna"] = search_optuna.optuna_search
            console.print(search_optuna.describe(), highlight=False)
        except ImportError as error:
            console.print(f"PyTorch or Optuna is not installed: {error}", highlight=False)
    return {name: peers[name] for name in names if name in peers}


def keras_search(tuner_class, folder, precision, case, data, stopwatch):
    (x, y), validation_data = data
    tuner = tuner_class(
        make_build(case, precision),
        "val_accuracy",
        max_trials=0,
        seed=SEED,
        directory=folder,
        overwrite=True,
    )
    on_trial_end = tuner.on_trial_end
    # Tuners copy their callbacks for every trial; functions stay the same ones.
    epochs = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: stopwatch.start_epoch(),
        on_epoch_end=lambda epoch, logs: stopwatch.end_epoch(),
    )

    def end_trial(trial):
        on_trial_end(trial)
        trial = tuner.oracle.get_trial(trial.trial_id)
        if trial.status != "COMPLETED":
            raise RuntimeError(f"{tuner_class.__module__}: {trial.status}, {trial.message}")
        stopwatch.end_trial(trial.score)

    def run(n_trials):
        tuner.oracle.max_trials += n_trials
        tuner.search(
            x,
            y,
            validation_data=validation_data,
            epochs=case.n_epochs,
            batch_size=BATCH_SIZE,
            callbacks=[epochs],
            verbose=0,
        )

    tuner.on_trial_end = end_trial
    return run
