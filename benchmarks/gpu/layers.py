"""Every layer against the peers, in copies of a tensor that is far larger than any cache."""

from functools import partial

from benchmarks import layers

SHAPE = (256, 56, 56, 64)  # 51 million elements
SMALL_SHAPE = (4, 8, 8, 4)


def list_layer_jobs(options):
    """A job a dtype and pass. It returns rows of `benchmarks.layers`."""
    shape = SMALL_SHAPE if options.small else SHAPE
    return {
        f"{dtype} {layers.PASSES[backward]}": partial(measure, dtype, shape, backward)
        for dtype in ("float32", "bfloat16")
        for backward in (True, False)
    }


def measure(dtype, shape, backward):
    rows = list(layers.measure(dtype, shape, "jit", backward))
    return [{**row, "shape": "x".join(map(str, shape))} for row in rows]
