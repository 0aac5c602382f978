"""The searches of `benchmarks.regret` by Optuna, on a plain PyTorch loop of the same nets."""

# pyright: reportMissingImports=false
# PyTorch and Optuna are measured where they are installed.

import math

import keras
import numpy as np
import optuna
import torch
from torch import nn

from benchmarks.regret_peers import ALPHA
from benchmarks.search_cases import CASES
from benchmarks.search_optuna import (
    DEVICE,
    measure_accuracy,
    stack_layers,
    to_device,
    train_epoch,
)
from keras_leaky.initializers import gain
from recipes.nets import Triangle

# Name and colors of a net of the recipes -> the case of `benchmarks.search` with its layers.
CASE_OF = {("mlp", 1): "mlp-short", ("cnn", 1): "cnn-short", ("cnn", 3): "cifar-small"}
PRUNERS = {"median": optuna.pruners.MedianPruner, "halving": optuna.pruners.SuccessiveHalvingPruner}
TRUNCATED_STD = 0.87962566103423978  # of the standard normal cut off at two standard deviations


def search(task, clock, pruner):
    """See `regret_peers.choose_point`. Nothing is saved."""
    parts, n_epochs = task.parts, task.net.n_epochs
    (images, labels), validation = (load_part(*part) for part in (parts.train, parts.validation))
    n_steps = n_epochs * task.net.n_steps
    factors = np.array(keras.ops.convert_to_numpy(Triangle(n_steps)(np.arange(n_steps))))
    rates = [*factors.tolist(), 0.0]  # after the last step, too, a scheduler asks for the next
    torch.manual_seed(task.seed)

    def objective(trial):
        alpha = trial.suggest_float("alpha", *ALPHA, log=True)
        rate = trial.suggest_float("learning_rate", *task.net.learning_rate_range, log=True)
        net = make_net(task.net, alpha).to(DEVICE)
        optimizer = torch.optim.Adam(net.parameters(), rate, eps=1e-7)  # Keras's epsilon
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates.__getitem__)
        best_accuracy = 0.0
        for epoch in range(n_epochs):
            train_epoch(net, optimizer, images, labels, task.batch_size, schedule)
            accuracy = measure_accuracy(net, *validation)
            clock.check()
            best_accuracy = max(best_accuracy, accuracy)
            # Epochs trained, from 1: successive halving prunes at steps 1, 4, 16, ...
            trial.report(accuracy, epoch + 1)
            if epoch + 1 < n_epochs and trial.should_prune():
                clock.n_pruned += 1
                raise optuna.TrialPruned
        return best_accuracy

    def end_trial(study, trial):
        if trial.state == optuna.trial.TrialState.COMPLETE:
            clock.end_trial(trial.value, trial.params)

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it warns of the trial that time ends
    warm_up(task.net, images[:10], labels[:10])
    clock.start()
    sampler = optuna.samplers.TPESampler(seed=task.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=PRUNERS[pruner]())
    study.optimize(objective, callbacks=[end_trial])


def load_part(x, y):
    """With an axis for the colors, where images have none."""
    return to_device(x if x.ndim == 4 else x[..., None], y.astype("int64"))


def make_net(net, alpha):
    """The layers of a net of the recipes, started as there: He for the alpha, then LeCun."""
    image_shape = net.image_shape if len(net.image_shape) == 3 else (*net.image_shape, 1)
    layers = stack_layers(CASES[CASE_OF[net.name, image_shape[-1]]], alpha)
    weights = [weight for weight in layers.parameters() if weight.ndim > 1]
    for weight in weights:
        one = 1.0 if weight is weights[-1] else gain("leaky_relu", alpha)
        std = one / math.sqrt(weight[0].numel()) / TRUNCATED_STD
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
    for bias in (weight for weight in layers.parameters() if weight.ndim == 1):
        nn.init.zeros_(bias)
    return layers


def warm_up(net, images, labels):
    """Imports what the first training and the first proposals of a process import."""
    layers = make_net(net, 0.1).to(DEVICE)
    train_epoch(layers, torch.optim.Adam(layers.parameters()), images, labels)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(n_startup_trials=1))
    study.optimize(lambda trial: trial.suggest_float("alpha", *ALPHA, log=True), n_trials=3)
