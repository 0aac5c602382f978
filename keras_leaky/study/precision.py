"""The choice of `--precision auto` for this machine and this net."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import keras
import keras_tuner

from keras_leaky.study.arms import Arm, ArmModel
from keras_leaky.tuning import Trainer

__all__ = ["choose_precision"]

PRECISIONS = ("float32", "mixed_bfloat16")
N_STEPS = 10
N_TIMES = 9
LEAST_GAIN = 1.1  # below that, the precision is worth more

# From a precision to `build(hp, rectifier)`.
MakeBuild = Callable[[str], Callable[..., keras.Model]]


def choose_precision(
    asked: str, make_build: MakeBuild, x: Any, y: Any, *, batch_size: int, is_remote: bool
) -> tuple[str, str]:
    """The precision to train in, and the reason, for a person.

    For "auto", mixed_bfloat16 is chosen if the processor or an accelerator multiplies it natively
    and a short training of the baseline is clearly faster with it.

    Args:
        asked: A name of a Keras dtype policy, or "auto".
        make_build: From a precision to `build(hp, rectifier)`.
        x, y: Training data; only the first few examples are used.
        is_remote: Whether other machines train.
    """
    if asked != "auto":
        return asked, "as asked for"
    if is_remote:
        return "float32", "workers on other machines are not measured"
    if not multiplies_bfloat16():
        return "float32", "this machine does not multiply bfloat16 natively"
    seconds = measure_step_seconds(make_build, x, y, batch_size)
    low, full = seconds["mixed_bfloat16"], seconds["float32"]
    gain = median(b / a for a, b in zip(low, full, strict=True))  # steady beside other work
    return (
        "mixed_bfloat16" if gain >= LEAST_GAIN else "float32",
        f"a training step takes {1000 * median(low):.1f} ms in mixed_bfloat16 and "
        f"{1000 * median(full):.1f} ms in float32",
    )


def multiplies_bfloat16() -> bool:
    """Whether there may be a GPU or TPU, or a processor with AMX or AVX-512 for bfloat16."""
    if keras.backend.backend() == "torch":  # Keras lists no devices there: the measurement decides
        return True
    if any(not device.lower().startswith("cpu") for device in keras.distribution.list_devices()):
        return True
    cpuinfo = Path("/proc/cpuinfo")  # elsewhere than on Linux: no
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


def measure_step_seconds(
    make_build: MakeBuild, x: Any, y: Any, batch_size: int
) -> dict[str, list[float]]:
    """Seconds of a training step, by precision, measured in turns."""
    n = min(N_STEPS * batch_size, len(x))
    trainers = {name: Trainer() for name in PRECISIONS}
    models = {name: ArmModel(make_build(name), Arm("relu")) for name in PRECISIONS}
    times: dict[str, list[float]] = {name: [] for name in PRECISIONS}
    quiet: Any = 0
    for _ in range(1 + N_TIMES):  # the first compiles
        for name, trainer in trainers.items():
            model = trainer.build(lambda n=name: models[n].build(keras_tuner.HyperParameters()), 1)
            start = time.perf_counter()
            trainer.train(model, x[:n], y[:n], seed=1, batch_size=batch_size, verbose=quiet)
            times[name].append(time.perf_counter() - start)
    n_steps = -(-n // batch_size)
    return {name: [t / n_steps for t in seconds[1:]] for name, seconds in times.items()}
