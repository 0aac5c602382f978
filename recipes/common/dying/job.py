"""The whole job: three parts, each written as soon as it is finished, and then the page."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from recipes.common import data as data_module
from recipes.common.dying import collapse, training_death
from recipes.common.dying.answers import (
    answer_born_dead,
    answer_collapse,
    answer_training_death,
    rai_ratio,
)
from recipes.common.dying.born_dead import CHECKED, REMEDIES, measure_born_dead, measure_remedy
from recipes.common.dying.budget import FULL, QUICK, Budget
from recipes.common.dying.folder import DyingFolder
from recipes.common.dying.options import DyingOptions, settings
from recipes.common.dying.page import make_page, plots_of
from recipes.common.dying.progress import Progress
from recipes.common.dying.results import BornDead, Collapse, Results, TrainingDeath
from recipes.common.environment import describe_environment

PARTS = {"born_dead": "Born dead", "collapse": "Collapse", "training_death": "Dying while learning"}

# Roughly the seconds that each takes, for the bar.
_BORN_DEAD_WEIGHT, _COLLAPSE_WEIGHT, _DEATH_WEIGHT = 1e-5, 3e-4, 7e-6


class Job:
    """Runs the parts one after the other. Use `run`.

    Attributes:
        finished: Titles of the parts whose files are written.
    """

    def __init__(
        self,
        options: DyingOptions,
        arrays: data_module.Arrays,
        folder: DyingFolder,
        config: dict[str, Any],
        console: Console,
    ) -> None:
        self._options, self._arrays, self._folder = options, arrays, folder
        self._config, self._console = config, console
        self._budget = budget_of(options)
        self._data = data_module.split(arrays, self._budget.n_images)
        self._progress = Progress(console, self._total())
        self._plots: dict[str, bytes] = {}
        self._seconds: dict[str, float] = {}
        self.finished: list[str] = []

    def run(self, command: Sequence[str]) -> None:
        """Measures everything and writes the page.

        Args:
            command: The command line, for the record.
        """
        environment = describe_environment(command)
        self._folder.write_json("environment", environment)
        with self._progress:
            results = Results(self._born_dead(), self._collapse(), self._training_death())
        summary = self._summary(results)
        self._folder.write_summary(summary)
        self._folder.write_page(make_page(results, self._plots, summary, self._config, environment))
        for name in PARTS:
            part = summary[name]
            self._console.print(f"\n{part['answer']}", style="bold", markup=False)
            for sentence in part["details"]:
                self._console.print(sentence, markup=False)
        self._console.print(f"\nPage: {self._folder.page.resolve()}", markup=False)

    def _born_dead(self) -> BornDead:
        budget, seed, start = self._budget, self._options.seed, time.monotonic()
        nets, remedies = [], []
        for width in budget.widths:
            for depth in budget.depths:
                self._progress.show(f"born dead: {depth} layers of width {width}")
                checked = (depth, width) in CHECKED
                n_nets = budget.n_checked_nets if checked else budget.n_nets
                nets.append(measure_born_dead(depth, width, n_nets, seed))
                self._progress.advance(_BORN_DEAD_WEIGHT * n_nets)
        for depth, width in CHECKED:
            for remedy in REMEDIES:
                self._progress.show(f"born dead: {remedy.title}")
                row = measure_remedy(remedy, depth, width, budget.n_remedy_nets, seed)
                remedies.append(row)
                self._progress.advance(_BORN_DEAD_WEIGHT * budget.n_remedy_nets)
        return self._write("born_dead", BornDead(nets, remedies), start)

    def _collapse(self) -> Collapse:
        budget, seed, start = self._budget, self._options.seed, time.monotonic()
        n_nets, n_epochs = budget.n_collapse_nets, budget.collapse_epochs
        part = Collapse([], [], [])
        for title, arms in collapse.GROUPS.items():

            def on_epoch(epoch: int, title: str = title, n_arms: int = len(arms)) -> None:
                self._progress.show(f"collapse: {title}, epoch {epoch} of {n_epochs}")
                self._progress.advance(_COLLAPSE_WEIGHT * n_nets * n_arms)

            self._progress.show(f"collapse: {title}")
            for outcome in collapse.train_group(arms, n_nets, n_epochs, seed, on_epoch):
                part.arms.append(outcome.summary)
                part.nets.extend(outcome.nets)
                part.functions.extend(outcome.functions)
            if not self._console.is_terminal:
                self._progress.say(f"{title}: {len(arms) * n_nets} nets trained")
        return self._write("collapse", part, start)

    def _training_death(self) -> TrainingDeath:
        budget, seed, start = self._budget, self._options.seed, time.monotonic()
        histories = []
        n_epochs = budget.death_epochs
        for momentum in budget.momenta:

            def on_epoch(epoch: int, momentum: float = momentum) -> None:
                self._progress.show(f"digits: momentum {momentum:g}, epoch {epoch} of {n_epochs}")
                self._progress.advance(_DEATH_WEIGHT * self._net_images())

            self._progress.show(f"digits: momentum {momentum:g}")
            history = training_death.train_ensemble(
                momentum,
                *(budget.learning_rates, budget.alphas, budget.n_seeds, n_epochs),
                *(self._data, seed, on_epoch),
            )
            histories.append(history)
            if not self._console.is_terminal:
                self._progress.say(f"momentum {momentum:g}: {len(history.cells)} nets trained")
        part = TrainingDeath.of(histories, len(self._data.x_validation), seed)
        return self._write("training_death", part, start)

    def _write(self, name: str, part: Any, start: float) -> Any:
        """Tables and pictures of a finished part: they stay if the next one is interrupted."""
        plots = plots_of(part)
        for table, rows in part.tables.items():
            if rows:
                self._folder.write_table(table, rows)
        self._folder.write_plots(plots)
        self._plots |= plots
        self._seconds[PARTS[name]] = time.monotonic() - start
        self.finished.append(PARTS[name])
        self._progress.say(f"{PARTS[name]}: {self._seconds[PARTS[name]]:.0f} s")
        return part

    def _summary(self, results: Results) -> dict[str, Any]:
        born, collapsed, dying = results.born_dead, results.collapse, results.training_death
        checked = [row for row in born.nets if (row.depth, row.width) in CHECKED]
        ratio, low, high = rai_ratio(collapsed)
        return {
            "data_source": self._arrays.source,
            "warning": self._arrays.warning,
            "seconds": sum(self._seconds.values()),
            "seconds_by_part": self._seconds,
            "born_dead": {
                **_sentences(answer_born_dead(born, CHECKED)),
                "all_inside_bounds": all(row.inside for row in checked),
                "checked": [dataclasses.asdict(row) for row in checked],
            },
            "collapse": {
                **_sentences(answer_collapse(collapsed)),
                "rai_over_he": {"ratio": ratio, "ci95": [low, high]},
                "arms": [dataclasses.asdict(row) for row in collapsed.arms],
            },
            "training_death": {
                **_sentences(answer_training_death(dying)),
                "remedies": [dataclasses.asdict(row) for row in dying.comparison],
                "shape": "-".join(map(str, training_death.shape_of(self._data))),
                "n_images": len(self._data.x_train),
                "batch_size": training_death.BATCH_SIZE,
                "n_sample": dying.n_sample,
                "n_validation": dying.n_validation,
            },
        }

    def _net_images(self) -> int:
        """Images seen by all nets of one ensemble in an epoch."""
        budget = self._budget
        n_nets = len(budget.learning_rates) * len(budget.alphas) * budget.n_seeds
        return n_nets * len(self._data.x_train)

    def _total(self) -> float:
        budget = self._budget
        grid = [(depth, width) for depth in budget.depths for width in budget.widths]
        n_checked = sum(shape in CHECKED for shape in grid)
        n_born = (len(grid) - n_checked) * budget.n_nets + n_checked * budget.n_checked_nets
        n_born += len(CHECKED) * len(REMEDIES) * budget.n_remedy_nets
        n_collapse = len(collapse.ARMS) * budget.n_collapse_nets * budget.collapse_epochs
        n_death = len(budget.momenta) * budget.death_epochs * self._net_images()
        return _BORN_DEAD_WEIGHT * n_born + _COLLAPSE_WEIGHT * n_collapse + _DEATH_WEIGHT * n_death


def _sentences(answer: Sequence[str]) -> dict[str, Any]:
    return {"answer": answer[0], "details": list(answer[1:])}


def budget_of(options: DyingOptions) -> Budget:
    return QUICK if options.quick else FULL


def make_config(options: DyingOptions, arrays: data_module.Arrays) -> dict[str, Any]:
    """What config.json holds: the options, and all that they stand for."""
    return {
        "options": settings(options),
        "budget": dataclasses.asdict(budget_of(options)),
        "fixed": {
            "collapse: net": f"{collapse.DEPTH} layers of width {collapse.WIDTH}, biases",
            "collapse: optimizer": f"Adam, learning rate {collapse.LEARNING_RATE:g}",
            "collapse: points": f"{collapse.N_POINTS} uniform, {collapse.BATCH_SIZE} a step",
            "digits: optimizer": f"SGD, {training_death.BATCH_SIZE} images a step",
            "digits: hidden layers": ", ".join(map(str, training_death.HIDDEN)),
        },
        "data_source": arrays.source,
    }
