"""A finished run whose rows are made by hand: nothing is trained."""

from recipes.common.rows import DeadUnitRow, EpochRow, RetrainingRow, TrialRow
from recipes.common.run_folder import RunFolder

ARMS = ("leaky_relu", "net/relu")  # a comparison's arms have a slash
CONFIG = {"given": {}, "options": {}, "fingerprint": {}, "arms": [*ARMS]}
TRIAL = TrialRow("leaky_relu", "0003", "COMPLETED", 0.1 + 0.2, 1e-3 / 3, 7, 2 / 3, 2, 1.5, "")
FAILED = TrialRow(
    "net/relu", "0004", "FAILED", None, 0.1, 7, None, None, 0.5, 'loss, "nan"\nand more'
)
EPOCH = EpochRow("search", "leaky_relu", "0003", 7, 1, float("inf"), 1 / 3, 0.1, 0.2)
DIVERGED = RetrainingRow(
    "net/relu", "0004", 5, None, 0.098, None, 3.0, "training loss became nan in epoch 1"
)
RETRAINED_EPOCH = EpochRow("retrain", "net/relu", "0004", 5, 1, float("inf"), 0.1, 2.0, 0.1)
UNITS = DeadUnitRow(
    *("net/relu", "0004", 5, 2000, "rectifier_1", "relu"),
    *(3, 1, 1 / 3, 1, 1 / 3, 1, 1 / 3, 0, 0.0),
    active_fraction=[0.0, 2 / 3, 1.0],
)
MODEL = b"PK the bytes of a model"
STATE = {"trial_id": "3", "score": float("-inf"), "hyperparameters": {"values": {"alpha": 0.3}}}


def retraining(index, val_accuracy=0.9, best_epoch=2):
    """Seeds do not rise with their index."""
    seed = 50 - index
    return RetrainingRow("leaky_relu", "0003", seed, val_accuracy, 0.8, best_epoch, 1.25, "")


def make_small_run(path):
    run = RunFolder.create(path, CONFIG, overwrite=False)
    run.write_json("environment", {"versions": {"keras": "3"}, "command": "python"})
    run.add_trial(FAILED, [], STATE)
    run.add_trial(TRIAL, [EPOCH], STATE)
    run.write_oracle("leaky_relu", {"ongoing_trials": {}, "seed": 5})
    run.add_retraining(DIVERGED, [RETRAINED_EPOCH], [UNITS], index=0)
    run.add_retraining(retraining(1), [], [], index=1)
    run.add_retraining(retraining(0), [], [], index=0, model=MODEL)
    run.write_tables()
    run.write_json("summary", {"n_trials": 2})
    return run
