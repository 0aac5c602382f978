"""Studies that are killed at any moment and resumed."""

import random
import shutil
import signal
from functools import partial

import psutil

from tests.faults.death_at_step import die_at_step
from tests.faults.forked_recipe import run_forked, undisturbed
from tests.faults.recipe_commands import TINY, Command, go_on, run_here
from tests.faults.run_outcomes import after, differences_in_number, records, results

TUNERS = ("random", "grid", "bayesian", "hyperband")
TARGETS = {0: ("driver",), 2: ("driver", "one worker", "all workers", "driver and worker")}
_SECONDS_TO_GO = 15  # for the workers of a driver that has ended


def study_flags(n_trials, n_workers, tuner="random"):
    # A training may be unlucky three times: more would be a failure, as it should.
    workers = (f"--workers={n_workers}", "--retries=3") if n_workers else ()
    trials = () if tuner == "hyperband" else (f"--trials={n_trials}",)
    return (*TINY, f"--tuner={tuner}", *trials, *workers)


def find_workers(process):
    """The worker processes of a driver, started by their nannies in it."""
    try:
        below = psutil.Process(process.pid).children(recursive=True)
        return [child for child in below if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def orphans(processes):
    """Those that outlive their driver."""
    _, alive = psutil.wait_procs(processes, _SECONDS_TO_GO)
    return [f"outlived its driver: {' '.join(process.cmdline())}" for process in alive]


def kill(process, target, rng):
    """Kills, by SIGKILL, what `target` names; returns whether there was anything to kill."""
    workers = find_workers(process)
    victims = {
        "driver": [],
        "one worker": rng.sample(workers, min(1, len(workers))),
        "all workers": workers,
        "driver and worker": rng.sample(workers, min(1, len(workers))),
    }[target]
    if "driver" in target:
        victims = [psutil.Process(process.pid), *victims] if process.poll() is None else []
    for victim in victims:
        try:
            victim.kill()
        except psutil.Error:
            continue
    return bool(victims)


def measure(folder, name, flags):
    """A whole study: seconds, and its results."""
    path = folder / name
    ended = Command(*flags, f"--output={path}", folder=folder).end()
    if ended.code:
        raise RuntimeError(f"An undisturbed study failed: {ended}")
    return ended.seconds, results(path)


def killed_study(folder, name, flags, reference, n_workers, n_kills, first, rng):
    """One study, killed up to `n_kills` times, and resumed after each.

    Args:
        reference: As of `measure`.
        first: When it is killed first, as a fraction of the seconds of an undisturbed study,
            earlier if that was too late; the moments of the other kills are drawn anew.

    Returns:
        A row: what was killed when, the exit codes, and what is wrong with the outcome.
    """
    seconds, expected = reference
    path, kills, codes, problems = folder / name, [], [], []
    moment, known = first, {}
    while True:
        command = Command(*go_on(path, *flags), folder=folder)
        while len(kills) < n_kills:
            command.wait_for(lambda c=command, m=moment: c.seconds >= m * seconds, seconds=1000)
            if not command.is_running():
                break
            workers = find_workers(command.process)
            target = rng.choice(TARGETS[n_workers]) if workers else "driver"
            if kill(command.process, target, rng):
                kills.append(f"{target} at {command.seconds:.1f} s")
            moment = rng.uniform(0, 0.8)
            if "driver" in target:
                break
            moment += command.seconds / seconds
        ended = command.end()
        codes.append(ended.code)
        if ended.has_traceback or ended.code == 2:
            problems.append(ended.error or ended.output[-2000:])
        if ended.code == -signal.SIGKILL:
            problems += orphans(workers)
        if ended.code == 0 and not kills:
            shutil.rmtree(path)
            first *= 0.8
            return killed_study(folder, name, flags, reference, n_workers, n_kills, first, rng)
        known |= records(path)
        if ended.code == 0 or len(codes) > n_kills + 2:
            break
    found = after(path, known, expected)
    if not is_exact(flags, n_workers):
        found["wrong"] = differences_in_number(path, expected)
    if codes[-1]:
        found["wrong"] = ["it did not finish"]
    return {
        "search": name,
        "workers": n_workers,
        "kills": kills,
        "codes": codes,
        **found,
        "problems": problems,
    }


def is_exact(flags, n_workers):
    """Whether a study of these flags tries the same points each time.

    On several workers Bayesian optimization and Hyperband go by the trials that have ended by then.
    """
    return not n_workers or not {"--tuner=bayesian", "--tuner=hyperband"} & {*flags}


def killed_studies(folder, n_runs, n_trials=8, seed=0, every=3):
    """`n_runs` of them, the moments of the first kills spread over the whole study.

    The tuners take turns.

    Args:
        every: Each so many-th runs on two workers.
    """
    rng = random.Random(seed)
    references = {}
    for i in range(n_runs):
        n_workers = 2 if i % every == every - 1 else 0
        tuner = TUNERS[i % len(TUNERS)]
        name = f"{tuner}-{n_workers}"
        flags = study_flags(n_trials, n_workers, tuner)
        if name not in references:
            references[name] = measure(folder, name, flags)
        first = ((i * 0.618) % 1 + rng.uniform(0, 1 / n_runs)) % 1
        yield killed_study(
            folder,
            f"killed-{i}-{name}",
            flags,
            references[name],
            n_workers,
            1 + i % 3,
            first,
            rng,
        )


def killed_steps(folder, n_trials=3, steps=None, more=()):
    """One study for every step of writing, killed before that step and resumed.

    Args:
        steps: Which; None for all of them.
        more: Flags.
    """
    flags = (*study_flags(n_trials, 0), *more)
    expected = undisturbed(folder / "whole", *flags)
    n = 0
    while True:
        n += 1
        if steps is not None and n > max(steps):
            return
        if steps is not None and n not in steps:
            continue
        path = folder / f"step-{n}"
        ended = run_forked(*flags, f"--output={path}", prepare=partial(die_at_step, n))
        if ended.code == 0:
            return  # it has fewer steps
        known = records(path)
        again = run_here(*go_on(path, *flags))
        problems = [e.error for e in (ended, again) if e.has_traceback or e.code not in (0, -9)]
        yield {
            "search": f"killed at step {n}",
            "workers": 0,
            "kills": [f"driver at step {n}"],
            "codes": [ended.code, again.code],
            **after(path, known, expected),
            "problems": problems,
        }
        shutil.rmtree(path)
