"""A run that can stop anywhere: its state, its records, and their table."""

# pyright: reportMissingImports=false
# JAX is an extra.

import gzip
import io
import json
import time
from importlib import metadata

import jax
import numpy as np

from keras_leaky.storage import write_whole
from keras_leaky.study import InputError

SECONDS_A_SAVE = 60
FORMAT = 1


def run(program, folder, is_late, tell):
    """Resumes the program from the folder; returns whether it is complete.

    Writes NAME-state.npz now and then. When it stops, it also writes NAME.csv.gz, with a row for
    each quantity and net and a column for each bin or task, and NAME.json with the settings, the
    device and the seconds.
    """
    path = folder / f"{program.name}-state.npz"
    config = json.dumps({"format": FORMAT, **program.config()}, sort_keys=True)
    state, records, seconds = _load(path, config) or (program.start(), {}, 0.0)
    n_done = len(next(iter(records.values()), ()))
    state = jax.device_put(state)
    start = saved = told = time.perf_counter()
    before = seconds

    def save():
        _save(path, config, jax.device_get(state), records, seconds)

    for number in range(n_done, program.n_steps):
        if is_late():
            break
        state, record = program.run(state, number)
        for name, numbers in jax.device_get(record).items():
            records.setdefault(name, []).append(numbers)
        now = time.perf_counter()
        seconds = before + now - start
        if number == n_done or now - told > 10:
            told = now
            average = np.nanmean(records[program.headline][-1])
            tell(
                f"{program.name}: {number + 1} of {program.n_steps} {program.unit}s, "
                f"{seconds:.1f} s, mean {program.headline} {average:.4f}"
            )
        if now - saved > SECONDS_A_SAVE:
            saved = now
            save()
    save()
    n_done = len(next(iter(records.values()), ()))
    _write_table(program, records, folder / f"{program.name}.csv.gz")
    facts = {
        **json.loads(config),
        f"{program.unit}s": n_done,
        "seconds": round(seconds, 1),
        "device": jax.devices()[0].device_kind,
        "versions": {name: metadata.version(name) for name in ("jax", "numpy", "keras")},
    }
    write_whole(folder / f"{program.name}.json", json.dumps(facts, indent=1).encode())
    return n_done >= program.n_steps


def _load(path, config):
    """(state, records, seconds) of an earlier call."""
    if not path.exists():
        return None
    with np.load(path) as file:
        found = str(file["config"])
        if found != config:
            raise InputError(
                f"`--out` must be a new folder, or one of the same settings. Received: {path}, "
                f"made with {found}, now {config}"
            )
        parts = {"state": {}, "record": {}}
        for key in file.files:
            part, _, name = key.partition("/")
            if name:
                parts[part][name] = file[key]
        return (
            parts["state"],
            {name: [*all_of_it] for name, all_of_it in parts["record"].items()},
            float(file["seconds"]),
        )


def _save(path, config, state, records, seconds):
    parts = {f"state/{name}": numbers for name, numbers in state.items()}
    parts |= {f"record/{name}": np.array(numbers) for name, numbers in records.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, config=np.array(config), seconds=np.array(seconds), **parts)
    write_whole(path, buffer.getvalue())


def _write_table(program, records, path):
    n_columns = len(next(iter(records.values()), ()))
    heads = ["quantity", "arm", "step_size", "init", "run"]
    heads += [f"{program.unit}_{i + 1}" for i in range(n_columns)]
    lines = [",".join(heads)]
    labels = [",".join(map(str, label)) for label in program.labels()]
    for name, numbers in records.items():
        table = np.array(numbers).reshape(n_columns, -1).T
        style = "%.5g" if table.dtype.kind == "f" else "%d"
        for label, row in zip(labels, table, strict=True):
            lines.append(f"{name},{label}," + ",".join(style % value for value in row))
    text = "\n".join(lines) + "\n"
    write_whole(path, gzip.compress(text.encode(), mtime=0))
