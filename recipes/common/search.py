"""The search of one arm: a KerasTuner oracle proposes, `train` runs, the run folder records.

KerasTuner's project in `search/` is written anew on every start and never read: its files are not
written whole, its Bayesian oracle does not save its random state, and it resumes any project of
the same name. Instead a resumed search asks a new oracle with the same seed for the same trials
and answers from trials.csv those that have finished.
"""

import math
import sys
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_leaky.tuning import BayesianOptimizationOracle, Trainer
from recipes.common.data import Split
from recipes.common.errors import NoTrialCompletedError, RunError
from recipes.common.models import build_model
from recipes.common.options import RunOptions
from recipes.common.progress import Progress
from recipes.common.run_folder import EpochRow, RunFolder, TrialRow
from recipes.common.space import Arm
from recipes.common.training import Training, train

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
# Of `SpreadOracle`: no two of these and 1 are multiples of each other.
_STEPS = {"learning_rate": 5**0.5 / 2 - 0.5, "alpha": 2**0.5 - 1}
SEARCH_STREAM, ORACLE_STREAM, RETRAIN_STREAM = range(3)


def derive_seed(seed: int, stream: int, index: int = 0) -> int:
    """A seed for one purpose, from the run's seed; never 0, which KerasTuner would ignore."""
    state = np.random.SeedSequence([seed, stream, index]).generate_state(1)[0]
    return int(state) % (2**31 - 2) + 1


def n_trials_and_epochs(arm: Arm, n_epochs: int) -> tuple[int, int]:
    """How many trials a search will have, and how many epochs they train in all."""
    if arm.n_trials is not None:
        return arm.n_trials, arm.n_trials * n_epochs
    # KerasTuner's Hyperband: bracket b starts many trials with few epochs, and each of its b
    # promotions keeps a third of them for three times as long.
    factor = 3
    n_brackets = 1
    while n_epochs / factor**n_brackets >= 1:
        n_brackets += 1
    n_trials = n_trained = 0
    for bracket in range(n_brackets):
        last = math.ceil(1 + math.log(n_epochs, factor)) / (bracket + 1)
        for left in range(bracket + 1):
            size = math.ceil(last * factor**left)
            n_trials += size
            n_trained += size * math.ceil(n_epochs / factor**left)
    return n_trials, n_trained


class Hyperband(keras_tuner.oracles.HyperbandOracle):
    """KerasTuner's oracle, but a failed trial ranks last instead of not at all.

    KerasTuner promotes completed trials only, and only while more of them are ready than will be
    thrown out: every failure would take a promotion away, and the arms' budgets would differ.
    """

    def end_trial(self, trial: keras_tuner.engine.trial.Trial) -> None:
        trial.status = keras_tuner.engine.trial.TrialStatus.COMPLETED  # its score is -inf
        super().end_trial(trial)


class SpreadOracle(keras_tuner.oracles.RandomSearchOracle):
    """Draws values that are spread evenly, the same ones in every search of the same seed.

    The i-th value of a hyperparameter depends on the seed, its name and i alone, so arms that have
    one in common try the same values of it, whatever else they search. From a random start it goes
    round by an irrational part of the range: any number of trials covers the range without large
    gaps, which a few independent draws would leave to luck.

    References:
        Bousquet, Gelly, Kurach, Teytaud and Vincent, 2017, "Critical Hyper-Parameters: No Random,
        No Cry".
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        values = {}
        for hp in self.hyperparameters.space:
            start = np.random.default_rng([self.seed, *hp.name.encode()]).random()
            values[hp.name] = hp.prob_to_value((start + int(trial_id) * _STEPS[hp.name]) % 1)
        return {"status": keras_tuner.engine.trial.TrialStatus.RUNNING, "values": values}


def make_oracle(arm: Arm, seed: int, n_epochs: int) -> keras_tuner.Oracle:
    """KerasTuner's oracle for an arm; failed trials never end its search."""
    shared = {
        "objective": OBJECTIVE,
        "seed": derive_seed(seed, ORACLE_STREAM),
        "max_consecutive_failed_trials": sys.maxsize,  # the default ends a search after three
    }
    if arm.tuner == "hyperband":
        return Hyperband(max_epochs=n_epochs, factor=3, **shared)
    oracle = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": BayesianOptimizationOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
        "spread": SpreadOracle,
    }[arm.tuner]
    return oracle(max_trials=arm.n_trials, **shared)


class ArmTuner(keras_tuner.Tuner):
    """KerasTuner's loop over trials, with our own way to run one."""

    def __init__(
        self,
        arm: Arm,
        options: RunOptions,
        data: Split,
        run: RunFolder,
        progress: Progress,
        trainer: Trainer,
    ) -> None:
        assert options.epochs is not None
        self.arm, self.options, self.data = arm, options, data
        self.run_folder, self.progress, self.trainer = run, progress, trainer
        self.finished = {int(row.trial_id): row for row in run.trials if row.arm == arm.name}
        oracle = make_oracle(arm, options.seed, options.epochs)
        oracle.verbose = 0
        super().__init__(
            oracle=oracle,
            hypermodel=self.build,
            directory=str(run.search),
            project_name=arm.name,
            overwrite=True,
        )

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        point = self.arm.declare(hp)
        n_epochs = self._n_epochs(hp)
        return build_model(self.options, self.data, self.arm, *point, n_epochs)

    def run_trial(self, trial: keras_tuner.engine.trial.Trial, *args, **kwargs) -> dict[str, float]:
        try:
            row = self._keep(trial) or self._train(trial)
        except Exception as error:
            # KerasTuner would record it as a failed trial and go on: a bug would be hidden.
            raise keras_tuner.errors.FatalRuntimeError(repr(error)) from error
        trial.message = row.reason or None
        return {OBJECTIVE.name: -math.inf if row.score is None else row.score}

    def on_trial_end(self, trial: keras_tuner.engine.trial.Trial) -> None:
        # An exception from `run_trial` would fail the trial too, but KerasTuner prints it; a NaN
        # as the score would too, but with a warning from NumPy and without the reason.
        if trial.message:
            trial.status = keras_tuner.engine.trial.TrialStatus.FAILED
        super().on_trial_end(trial)

    def _train(self, trial: keras_tuner.engine.trial.Trial) -> TrialRow:
        """Trains a trial as often as `--executions` says and records it."""
        options = self.options
        alpha, learning_rate = self.arm.declare(trial.hyperparameters)
        n_epochs = self._n_epochs(trial.hyperparameters)
        self.progress.trial_started(self.arm.name, alpha, learning_rate)
        seeds = [derive_seed(options.seed, SEARCH_STREAM, i) for i in range(options.executions)]
        trainings = []
        for seed in seeds:
            training = train(
                self.trainer,
                lambda: self.build(trial.hyperparameters),
                self.data,
                seed=seed,
                n_epochs=n_epochs,
                batch_size=options.batch_size,
                on_epoch=self.progress.epoch_done,
            )
            trainings.append(training)
            if training.failure:
                break
        failure = trainings[-1].failure
        score, best_epoch = (None, None) if failure else _score(trainings)
        row = TrialRow(
            arm=self.arm.name,
            trial_id=f"{int(trial.trial_id):04d}",
            status="FAILED" if failure else "COMPLETED",
            alpha=alpha,
            learning_rate=learning_rate,
            seed=seeds[0],
            score=score,
            best_epoch=best_epoch,
            seconds=round(sum(training.seconds for training in trainings), 3),
            reason=failure or "",
        )
        epochs = [
            EpochRow("search", row.arm, row.trial_id, seed, **vars(epoch))
            for seed, training in zip(seeds, trainings, strict=False)
            for epoch in training.epochs
        ]
        self.run_folder.add_trial(row, epochs)
        self.progress.trial_done(row, n_epochs * options.executions)
        return row

    def _n_epochs(self, hp: keras_tuner.HyperParameters) -> int:
        """Hyperband sets the epochs of a trial. A promoted one starts again from the beginning."""
        return hp.values.get("tuner/epochs", self.options.epochs)

    def _keep(self, trial: keras_tuner.engine.trial.Trial) -> TrialRow | None:
        """The row of a trial that an earlier session finished, None if there is none."""
        row = self.finished.get(int(trial.trial_id))
        if row is None:
            return None
        proposed = self.arm.declare(trial.hyperparameters)
        if proposed != (row.alpha, row.learning_rate):
            raise RunError(
                f"Trial {row.trial_id} of {row.arm} was run at alpha={row.alpha}, "
                f"learning_rate={row.learning_rate}, but the search now proposes {proposed}: other "
                "versions of the libraries draw other trials. environment.json has those of the "
                "run; resume with them, or start a new run."
            )
        self.progress.trial_kept(
            row, self._n_epochs(trial.hyperparameters) * self.options.executions
        )
        return row


def _score(trainings: list[Training]) -> tuple[float, int]:
    """The best epoch of the mean curve over executions, and its mean validation accuracy."""
    curves = [[epoch.val_accuracy for epoch in training.epochs] for training in trainings]
    mean = np.mean(curves, axis=0)
    best = int(np.argmax(mean))
    return float(mean[best]), best + 1


def search_arm(
    arm: Arm,
    options: RunOptions,
    data: Split,
    run: RunFolder,
    progress: Progress,
    trainer: Trainer,
) -> TrialRow:
    """Runs (or goes on with) the search of one arm and returns its best trial.

    Raises:
        NoTrialCompletedError: Every trial failed.
    """
    try:
        ArmTuner(arm, options, data, run, progress, trainer).search()
    except keras_tuner.errors.FatalRuntimeError as error:
        raise error.__cause__ or error from None
    return best_trial(run, arm.name)


def best_trial(run: RunFolder, arm: str) -> TrialRow:
    """The completed trial with the highest score, the first of equals."""
    rows = [row for row in run.trials if row.arm == arm]
    completed = [row for row in rows if row.score is not None]
    if not completed:
        raise NoTrialCompletedError(
            f"All {len(rows)} trials of {arm} failed; the first: {rows[0].reason}. Lower the upper "
            f"end of `--learning-rate-range`. {run.trials_file} has the reasons."
        )
    return max(completed, key=lambda row: row.score or 0.0)
