"""Draws docs/images/where_a_leak_helps.png, from the tables of the pages."""

import re
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).parent
SLOPES = {"0.01": "#7fb3d9", "0.1": "#0b6fb8", "0.3": "#0a3557"}
MNIST = ("MLP, 2 layers", "MLP, 2 layers, batch norm", "MLP, 8 layers", "MLP, 8 layers, batch norm")
_MNIST_ROW = re.compile(r"^\| Leaky ReLU (0\.\d+) \| ([-+*\d.]+ \[.*)$", re.MULTILINE)
_MNIST_CELL = re.compile(r"\*{0,2}([-+][\d.]+)\*{0,2} \[([-+][\d.]+), ([-+][\d.]+)\]")
_CIFAR_ROW = re.compile(
    r"^\| Leaky ReLU (0\.\d+) \|.*\| \*{0,2}([-+][\d.]+)\*{0,2} \| ([-+][\d.]+) to ([-+][\d.]+) \|",
    re.MULTILINE,
)
_GPU_ROW = re.compile(
    r"^\| leaky_relu_(0\.\d+) \|.*\| ([-+][\d.]+) \[([-+][\d.]+), ([-+][\d.]+)\] \|", re.MULTILINE
)


def read() -> dict[str, dict[str, tuple[float, ...]]]:
    """Difference and ends of its interval, in points, by setting and slope."""
    page = (DOCS / "does_leaky_relu_help.md").read_text()
    found: dict[str, dict[str, tuple[float, ...]]] = {}
    for slope, cells in _MNIST_ROW.findall(page):
        for name, numbers in zip(MNIST, _MNIST_CELL.findall(cells), strict=True):
            found.setdefault(f"MNIST, {name}", {})[slope] = tuple(map(float, numbers))
    gpu = (DOCS / "evidence" / "cifar10_gpu.md").read_text()
    for name, rows in (
        ("CIFAR-10, 3 epochs", _CIFAR_ROW.findall(page)),
        ("CIFAR-10, 24 epochs, batch norm", _GPU_ROW.findall(gpu)),
    ):
        found[name] = {slope: tuple(map(float, numbers)) for slope, *numbers in rows}
    return found


def draw(path: Path) -> None:
    settings = read()
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for place, slopes in enumerate(settings.values()):
        for i, (slope, (mean, low, high)) in enumerate(sorted(slopes.items())):
            y = place + 0.24 * (i - 1)
            axes.plot([low, high], [y, y], color=SLOPES[slope], linewidth=2)
            label = f"leak of {slope}" if not place else None
            axes.plot(mean, y, "o", color=SLOPES[slope], markersize=6, label=label)
    axes.axvline(0, color="#555555", linewidth=1)
    axes.set_yticks(range(len(settings)), list(settings))
    axes.invert_yaxis()
    axes.set_xlabel("difference from ReLU, points of test accuracy")
    axes.legend(frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd")
    axes.set_axisbelow(True)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    draw(DOCS / "images" / "where_a_leak_helps.png")
