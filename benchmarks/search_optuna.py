"""The search as a user of PyTorch writes it: Optuna and a plain loop."""

# pyright: reportMissingImports=false
# PyTorch and Optuna are measured where they are installed.

import math

import optuna
import torch
import torch._dynamo  # else the first optimizer imports it, for seconds
from torch import nn
from torch.nn import functional

from benchmarks.frameworks import torch_device
from benchmarks.search_cases import ALPHA, BATCH_SIZE, LEARNING_RATE, N_CLASSES, N_UNITS, SEED

DEVICE = torch_device()


def describe():
    """What PyTorch runs on. On a CPU that others use too, one thread can be ten times as fast."""
    if DEVICE.type == "cuda":
        return f"PyTorch on {torch.cuda.get_device_name(DEVICE)}"
    return f"PyTorch on the CPU, OMP_NUM_THREADS={torch.get_num_threads()}"


def optuna_search(case, data, stopwatch):
    """See `search_peers.load_peers`. Nothing is saved."""
    training, validation = (to_device(*part) for part in data)
    torch.manual_seed(SEED)

    def objective(trial):
        alpha = trial.suggest_float("alpha", *ALPHA, log=True)
        rate = trial.suggest_float("learning_rate", *LEARNING_RATE, log=True)
        net = make_net(case, alpha).to(DEVICE)
        optimizer = torch.optim.Adam(net.parameters(), rate)
        best_accuracy = 0.0
        for _ in range(case.n_epochs):
            train_epoch(net, optimizer, *training)
            best_accuracy = max(best_accuracy, measure_accuracy(net, *validation))
        return best_accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=SEED)
    study = optuna.create_study(direction="maximize", sampler=sampler)

    def run(n_trials):
        end_trial = [lambda study, trial: stopwatch.end_trial(trial.value)]
        study.optimize(objective, n_trials, callbacks=end_trial)

    return run


def to_device(x, y):
    """Images with their channels first, still uint8, and labels."""
    x = torch.from_numpy(x).movedim(-1, 1).contiguous()
    return x.to(DEVICE), torch.from_numpy(y).to(DEVICE)


def make_net(case, alpha):
    net = stack_layers(case, alpha)
    for weight in net.parameters():  # as Keras starts: the curve compares accuracies
        if weight.ndim > 1:
            nn.init.xavier_uniform_(weight)
        else:
            nn.init.zeros_(weight)
    return net


def stack_layers(case, alpha):
    """As `search_cases.make_build`, with the activation after the pooling."""
    parts, n_channels = [], case.image_shape[-1]
    for filters in case.filters:
        parts += [nn.Conv2d(n_channels, filters, 3, padding="same")]
        parts += [nn.MaxPool2d(2), nn.LeakyReLU(alpha)]
        n_channels = filters
    n_features = n_channels * math.prod(n >> len(case.filters) for n in case.image_shape[:2])
    parts += [nn.Flatten()]
    for _ in range(case.n_hidden):
        parts += [nn.Linear(n_features, N_UNITS), nn.LeakyReLU(alpha)]
        n_features = N_UNITS
    return nn.Sequential(*parts, nn.Linear(n_features, N_CLASSES))


def scale(x):
    return x.float() / 255


def train_epoch(net, optimizer, x, y, batch_size=BATCH_SIZE, schedule=None):
    net.train()
    for batch in torch.randperm(len(x), device=x.device).split(batch_size):
        loss = functional.cross_entropy(net(scale(x[batch])), y[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()


@torch.no_grad()
def measure_accuracy(net, x, y):
    net.eval()
    batches = zip(x.split(BATCH_SIZE), y.split(BATCH_SIZE), strict=True)
    # Summed on the device: one wait an epoch.
    n_right = sum((net(scale(images)).argmax(1) == labels).sum() for images, labels in batches)
    return int(n_right) / len(x)
