import numpy as np
import pytest

from recipes.common.main import main
from recipes.common.run_folder import RunFolder
from recipes.common.search_options import MnistOptions

TINY = (
    "--data=synthetic",
    "--model=mlp",
    "--epochs=1",
    "--train-limit=200",
    "--batch-size=50",
    "--precision=float32",
)


@pytest.fixture
def search(tmp_path):
    """Runs a whole tiny search and returns (exit code, run folder or None)."""

    def run(name, *flags, tiny=TINY):
        path = tmp_path / name
        code = main(MnistOptions, "mnist", [*tiny, "--output", str(path), *map(str, flags)])
        return code, RunFolder.open(path) if (path / "config.json").exists() else None

    return run


def write_mnist(folder, **changes):
    """Writes a small mnist.npz that passes every check, but for `changes`; None leaves one out."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 400), ("test", 100)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (n, 28, 28), dtype="uint8")
        arrays[f"y_{part}"] = np.arange(n) % 10
    arrays |= changes
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mnist.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


@pytest.fixture
def mnist_folder(tmp_path):
    write_mnist(tmp_path / "data")
    return tmp_path / "data"
