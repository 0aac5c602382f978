import numpy as np
import pytest

from recipes.common import data as data_module
from recipes.common.main import main
from recipes.common.run_folder import RunFolder
from recipes.common.search_options import MnistOptions
from recipes.common.training import Epoch, Training
from tests.study.certificate_files import make_certificates

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


@pytest.fixture(scope="module")
def data():
    """Synthetic digits, 100 of them for training."""
    return data_module.split(
        data_module.load(data_module.DATASETS["mnist"], "synthetic", None), 100
    )


@pytest.fixture
def fake_training(monkeypatch):
    """Replaces the seam by a function of (alpha, learning rate), to see what oracles make of it.

    What `train` does for real is tested in test_training.py, and both together in test_recipe.py.
    """
    calls = []

    def install(score):
        def train(trainer, build, data, *, seed, n_epochs, batch_size, on_epoch):
            point = build()
            calls.append((point, seed, n_epochs))
            value = score(*point, seed)
            if value is None:
                return Training(None, [], None, "training loss became nan in epoch 1", 0.1)
            epochs = [Epoch(i + 1, 1.0, 0.5, 1.0, value) for i in range(n_epochs)]
            return Training(None, epochs, epochs[0], None, 0.1)

        monkeypatch.setattr("recipes.common.work.train", train)
        monkeypatch.setattr(
            "recipes.common.work.build_model", lambda _, __, ___, *point: (point[0], point[1])
        )
        return calls

    return install


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def foreign_certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("foreign"))
