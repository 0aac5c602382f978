"""Every block of Python in the pages of docs/ runs as it stands, one after the other.

A block that chooses a backend is a script of its own, and runs in its own process.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
# What the reader of a tutorial has to see, as a regular expression.
SEEN = {
    "does_it_help_my_model": r"Page: ",
    "find_the_dead_units": r"(?s)dead units: \d+% of 192.*slope of 0.1: accuracy .*, dead 0.0%",
    "make_an_old_model_leaky": r"(?s)old: .*trained on: .*largest difference: \d",
    "speed_up_my_keras_tuner_script": r"(?s)KerasTuner: .*keras_leaky: \d.*'learning_rate'",
}
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
# MLflow and its database warn of themselves.
MARKS = {"other_tools": pytest.mark.filterwarnings("default")}
OTHERS = [
    pytest.param(page, marks=MARKS.get(page.stem, ()), id=page.stem)
    for page in [DOCS / "index.md", DOCS / "problems.md", *sorted((DOCS / "guides").glob("*.md"))]
    if "```python" in page.read_text()
]


def blocks_of(path):
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


def is_script(block):
    return 'os.environ["KERAS_BACKEND"]' in block


def run_blocks(path):
    names: dict = {}
    blocks = [block for block in blocks_of(path) if not is_script(block)]
    assert blocks
    for block in blocks:
        exec(compile(block, path.name, "exec"), names)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_blocks(path)
    assert re.search(SEEN[path.stem], capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("path", OTHERS)
def test_page(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    parts = [
        (rng.integers(0, 256, (400, 28, 28)).astype("uint8"), rng.integers(0, 10, 400))
        for _ in range(2)
    ]
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: parts)  # a download
    run_blocks(path)


SCRIPTS = [
    pytest.param(block, id=path.stem)
    for path in sorted(DOCS.rglob("*.md"))
    for block in blocks_of(path)
    if is_script(block)
]


@pytest.mark.slow
@pytest.mark.parametrize("block", SCRIPTS)
def test_script(block, tmp_path):
    # Not in the extra `test`. Importing it here would take half a minute and keep PyTorch.
    if importlib.util.find_spec("litert_torch") is None:
        pytest.skip("litert-torch is missing")
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-2]) < 32, done.stdout  # "... 0.7 eps"


def test_links_lead_to_files():
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in link and not link.startswith("mailto:"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
