"""How good are the points that a study chooses, against the best point known?"""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from benchmarks.measuring import environment, refuse, write_json
from benchmarks.regret_peers import PEERS, Task, check_peers, choose_point
from keras_leaky.study import Study, load
from keras_leaky.tuning import train_all
from recipes import datasets
from recipes.nets import Net

ARM = "leaky_relu"
TUNERS = ("halving", "random", "bayesian", "hyperband")
FINALISTS = (1, 3, 5)
BUDGET = "halving", 3  # tuner and finalists of the study whose seconds the peers get: the defaults
N_IMAGES, BATCH_SIZE, TRIALS = 10_000, 128, 20
CASES = {  # data, net, epochs
    "mlp": ("mnist", "mlp", 10),
    "cnn": ("mnist", "cnn", 2),
    "cifar": ("cifar10", "cnn", 3),
}
HYPERBAND_EPOCHS = 9  # its 23 trials train 75 epochs, the 20 of the others 40 or 60
JUDGES = range(1001, 1011)  # seeds that no search and no retraining uses


@dataclass
class Options:
    """Regret of the chosen point: how much the best point known is better, on validation data.

    For each search seed and tuner a study searches Leaky ReLU and ReLU and trains its five best
    points of each with two seeds. So the choice with 1, 3 and 5 finalists is known. Every chosen
    point is then trained with ten new seeds. Regret is the mean of the best point of all, less the
    mean of the chosen one, in points of validation accuracy; n is searches times arms.

    The peers search Leaky ReLU alone. Each gets the seconds that the study with successive halving
    and three finalists took for this arm and this search seed, and its best trial is its choice,
    which is trained with the same ten seeds. The trial that runs when the seconds are over does
    not count; only a first one is waited for, and the column of seconds shows it. Imports and the
    loading of data take none of the seconds, compilations do, as in the study. The rows of arm
    leaky_relu compare them with that study, if halving is among the tuners.

    - hyperband-stock: KerasTuner's Hyperband and its own trials, up to 9 epochs, on the same net.
    - optuna-median, optuna-halving: Optuna's TPE with MedianPruner or SuccessiveHalvingPruner on a
      plain PyTorch loop of the same net, with as many epochs a trial as the study.

    All search in this process, one after the other, with the threads that Keras's backend and
    PyTorch take by default: on a CPU that others use too, OMP_NUM_THREADS=1 can be faster.

    Run the command again with the same folder to go on where it stopped.
    """

    data_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder with mnist.npz and cifar10.npz."""
    out: Path = Path("regret")
    """Folder for the studies, and one file of JSON a case."""
    cases: tuple[str, ...] = tuple(CASES)
    """Of mlp, cnn, cifar."""
    tuners: tuple[str, ...] = TUNERS
    """Of halving, random, bayesian, hyperband."""
    peers: tuple[str, ...] = tuple(PEERS)
    """Of hyperband-stock, optuna-median, optuna-halving; none where nothing follows."""
    searches: int = 10
    """Search seeds, from 1."""
    small: bool = False
    """A few images and trials, to see whether it runs."""


def load_case(name: str, options: Options) -> tuple[Any, Net, int]:
    dataset, net, n_epochs = CASES[name]
    data = "synthetic" if options.small else "auto"
    images = datasets.load(dataset, data, None if options.small else options.data_dir)
    parts = datasets.split(images, 400 if options.small else N_IMAGES)
    n_steps = -(-len(parts.x_train) // BATCH_SIZE)
    return parts, Net(net, parts.image_shape, parts.n_classes, n_steps, n_epochs), n_epochs


def search(folder: Path, net: Net, parts: Any, tuner: str, seed: int, small: bool) -> Any:
    """The outcome of one study."""
    n_epochs = max(HYPERBAND_EPOCHS, net.n_epochs) if tuner == "hyperband" else net.n_epochs
    net = Net(**{**vars(net), "n_epochs": n_epochs})
    study = Study(
        net,
        arms=[ARM],
        tuner=tuner,
        trials=None if tuner == "hyperband" else 6 if small else TRIALS,
        finalists=max(FINALISTS),
        seeds=1,
        seed=seed,
        directory=folder,
    )
    if study.is_resumed and load(folder).is_finished:
        return load(folder)
    return study.run(
        *parts.train,
        validation_data=parts.validation,
        epochs=n_epochs,
        batch_size=BATCH_SIZE,
        workers=0,  # the seconds of trials in several processes would add up to more than passed
        verbose=0,
    )


def choices_of(outcome: Any, arm: str) -> dict[int, tuple[dict[str, Any], float]]:
    """Point and seconds of the search by the number of finalists.

    With successive halving the finalists are of those that were trained in full.
    """
    trials = [row for row in outcome.trials if row.arm == arm and row.score is not None]
    seconds = sum(row.seconds for row in outcome.trials if row.arm == arm)
    scores, costs = defaultdict(list), defaultdict(float)
    for row in outcome.retrainings:
        if (row.arm, row.stage) == (arm, "finalist"):
            scores[row.trial_id].append(row.val_score)
            costs[row.trial_id] += row.seconds
    # As the study ranks them: a point that Hyperband trained again counts once.
    ranked = sorted(trials, key=lambda row: -row.score)
    ranked = [row for row in ranked if row.trial_id in scores]
    found = {}
    for n in FINALISTS:
        ids = [row.trial_id for row in ranked[:n]]
        best = ids[0] if n == 1 else max(ids, key=lambda name: np.mean(scores[name]))
        row = next(row for row in trials if row.trial_id == best)
        point = {"learning_rate": row.learning_rate}
        if row.alpha is not None:
            point["alpha"] = row.alpha
        cost = 0.0 if n == 1 else sum(costs[name] for name in ids)
        found[n] = point, round(seconds + cost, 1)
    return found


def judge(
    path: Path, net: Net, parts: Any, arm: str, points: list[dict[str, Any]], seeds: range
) -> None:
    """Trains the points that `path` does not have from new seeds, and adds them to it."""
    known = json.loads(path.read_text()) if path.exists() else {}
    study = Study(net, arms=[ARM], directory=path.with_suffix(".none"))  # which never runs
    for point in track(points, f"{path.stem}: judging"):
        name = name_of(point)
        if name in known:
            continue
        trained = train_all(
            partial(study.build_model, arm),
            [point],
            *parts.train,
            validation_data=parts.validation,
            seeds=seeds,
            epochs=net.n_epochs,
            batch_size=BATCH_SIZE,
            verbose=0,
        )
        known[name] = [max(one.history["val_accuracy"]) for one in trained]
        write_json(path, known)


def name_of(point: dict[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(point.items())).encode()).hexdigest()[:16]


def ask_peer(
    folder: Path, net: Net, parts: Any, peer: str, seed: int, small: bool
) -> tuple[dict[str, float], float]:
    """The point that a peer chooses in the seconds of our study, and its seconds."""
    tuner, n_finalists = BUDGET
    outcome = search(folder / f"{tuner}-{seed}", net, parts, tuner, seed, small)
    _, seconds = choices_of(outcome, ARM)[n_finalists]
    seconds = min(seconds, 1.0) if small else seconds
    task = Task(net, parts, BATCH_SIZE, HYPERBAND_EPOCHS, seed, seconds)
    return choose_point(peer, folder / f"{peer}-{seed}.json", task)


def measure(name: str, options: Options) -> list[dict[str, Any]]:
    """Rows of a case, one a tuner and number of finalists, then one a peer."""
    parts, net, _ = load_case(name, options)
    folder = options.out / name
    chosen: list[tuple[str, int, str, dict[str, Any], float]] = []
    # The peers beside the study whose seconds they get: the load of a machine changes in hours.
    searches = (*options.tuners, *options.peers)
    runs = [(who, seed) for seed in range(1, options.searches + 1) for who in searches]
    for who, seed in track(runs, f"{name}: searching"):
        if who in PEERS:
            found = ask_peer(folder, net, parts, who, seed, options.small)
            chosen.append((who, 1, ARM, *found))
            continue
        outcome = search(folder / f"{who}-{seed}", net, parts, who, seed, options.small)
        for arm in outcome.arms:
            for n, (point, seconds) in choices_of(outcome, arm).items():
                chosen.append((who, n, arm, point, seconds))
    regrets: dict[tuple[str, str, int], list[tuple[float, float]]] = defaultdict(list)
    for arm in ("relu", ARM):
        path = options.out / f"{name}-{arm}.json"
        own = [row for row in chosen if row[2] == arm]
        if not own:  # of ReLU, where peers are alone
            continue
        unique = {name_of(point): point for _, _, _, point, _ in own}
        seeds = JUDGES[:2] if options.small else JUDGES
        judge(path, net, parts, arm, list(unique.values()), seeds)
        means = {key: np.mean(v) for key, v in json.loads(path.read_text()).items()}
        best = max(means[key] for key in unique)
        for tuner, n, _, point, seconds in own:
            value = 100 * float(best - means[name_of(point)]), seconds
            if tuner in TUNERS:
                regrets["both", tuner, n].append(value)
            # What the peers are compared with: one arm, and the study whose seconds they get.
            if tuner in PEERS or (options.peers and (arm, tuner, n) == (ARM, *BUDGET)):
                regrets[ARM, tuner, n].append(value)
    return [make_row(name, *key, values) for key, values in regrets.items()]


def make_row(
    case: str, arms: str, tuner: str, n_finalists: int, values: list[Any]
) -> dict[str, Any]:
    regret, seconds = np.array(values).T
    half = float(stats.t.ppf(0.975, len(regret) - 1) * stats.sem(regret)) if len(regret) > 1 else 0
    return {
        "case": case,
        "arms": arms,
        "tuner": tuner,
        "finalists": n_finalists,
        "n": len(regret),
        "regret": round(float(regret.mean()), 3),
        "ci95": [round(float(regret.mean()) - half, 3), round(float(regret.mean()) + half, 3)],
        "worst": round(float(regret.max()), 3),
        "seconds": round(float(seconds.mean()), 1),
    }


def main(options: Options, console: Console) -> None:
    for name in options.cases:
        if name not in CASES:
            refuse(f"`--cases` must be of {', '.join(CASES)}. Received: {name}")
    for tuner in options.tuners:
        if tuner not in TUNERS:
            refuse(f"`--tuners` must be of {', '.join(TUNERS)}. Received: {tuner}")
    check_peers(options.peers)
    if not options.tuners and not options.peers:
        refuse("`--tuners` or `--peers` must name something to compare. Received: neither")
    options.out.mkdir(parents=True, exist_ok=True)
    console.print(environment(), highlight=False, soft_wrap=True)
    rows = []
    for name in options.cases:
        rows += measure(name, options)
        write_json(options.out / "regret.json", rows)
        table = Table(*rows[0], title="Regret in points of validation accuracy")
        for row in rows:
            table.add_row(*map(str, row.values()))
        console.print(table)


if __name__ == "__main__":
    main(tyro.cli(Options), Console(width=120))
