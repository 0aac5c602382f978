"""Running studies: their trials and retrainings on the same lanes, then tables and page."""

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_leaky import storage
from keras_leaky.study._assemble import assemble, write_results
from keras_leaky.study._checks import sample_of
from keras_leaky.study._examination import N_DEAD_UNIT_EXAMPLES, Examination, Point
from keras_leaky.study._fingerprint import check_same
from keras_leaky.study._folder import StudyFolder
from keras_leaky.study._prepared import Prepared
from keras_leaky.study._progress import EpochProgress, Progress, make_console, print_note
from keras_leaky.study._proposals import Grid, Spread, make_tuner
from keras_leaky.study._retraining import N_FINALIST_SEEDS, ArmRetraining
from keras_leaky.study._searching import ArmSearch, Clock
from keras_leaky.study._seeds import FINAL, FINALISTS, SEARCH, derive_seed
from keras_leaky.study._workers import choose_workers
from keras_leaky.study.arms import Arm, ArmModel
from keras_leaky.study.environment import count_threads, describe_environment
from keras_leaky.study.errors import InputError, StudyFailedError
from keras_leaky.study.outcome import Outcome
from keras_leaky.study.report import result_table, write_report
from keras_leaky.tuning import local_workers
from keras_leaky.tuning._lanes.scheduler import open_lanes, run_jobs
from keras_leaky.tuning._lanes.search import open_search
from keras_leaky.tuning._lanes.training import TrainingWork
from keras_leaky.tuning._lanes.workplace import Workplace

if TYPE_CHECKING:
    from keras_leaky.study.study import Study

_logger = logging.getLogger(__name__)


def run_together(
    studies: "Mapping[str, Study]",
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
) -> dict[str, Outcome]:
    """Runs several studies on the same data with one scheduler; otherwise like `Study.run`."""
    _check_workers(workers, client)
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"`max_seconds` must be above 0, or None. Received: {max_seconds=}")
    fit_kwargs.pop("verbose", None)
    console = make_console(verbose)
    with contextlib.ExitStack() as stack:
        for study in studies.values():
            stack.enter_context(_locked(study))
        prepared = {name: study.prepare(x, y, **fit_kwargs) for name, study in studies.items()}
        n_workers, why = 0 if workers == "auto" else int(workers), ""
        if workers == "auto" and client is None:
            n_workers, why = choose_workers(list(prepared.values()), max_seconds)
        n_threads = count_threads(default=1 if n_workers or client is not None else None)
        for one in prepared.values():
            one.content.fingerprint["n_threads"] = n_threads
            one.content.workers = n_workers
            _open_folder(one, console)
        if why:
            where = f"{n_workers} worker processes" if n_workers > 1 else "one worker process"
            where = where if n_workers else "this process"
            console.print(f"Trains in {where}: {why}", markup=False)
        if client is None and n_workers:
            try:
                client = stack.enter_context(local_workers(n_workers))
            except ValueError as error:  # too many for the memory
                raise InputError(f"`workers` cannot be {n_workers}: {error}") from error
        try:
            _run_all(list(prepared.values()), client, retries, trial_timeout, max_seconds, console)
        except BaseException as error:
            # A full disk is full for the tables too: the first error is the one to report.
            with contextlib.suppress(OSError, InputError):
                _write_outcomes(studies)
            if isinstance(error, InputError):
                _check_folders(studies)
            raise
        _check_folders(studies)
        outcomes = _write_outcomes(studies)
        for outcome in outcomes.values():
            if outcome.recommended is None:
                reasons = "; ".join(f"{a.title}: {a.failure}" for a in outcome.arms.values())
                raise StudyFailedError(
                    f"No arm has a result. {reasons}. The trials are in {outcome.directory}: "
                    "lower the learning rates, or look at trials.csv"
                )
            write_report(outcome)
    return outcomes


def _check_folders(studies: "Mapping[str, Study]") -> None:
    for study in studies.values():
        if not study.folder.study_file.exists():
            raise StudyFailedError(
                f"{study.folder.path} was deleted or moved while the study ran. Run the study again"
            )


def _write_outcomes(studies: "Mapping[str, Study]") -> dict[str, Outcome]:
    """Writes the tables of each study so far, and returns its outcome."""
    outcomes = {}
    for name, study in studies.items():
        outcomes[name] = assemble(study.folder)
        write_results(study.folder, outcomes[name])
    return outcomes


def _run_all(
    prepared: Sequence[Prepared],
    client: Any,
    retries: int,
    trial_timeout: float | None,
    max_seconds: float | None,
    console: Any,
) -> None:
    """The trials and retrainings of all arms of all studies, on the same lanes."""
    totals = [one.n_runs_and_epochs() for one in prepared]
    n_runs, n_epochs = (sum(part) for part in zip(*totals, strict=True))
    progress = Progress(console, prepared[0].objective, n_runs, n_epochs)
    n_retrainings = sum(
        one.n_retrainings(one.n_trials_and_epochs(arm)[0])
        for one in prepared
        for arm in one.study.arms
    )
    n_lanes = 1 if client is None else max(1, len(client.nthreads()))
    clock = Clock(max_seconds, n_retrainings, n_lanes)
    with contextlib.ExitStack() as stack:
        stack.enter_context(progress)
        sources: list[Any] = []  # arm after arm, so that an arm's programs are still there
        retrainings: list[tuple[Prepared, ArmRetraining]] = []
        first = prepared[0]
        place = Workplace(first.data.fit_args, {**first.fit_kwargs, "verbose": 0})
        sample = sample_of(first.data, N_DEAD_UNIT_EXAMPLES)  # of all: they share the data
        for one in prepared:
            for arm in one.study.arms:
                search, retraining = _sources_of(
                    one, arm, place, sample, client, progress, clock, stack
                )
                sources += [search, retraining]
                retrainings.append((one, retraining))
        if client is not None:
            place.check_can_travel(
                build=[one.study.build for one in prepared], callbacks=first.callbacks
            )
        lanes = stack.enter_context(
            open_lanes(sources, client, retries=retries, timeout=trial_timeout)
        )
        if client is not None:
            progress.watch_workers(lambda: lanes.running)  # type: ignore[attr-defined]
        run_jobs(sources, lanes)
    for one in prepared:
        _write_state(one, [r for owner, r in retrainings if owner is one], clock)


def _sources_of(
    prepared: Prepared,
    arm: Arm,
    place: Workplace,
    sample: Any,
    client: Any,
    progress: Progress,
    clock: Clock,
    stack: contextlib.ExitStack,
) -> tuple[ArmSearch, ArmRetraining]:
    study, name = prepared.study, str(arm.name)
    hypermodel = ArmModel(study.build, arm)
    names = {one.name for probe in prepared.probes.values() for one in probe.space}
    oracle_seed = derive_seed(study.seed, SEARCH)
    tuner = make_tuner(
        study.tuner,
        hypermodel,
        study.folder.project(name),
        objective=prepared.objective,
        trials=study.trials,
        executions=study.executions,
        epochs=prepared.epochs,
        seed=oracle_seed,
        n_rungs=prepared.n_rungs,
        n_full=prepared.n_full,
    )
    propose: Any = None
    if isinstance(study.tuner, str):
        points = prepared.points
        propose = Spread(sorted(names), oracle_seed) if points is None else Grid(points)
    callbacks = list(prepared.callbacks)
    if client is None:
        callbacks.append(EpochProgress(progress))
    source = stack.enter_context(open_search(tuner, place, callbacks, client is not None, propose))
    n_epochs = prepared.epochs * study.executions
    search = ArmSearch(arm, tuner, source, progress, clock, n_epochs)
    for trial in tuner.oracle.trials.values():
        if trial.trial_id in tuner.oracle.end_order:
            progress.trial_kept(arm, trial, search.count_epochs_of(trial))
    batch_size = prepared.fit_kwargs.get("batch_size") or 32
    examination = Examination(
        hypermodel.build_point,
        prepared.objective.name.removeprefix("val_"),
        prepared.data.test_data,
        sample,
        batch_size,
    )
    work = TrainingWork(place, _PointBuild(hypermodel), callbacks, examination, prepared.objective)
    retraining = ArmRetraining(
        search,
        work,
        study.folder,
        prepared.objective,
        study.finalists,
        [derive_seed(study.seed, FINALISTS, i) for i in range(N_FINALIST_SEEDS)],
        [derive_seed(study.seed, FINAL, i) for i in range(study.seeds)],
        progress,
    )
    return search, retraining


@dataclasses.dataclass(frozen=True)
class _PointBuild:
    """Function from a `Point` to its model."""

    hypermodel: ArmModel

    def __call__(self, point: Point) -> keras.Model:
        return self.hypermodel.build_point(point.values)


@contextlib.contextmanager
def _locked(study: "Study") -> Iterator[None]:
    """Holds the folder of a study."""
    stack = contextlib.ExitStack()
    try:
        stack.enter_context(storage.folder_lock(study.directory))
    except storage.FolderInUseError as error:
        raise InputError(f"`directory` must not be in use by another run: {error}") from error
    except storage.WriteError:
        raise
    except OSError as error:
        raise InputError(
            f"`directory` must be a folder that can be written: {error}. Received: "
            f"directory={str(study.directory)!r}"
        ) from error
    with stack:
        yield


def _open_folder(prepared: Prepared, console: Any) -> None:
    """Writes study.json of a new study, or checks the file of a resumed one."""
    study, folder = prepared.study, prepared.study.folder
    environment = describe_environment()
    if study.overwrite:
        _delete_study(folder)
        study.overwrite = False
    storage.remove_leftovers(folder.path)  # also of a study killed before it had a study.json
    if folder.holds_study:
        stored = folder.read_study()
        study.check_settings(stored)
        before, now = dict(stored.fingerprint), dict(prepared.content.fingerprint)
        now["models"] = {k: now["models"].get(k) for k in before["models"]}
        check_same(before, now, folder.path)
        prepared.content.state = dataclasses.replace(stored.state, is_finished=False)
        folder.set_aside_folders()
        began = folder.read_environment()
        if began is not None:
            for name in ("versions", "processor"):
                if began.get(name) != environment[name]:
                    _logger.warning("The study began with different %s: %s", name, began.get(name))
            environment = {**began, "resumes": [*began.get("resumes", []), environment]}
    folder.write_study(prepared.content)
    folder.write_environment(environment)
    console.print(f"Run folder: {folder.path}", markup=False)
    for note in (study.about.warning, *prepared.notes):
        if note:
            print_note(console, note)


def _delete_study(folder: StudyFolder) -> None:
    """Deletes the files of a study; study.json goes last, so that a kill leaves a study."""
    for name in ("search", "retrainings", "plots"):
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for path in sorted(folder.path.iterdir(), key=lambda p: p == folder.study_file):
        if path.is_file() and path.name != storage.LOCK_NAME:
            path.unlink()


def _write_state(prepared: Prepared, retrainings: Sequence[ArmRetraining], clock: Clock) -> None:
    """Records which points were chosen, once every retraining has ended."""
    folder = prepared.study.folder
    stored = folder.read_study()
    state = stored.state
    state.chosen = {str(r.arm.name): r.chosen for r in retrainings if r.chosen is not None}
    state.failed = {str(r.arm.name): r.failure for r in retrainings if r.chosen is None}
    # Counted by what was tested: a run that was killed may have tested a part.
    tested: dict[str, list[Any]] = {
        name: [chosen, prepared.study.seeds] for name, chosen in state.chosen.items()
    }
    if prepared.data.test_data is not None and tested not in ({}, state.tested):
        state.n_test_looks += 1
        state.tested = tested
    state.is_finished = True
    if clock.is_over:
        told = ", ".join(f"{len(s.tuner.oracle.trials)} of {s.arm.name}" for s in clock.searches)
        stored.notes.append(f"The time limit ended the searches after these trials: {told}.")
    folder.write_study(stored)


def print_outcome(outcome: Outcome) -> None:
    console = make_console(1)
    console.print()
    console.print(result_table(outcome), width=max(console.width, 80))
    console.print()
    if outcome.warning:
        print_note(console, outcome.warning)
    console.print(outcome.verdict, style="bold", markup=False)
    console.print(f"Page: {outcome.page.resolve()}", markup=False)


def _check_workers(workers: Any, client: Any) -> None:
    if client is not None:
        if workers not in ("auto", 0):
            raise InputError(
                f"`workers` must be left out if a `client` is given. Received: {workers=}"
            )
    elif workers != "auto" and (
        isinstance(workers, bool) or not isinstance(workers, int) or workers < 0
    ):
        raise InputError(f"`workers` must be 'auto' or an int >= 0. Received: {workers=}")
