"""What `--precision auto` stands for on this machine and for this net."""

import dataclasses
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import keras

from keras_leaky.tuning import Trainer
from recipes.common.data import Split
from recipes.common.models import build_model
from recipes.common.options import OptionsT, RunOptions
from recipes.common.space import Arm

N_STEPS = 10
N_TIMES = 9
LEAST_GAIN = 1.1  # below that, the precision is worth more


def choose_precision(options: OptionsT, data: Split, arm: Arm) -> tuple[OptionsT, str]:
    """Settles `--precision auto` and returns the options and the reason, for a person.

    mixed_bfloat16 is taken where the processor or an accelerator multiplies it natively and a
    short training of the net of `arm` is clearly faster with it.
    """
    if options.precision != "auto":
        return options, "as asked for"
    if options.scheduler:
        reason = "workers on other machines are not measured"
        return dataclasses.replace(options, precision="float32"), reason
    if not multiplies_bfloat16():
        reason = "this machine does not multiply bfloat16 natively"
        return dataclasses.replace(options, precision="float32"), reason
    seconds = measure_step_seconds(options, data, arm)
    low, full = seconds["mixed_bfloat16"], seconds["float32"]
    gain = median(b / a for a, b in zip(low, full, strict=True))  # steady beside other work
    return (
        dataclasses.replace(
            options, precision="mixed_bfloat16" if gain >= LEAST_GAIN else "float32"
        ),
        f"a training step takes {1000 * median(low):.1f} ms in mixed_bfloat16 and "
        f"{1000 * median(full):.1f} ms in float32",
    )


def multiplies_bfloat16() -> bool:
    """Whether there may be a GPU or TPU, or is a processor with AMX or AVX-512 for bfloat16."""
    if keras.backend.backend() == "torch":  # Keras lists no devices there: the measurement decides
        return True
    if any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices()):
        return True
    cpuinfo = Path("/proc/cpuinfo")  # elsewhere than on Linux: no
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


def measure_step_seconds(options: RunOptions, data: Split, arm: Arm) -> dict[str, list[float]]:
    """Seconds of a training step, by precision, measured in turns."""
    n_images = min(N_STEPS * options.batch_size, len(data.x_train))
    images = data.x_train[:n_images], data.y_train[:n_images]
    trainers = {name: Trainer() for name in ("float32", "mixed_bfloat16")}
    times: dict[str, list[float]] = {name: [] for name in trainers}
    quiet: Any = 0
    for _ in range(1 + N_TIMES):  # the first compiles
        for name, trainer in trainers.items():
            tried: Any = dataclasses.replace(options, precision=name)
            build = partial(build_model, tried, data, arm, arm.some_alpha, 1e-4, n_epochs=1)
            model = trainer.build(build, seed=1)
            start = time.perf_counter()
            trainer.train(model, *images, seed=1, batch_size=options.batch_size, verbose=quiet)
            times[name].append(time.perf_counter() - start)
    n_steps = -(-n_images // options.batch_size)
    return {name: [t / n_steps for t in seconds[1:]] for name, seconds in times.items()}
