"""Searches one arm, without the rest of a run."""

import dataclasses

import numpy as np
from rich.console import Console

from recipes.common.lanes import OwnLane, run_jobs
from recipes.common.options import resolve
from recipes.common.progress import Progress
from recipes.common.run_folder import RunFolder
from recipes.common.search import ArmSearch, best_trial
from recipes.common.search_options import MnistOptions
from recipes.common.space import arms
from recipes.common.work import Workplace

CONFIG = {"given": {}, "options": {}, "fingerprint": {}, "arms": ["leaky_relu", "relu", "elu"]}


def make_options(**changes):
    base = MnistOptions(model="mlp", precision="float32", epochs=1, trials=3, batch_size=50)
    return resolve(dataclasses.replace(base, **changes))


def run_arm(options, data, path, index=0):
    """Runs one arm for real and returns its run folder."""
    run = RunFolder.open(path) if path.exists() else RunFolder.create(path, CONFIG, overwrite=False)
    search(arms(options)[index], options, data, run)
    return run


def search(arm, options, data, run, lanes=None):
    progress = Progress(Console(quiet=True), 1, 1)
    lanes = lanes or OwnLane(Workplace(options, data, {arm.name: arm}), progress)
    run_jobs([ArmSearch(arm, options, run, progress)], lanes)
    best_trial(run, arm.name)


def results(run):
    return [dataclasses.replace(row, seconds=0) for row in run.trials]


def smooth(alpha, learning_rate, seed):
    """A score for `fake_training`."""
    return 0.9 - 0.1 * abs(np.log10(learning_rate) + 2.5) - 0.1 * abs((alpha or 0) - 0.1)
