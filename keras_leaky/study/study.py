"""A study: searches all rectifiers under one budget, retrains the winners, tests them once."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from keras_leaky.study._checks import (
    FitData,
    Probe,
    chance_accuracy,
    check_data,
    check_labels,
    check_objective,
    check_space,
    digest_data,
    probe_arm,
)
from keras_leaky.study._estimates import estimate_epoch_seconds
from keras_leaky.study._fingerprint import check_same, plain
from keras_leaky.study._folder import StoredArm, StudyContent, StudyFolder
from keras_leaky.study._prepared import Prepared
from keras_leaky.study._proposals import check_tuner, count_full, count_rungs, grid_size
from keras_leaky.study._running import print_outcome, run_together
from keras_leaky.study._seeds import FINAL, SEARCH, derive_seed
from keras_leaky.study.arms import Arm, ArmModel, color_arms, read_arms
from keras_leaky.study.errors import InputError
from keras_leaky.study.outcome import Outcome
from keras_leaky.tuning._lanes.workplace import Workplace
from keras_leaky.tuning.tables import as_arrays


@dataclasses.dataclass(frozen=True)
class About:
    """Title, data source and options of a study.

    Attributes:
        title: Title of the page, such as "MNIST".
        data_source: Where the data come from.
        warning: Shown prominently, for example if other data than the requested ones were used.
        options: Flags of a command line, as JSON values; `--config` reads them.
    """

    title: str = ""
    data_source: str = ""
    warning: str = ""
    options: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """The plan of a run. `str(plan)` is a table.

    Attributes:
        rows: One dict per arm: arm, searched, trials, epochs.
        n_trainings: Number of trials, finalists and final retrainings, all executions counted.
        n_epochs: Epochs of all trainings; a short training counts by its steps.
        notes: Notes about the data.
    """

    rows: list[dict[str, str]]
    n_trainings: int
    n_epochs: int
    directory: Path
    notes: list[str]

    def __str__(self) -> str:
        columns = list(self.rows[0])
        widths = {c: max(len(c), *(len(row[c]) for row in self.rows)) for c in columns}
        lines = ["  ".join(c.ljust(widths[c]) for c in columns).rstrip()]
        lines += ["  ".join(row[c].ljust(widths[c]) for c in columns).rstrip() for row in self.rows]
        lines.append(f"In all: {self.n_trainings} trainings, {self.n_epochs} epochs.")
        lines.append(f"Run folder: {self.directory}")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])


class Study:
    """Searches alpha and learning rate for every rectifier, and says which one helps.

    Every arm is searched under the same budget, with the same learning rates, the same initial
    draws of the weights and the same order of the data. The best points are retrained with other
    seeds, and one of them is chosen. The chosen point is trained `seeds` times, and each of these
    trainings is tested once. The run folder then holds tables, a page, the best model and a
    verdict.

    If the directory holds this study already, `run` resumes it: finished trainings are kept. You
    may ask for more trials, seeds or arms. Any other change is refused.

    Args:
        build: Function `(hp, rectifier)` that returns a compiled model: KerasTuner's `build(hp)`,
            with activations made by `rectifier()`. It must ask for `hp.Float("learning_rate",
            ...)`. All other hyperparameters that it asks for are searched too.
            `rectifier.initializer()` initializes the layer in front, and `rectifier.alpha` is the
            alpha being tried.
        arms: Names such as "leaky_relu" (searches alpha) or "leaky_relu=0.1" (fixed alpha), or
            `Arm`s. ReLU is the baseline of every study, whether it is named or not.
        objective: Metric that `fit` logs, on validation data: "val_accuracy", "val_mae", ... Use a
            `keras_tuner.Objective` if the name does not tell the direction.
        tuner: "halving", "random", "bayesian", "hyperband" or "grid"; or a function that returns a
            `keras_tuner.Oracle`, called with `objective`, `max_trials` and `seed`. "halving"
            spreads points evenly, with the same rates in all arms. It trains them with few steps,
            then the best third with three times as many, and so on, at least 5 in full. If that
            would save less than a quarter of the time, it trains all points in full, as "random"
            does.
        trials: int >= 1, of each arm. Defaults to 20. Leave it out with "hyperband".
        executions: int >= 1. Trainings of each trial, each with its own seed. The score is their
            mean.
        finalists: int >= 1. Number of an arm's best points that are retrained with 2 seeds each
            before one is chosen. 1 chooses the best trial of the search.
        seeds: int >= 1. Final retrainings of each arm. Fewer than 5 give no intervals.
        seed: int in [0, 2**32). Everything random follows from it.
        directory: The run folder.
        overwrite: Whether to delete a study that the directory holds.
        about: `About`: title and data source for the page.

    Raises:
        InputError: If an argument is out of range, or the directory holds other files.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from keras_leaky import Study
    >>> def build(hp, rectifier):
    ...     layers = [
    ...         keras.Input((4,)),
    ...         keras.layers.Dense(8, kernel_initializer=rectifier.initializer()),
    ...         rectifier(),
    ...         keras.layers.Dense(1),
    ...     ]
    ...     model = keras.Sequential(layers)
    ...     rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    ...     model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mae"])
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(90, 4))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = Study(
    ...         build, arms=["leaky_relu"], objective="val_mae", trials=2, finalists=1, seeds=2,
    ...         directory=f"{folder}/run"
    ...     )
    ...     outcome = study.run(
    ...         x[:60], x[:60, 0], validation_data=(x[60:], x[60:, 0]), epochs=2, verbose=0
    ...     )
    >>> list(outcome.arms), len(outcome.trials), outcome.arms["relu"].validation.n
    (['relu', 'leaky_relu'], 4, 2)
    """

    def __init__(
        self,
        build: Callable[..., keras.Model],
        *,
        arms: Iterable[str | Arm],
        objective: str | keras_tuner.Objective = "val_accuracy",
        tuner: str | Callable[..., keras_tuner.Oracle] = "halving",
        trials: int | None = None,
        executions: int = 1,
        finalists: int = 3,
        seeds: int = 5,
        seed: int = 0,
        directory: str | os.PathLike[str],
        overwrite: bool = False,
        about: About | None = None,
    ) -> None:
        if not callable(build) or isinstance(build, keras.Model):
            raise InputError(
                "`build` must be a function (hp, rectifier) that returns a compiled model. For a "
                f"finished model, use Study.from_model. Received: build={build!r}"
            )
        self.build, self.arms = build, read_arms(arms)
        self.objective = _read_objective(objective)
        counts = {"executions": executions, "finalists": finalists, "seeds": seeds}
        if trials is not None:
            counts["trials"] = trials
        for name, value in counts.items():
            _check_count(name, value)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise InputError(f"`seed` must be an int in [0, 2**32). Received: {seed=}")
        self.tuner, self.trials = tuner, check_tuner(tuner, trials)
        self.executions, self.finalists, self.seeds = executions, finalists, seeds
        self.seed = seed
        try:
            os.fspath(directory).encode()
        except (TypeError, UnicodeEncodeError) as error:
            raise InputError(
                f"`directory` must be a path in UTF-8. Received: {directory!r}"
            ) from error
        self.directory = Path(os.path.expanduser(directory))
        self.about = about or About()
        self.folder = StudyFolder(self.directory)
        self.folder.check_free()
        self.overwrite = overwrite and self.folder.holds_study
        if self.is_resumed:
            self.check_settings(self.folder.read_study())

    @classmethod
    def from_model(
        cls,
        model: keras.Model,
        *,
        weights: str = "draw",
        learning_rate_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> "Study":
        """A study of a finished, compiled Keras model.

        The baseline is the model with its own activations. Each arm replaces every ReLU and ReLU6
        by its rectifier. The cap of a ReLU6 is then gone.

        Args:
            model: Built and compiled `keras.Sequential` or functional model. It is not changed.
            weights: "draw": each training starts from new weights, by the model's own initializers.
                Frozen and adapted layers keep their weights. "keep": each training starts from the
                model's weights, as for transfer learning.
            learning_rate_range: `(low, high)`. Defaults to 1/30 to 30 times the compiled rate. A
                schedule is scaled so that its highest rate is the rate being tried.
            **kwargs: As for `Study`.

        Raises:
            InputError: If the model has no ReLU, is not compiled, or cannot be copied.
        """
        from keras_leaky.study._from_model import make_build

        build, notes = make_build(model, weights, learning_rate_range)
        study = cls(build, **kwargs)
        study._notes = notes
        return study

    _notes: Sequence[str] = ()

    @property
    def is_resumed(self) -> bool:
        """Whether the directory holds a study that `run` resumes."""
        return self.folder.holds_study and not self.overwrite

    def build_model(self, arm: str, hyperparameters: Mapping[str, Any]) -> keras.Model:
        """A new compiled model of an arm, for example to train the chosen point on all data.

        Args:
            arm: Name of the arm, "relu" for the baseline.
            hyperparameters: Values by name, such as `outcome.arms[arm].best.hyperparameters`.

        Raises:
            InputError: If the study has no such arm.
        """
        found = {str(one.name): one for one in self.arms}
        if arm not in found:
            raise InputError(
                f"`arm` must be one of {', '.join(map(repr, found))}. Received: arm={arm!r}"
            )
        return ArmModel(self.build, found[arm]).build_point(dict(hyperparameters))

    def plan(self, x: Any, y: Any = None, **kwargs: Any) -> Plan:
        """Checks everything that `run` checks, without training or writing.

        Args:
            x: As for `run`.
            y: As for `run`.
            **kwargs: As for `run`.
        """
        kwargs = {k: v for k, v in kwargs.items() if k not in _OF_RUN}
        prepared = self.prepare(x, y, **kwargs)
        rows = []
        for arm in self.arms:
            _, n_epochs = prepared.n_trials_and_epochs(arm)
            space = prepared.probes[str(arm.name)].space
            rows.append(
                {
                    "arm": str(arm.name),
                    "trials": prepared.describe_trials(arm),
                    "epochs": f"{n_epochs:.0f}",
                    "searched": ", ".join(map(_describe_hyperparameter, space)),
                }
            )
        n_runs, n_epochs = prepared.n_runs_and_epochs()
        return Plan(rows, n_runs, round(n_epochs), self.directory, prepared.notes)

    def run(
        self,
        x: Any,
        y: Any = None,
        *,
        workers: str | int = "auto",
        client: Any = None,
        retries: int = 2,
        trial_timeout: float | None = None,
        max_seconds: float | None = None,
        verbose: int = 1,
        **fit_kwargs: Any,
    ) -> Outcome:
        """Runs the study, or the rest of it.

        You can interrupt it at any time. Finished trainings are kept, and the next `run` resumes
        the study.

        Args:
            x: As for `keras.Model.fit`: arrays, `tf.data`, PyDataset, several inputs.
            y: As for `keras.Model.fit`; leave it out if `x` holds it.
            workers: Number of processes of one thread each on this machine; 0 trains in this
                process. "auto" estimates the time from the net and the data, starts one process per
                core if that pays, and says so. A resumed study keeps its choice.
            client: `distributed.Client` of a Dask cluster, instead of `workers`.
            retries: int >= 0. How often a training is repeated after its worker was lost.
            trial_timeout: Seconds after which a worker counts as hung, or None.
            max_seconds: Time limit in seconds. The search stops early enough to leave time for the
                retrainings. All arms get the same number of trials. None runs every trial.
            verbose: 1 for a progress display and the verdict, 0 for silence.
            **fit_kwargs: Further arguments of `keras.Model.fit`, among them `validation_data` or
                `validation_split`. Also `test_data`: `(x, y)` or a data set, which is used once, at
                the end.

        Returns:
            `Outcome`.

        Raises:
            InputError: If the data, `build` or an argument is wrong. Nothing was trained.
            StudyFailedError: If no arm has a result.
        """
        [outcome] = run_together(
            {"": self},
            x,
            y,
            workers=workers,
            client=client,
            retries=retries,
            trial_timeout=trial_timeout,
            max_seconds=max_seconds,
            verbose=verbose,
            **fit_kwargs,
        ).values()
        if verbose:
            print_outcome(outcome)
        return outcome

    def prepare(
        self,
        x: Any,
        y: Any,
        validation_data: Any = None,
        validation_split: float = 0.0,
        test_data: Any = None,
        sample_weight: Any = None,
        callbacks: Any = None,
        **fit_kwargs: Any,
    ) -> Prepared:
        """Checks everything, and trains nothing."""
        for name in ("epochs", "batch_size"):
            if fit_kwargs.get(name) is not None:
                _check_count(name, fit_kwargs[name])
        unknown = set(fit_kwargs) - _OF_FIT
        if unknown:
            raise InputError(
                f"`run` must get only arguments of keras.Model.fit. Received: {sorted(unknown)[0]}"
            )
        x, y, sample_weight, validation_data, test_data = as_arrays(
            (x, y, sample_weight, validation_data, test_data)
        )
        validation_data, test_data = (
            tuple(part) if isinstance(part, list) else part for part in (validation_data, test_data)
        )
        data = FitData(x, y, sample_weight, validation_data, validation_split, test_data)
        notes = [*self._notes, *check_data(data)]
        seed = derive_seed(self.seed, SEARCH)
        probes = {str(arm.name): probe_arm(self.build, arm, seed, data) for arm in self.arms}
        check_space(probes)
        check_objective(self.objective, probes)
        for probe in probes.values():
            check_labels(data, probe.loss)
        spaces = {name: probe.space for name, probe in probes.items()}
        points = grid_size(spaces, self.trials) if self.tuner == "grid" else None
        kwargs = {**fit_kwargs, "validation_data": validation_data}
        if validation_split:
            kwargs["validation_split"] = validation_split
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        callbacks = keras.tree.flatten(callbacks or [])
        n_rungs = self._count_rungs(Workplace(data.fit_args, kwargs), probes)
        content = self._describe(
            data, probes, kwargs, callbacks, {"grid": points, "n_rungs": n_rungs}, notes
        )
        return Prepared(
            self, data, kwargs, callbacks, self.objective, probes, content, points, n_rungs, notes
        )

    def _count_rungs(self, place: Workplace, probes: Mapping[str, Probe]) -> int:
        """The number of rungs of successive halving. A resumed study keeps its number."""
        if self.tuner != "halving":
            return 1
        if self.is_resumed:
            return self.folder.read_study().fingerprint["n_rungs"]
        epochs = place.kwargs.get("epochs", 1)
        seconds = estimate_epoch_seconds(probes, place)
        n_steps, n_full = place.count_steps(), count_full(self.finalists)
        return count_rungs(self.trials, epochs, n_steps, n_full, seconds)

    def _describe(
        self,
        data: FitData,
        probes: Mapping[str, Probe],
        fit_kwargs: Mapping[str, Any],
        callbacks: Sequence[Any],
        fingerprint: Mapping[str, Any],
        notes: list[str],
    ) -> StudyContent:
        """The content of study.json for a new study."""
        colors = color_arms(self.arms)
        arms = [
            StoredArm(
                name=str(arm.name),
                title=arm.title,
                rectifier=arm.entry.name if arm.entry else None,
                is_baseline=arm.is_baseline,
                color=colors[str(arm.name)],
                fixed_alpha=arm.fixed_alpha,
                space={one.name: _range_of(one) for one in probes[str(arm.name)].space},
            )
            for arm in self.arms
        ]
        fit: dict[str, Any] = {
            name: value
            for name, value in fit_kwargs.items()
            if isinstance(value, int | float | str | dict) or value is None
            if name not in ("validation_data", "sample_weight", "verbose")
        }
        fit["callbacks"] = [type(callback).__name__ for callback in callbacks]
        return StudyContent(
            study=self._settings(),
            about={k: v for k, v in vars(self.about).items() if k != "options"},
            options=None if self.about.options is None else dict(self.about.options),
            fit=plain(fit),
            arms=arms,
            final_seeds=[derive_seed(self.seed, FINAL, i) for i in range(self.seeds)],
            has_test=data.test_data is not None,
            chance=chance_accuracy(data) if _is_accuracy(self.objective.name) else None,
            notes=notes,
            fingerprint=plain(
                {
                    "data": digest_data(data),
                    "models": {name: probe.digest for name, probe in probes.items()},
                    "fit": fit,
                    **fingerprint,
                    "backend": keras.backend.backend(),
                    "dtype_policy": keras.config.dtype_policy().name,
                }
            ),
        )

    def _settings(self) -> dict[str, Any]:
        """The settings of the study, as JSON values."""
        tuner = self.tuner if isinstance(self.tuner, str) else _name_of(self.tuner)
        return {
            "arms": {str(arm.name): arm.describe() for arm in self.arms},
            "objective": {"name": self.objective.name, "direction": self.objective.direction},
            "tuner": tuner,
            "trials": self.trials if tuner != "hyperband" else None,
            "executions": self.executions,
            "finalists": self.finalists,
            "seeds": self.seeds,
            "seed": self.seed,
        }

    def check_settings(self, stored: StudyContent) -> None:
        """Refuses to resume another study.

        Raises:
            InputError: Lists what differs.
        """
        now, before = plain(self._settings()), dict(stored.study)
        for name in ("trials", "seeds"):
            if before[name] is not None and (now[name] or 0) < before[name]:
                raise InputError(
                    f"`{name}` must not be fewer than the study in {self.directory} has. Received: "
                    f"{name}={now[name]} instead of {before[name]}"
                )
            if name == "trials" and self.tuner == "grid" and now[name] != before[name]:
                continue  # checked below: the points of a grid move with their number
            del before[name], now[name]
        now["arms"] = {k: now["arms"].get(k) for k in before["arms"]}  # more are allowed
        check_same(before, now, self.directory)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"`{name}` must be an int of at least 1. Received: {name}={value!r}")


def _read_objective(objective: Any) -> keras_tuner.Objective:
    if isinstance(objective, str):
        name = objective
        try:
            oracle = keras_tuner.oracles.RandomSearchOracle(objective=name, max_trials=1, seed=1)
        except ValueError as error:
            raise InputError(
                "`objective` must be a keras_tuner.Objective(name, 'min' or 'max') if its name "
                f"does not tell the direction. Received: objective={name!r}"
            ) from error
        objective = oracle.objective
    if not isinstance(objective, keras_tuner.Objective) or not isinstance(objective.name, str):
        raise InputError(
            "`objective` must be the name of a metric or a keras_tuner.Objective. Received: "
            f"objective={objective!r}"
        )
    if not objective.name.startswith("val_"):
        raise InputError(
            "`objective` must be a metric on validation data, whose name begins with val_. "
            f"Received: objective={objective.name!r}; try 'val_{objective.name}'"
        )
    return objective


def _is_accuracy(name: str) -> bool:
    return bool(re.fullmatch(r"val_(acc|((sparse_)?categorical_|binary_)?accuracy)", name))


def _range_of(one: Any) -> list[Any]:
    """low, high and scale of a hyperparameter."""
    low, high = getattr(one, "min_value", None), getattr(one, "max_value", None)
    if low is None or high is None:
        return [None, None, "choice"]
    return [float(low), float(high), "log" if "log" in getattr(one, "sampling", "") else "linear"]


def _describe_hyperparameter(one: Any) -> str:
    low, high, scale = _range_of(one)
    if low is None:
        return f"{one.name} of {', '.join(map(str, one.values))}"
    return f"{one.name} {low:g} to {high:g} ({scale})"


def _name_of(function: Any) -> str:
    return f"function {getattr(function, '__qualname__', type(function).__name__)}"


_OF_RUN = {"workers", "client", "retries", "trial_timeout", "max_seconds", "verbose"}
_OF_FIT = {
    *("batch_size", "epochs", "shuffle", "class_weight", "steps_per_epoch", "validation_steps"),
    *("validation_batch_size", "validation_freq", "initial_epoch"),
}
