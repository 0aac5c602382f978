"""Recovery of a search from the files of its project.

The files of the trials are the truth. The part of the oracle's state that follows from the trials
is rebuilt. The rest is the newest state in any file.
"""

import logging
from collections.abc import Iterable
from typing import Any

import keras_tuner

from keras_leaky.tuning._keras_tuner import Trial, TrialStatus, record_values
from keras_leaky.tuning._project.reading import Found, is_finished, waiting

_logger = logging.getLogger(__name__)
# Entries of an oracle's state that grow with the trials, and follow from them.
OF_TRIALS = (
    "ongoing_trials",
    "start_order",
    "end_order",
    "run_times",
    "retry_queue",
    "tried_so_far",
    "id_to_hash",
    "display",
)


def recover(oracle: keras_tuner.Oracle, found: Found) -> list[Trial]:
    """Gives `oracle` the trials and the state that were found.

    A trial that did not finish, or whose files are damaged, waits to be run with its values. If the
    values are lost too, a new trial replaces it: KerasTuner counts the trials to name the next one,
    so that a gap would give a name twice.

    Returns:
        The trials that replace lost ones.
    """
    base: Any = found.base_state  # `Project.reload` has seen that there is one
    state, values = dict(base), dict(found.ours.trials or {})
    for record in found.records.values():
        values.update(record.ours.before or {})
    names = [*state.get("start_order", []), *values, *sorted(found.records)]
    names = _in_order([*names, *_gaps(names)])
    space = keras_tuner.HyperParameters.from_config(state["hyperparameters"])
    trials = {}
    for name in names:
        if name in found.records:
            trials[name] = found.records[name].trial
        elif name in values:
            _logger.warning(
                "Trial %s, whose file is lost, runs again with the same hyperparameters", name
            )
            trials[name] = waiting(name, _with_values(space, values[name]))
    lost = [name for name in names if name not in trials]
    for name in list(trials):
        # A trial of Hyperband that was to continue a lost one.
        parent = trials[name].hyperparameters.values.get("tuner/trial_id")
        if parent in lost and not is_finished(trials[name]):
            del trials[name]
            lost.append(name)
    if "brackets" in state:  # of Hyperband
        state["brackets"] = [_without_lost(bracket, trials) for bracket in state["brackets"]]

    known_runs = state.get("run_times", {})
    n_runs = {
        name: known_runs.get(name, 0) if record.ours.n_runs is None else record.ours.n_runs
        for name, record in found.records.items()
    }
    places = {name: place for place, name in enumerate(state.get("end_order", []), start=1)}
    places |= {
        name: record.ours.n_ended
        for name, record in found.records.items()
        if record.ours.n_ended is not None and is_finished(record.trial)
    }
    end_order = sorted(places, key=places.__getitem__)
    _restore(oracle, {**state, "run_times": n_runs, "end_order": end_order}, trials)
    new = [_propose_again(oracle, name) for name in _in_order(lost)]
    if new:
        _restore(oracle, oracle.get_state(), oracle.trials)
    return new


def take_back(oracle: keras_tuner.Oracle) -> None:
    """Makes the unfinished ongoing trials of `oracle` wait to be run again."""
    _restore(oracle, oracle.get_state(), oracle.trials)


def _restore(oracle: keras_tuner.Oracle, state: dict[str, Any], trials: dict[str, Trial]) -> None:
    """Sets the state of `oracle`, and rebuilds the part that follows from the trials."""
    names = _in_order(trials)
    trials = {
        name: trials[name]
        if is_finished(trials[name])
        else waiting(name, trials[name].hyperparameters)
        for name in names
    }
    finished = [name for name in names if is_finished(trials[name])]
    ended = [name for name in dict.fromkeys(state.get("end_order", [])) if name in finished]
    no_display = {"search_start": None, "trial_start": {}, "trial_number": {}}
    oracle.trials = trials
    oracle.set_state(
        {
            **state,
            "ongoing_trials": {},
            "start_order": names,
            "end_order": [*ended, *(name for name in finished if name not in ended)],
            # Taken from its end, the earliest first: later trials of Hyperband continue it.
            "retry_queue": [name for name in reversed(names) if name not in finished],
            "tried_so_far": [],
            "id_to_hash": {},
            "display": state.get("display", no_display),
        }
    )
    for trial in trials.values():
        record_values(oracle, trial)


def _with_values(
    space: keras_tuner.HyperParameters, values: dict[str, Any]
) -> keras_tuner.HyperParameters:
    """Hyperparameters with these values, from the parameters of `space` that have a value."""
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.merge([parameter for parameter in space.space if parameter.name in values])
    hyperparameters.values = dict(values)
    return hyperparameters


def _propose_again(oracle: keras_tuner.Oracle, name: str) -> Trial:
    """A new trial of this name among those of `oracle`."""
    response = oracle.populate_space(name)
    values = response.get("values")
    if response["status"] == TrialStatus.RUNNING:
        _logger.warning("Trial %s is lost with its hyperparameters: a new trial replaces it", name)
        trial = waiting(name, _with_values(oracle.get_space(), values))
    else:
        message = f"Trial {name} is lost, and the search has no other point to replace it"
        _logger.warning(message)
        trial = Trial(oracle.get_space(), name, TrialStatus.FAILED, message)
    oracle.trials[name] = trial
    record_values(oracle, trial)  # so that the next one is another point
    return trial


def _without_lost(bracket: dict[str, Any], trials: dict[str, Trial]) -> dict[str, Any]:
    rounds = [[one for one in trials_ if one["id"] in trials] for trials_ in bracket["rounds"]]
    return {**bracket, "rounds": rounds}


def _gaps(names: list[str]) -> list[str]:
    """Names that are missing among names that count up, as KerasTuner's do."""
    if not names or not all(name.isdecimal() for name in names):
        return []
    known = {int(name) for name in names}
    width = len(min(names, key=len))
    return [str(n).zfill(width) for n in range(max(known)) if n not in known]


def _in_order(names: Iterable[str]) -> list[str]:
    """Each name once, in the order in which the trials began: KerasTuner's names count up."""
    names = list(dict.fromkeys(names))
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names
