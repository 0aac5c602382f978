"""The site: the reference names all that is public, and links lead to pages of the site."""

import importlib
import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# Section 3 of the design; `keras_leaky.storage` is no promise to users.
MODULES = [
    "keras_leaky",
    *(
        f"keras_leaky.{name}"
        for name in (
            *("layers", "ops", "initializers", "diagnostics", "surgery", "saving", "tuning"),
            "study",
        )
    ),
]


def public_objects():
    """Full name -> object, of every name in an `__all__` that is no module."""
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            found = getattr(module, name)
            if not isinstance(found, ModuleType):
                yield f"{module.__name__}.{name}", found


def documented_objects():
    """A pair of page and object for each directive of the reference."""
    for page in (DOCS / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            module, _, attribute = name.rpartition(".")
            yield page.name, getattr(importlib.import_module(module), attribute)


def test_every_public_name_is_on_one_page_of_the_reference():
    times = Counter(id(found) for _, found in documented_objects())
    wrong = {name: times[id(found)] for name, found in public_objects() if times[id(found)] != 1}
    assert not wrong, f"each needs one line `::: NAME` in docs/reference; lines now: {wrong}"


@pytest.fixture
def hooks():
    pytest.importorskip("mkdocs")  # of the extra `docs`
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "source", "place", "new"),
    [
        (
            "../../benchmarks/RESULTS.md",
            "docs/guides/a.md",
            "guides/a.md",
            "../evidence/benchmarks.md",
        ),
        ("../../SECURITY.md", "docs/guides/a.md", "guides/a.md", "security_policy.md"),
        ("../README.md", "docs/a.md", "a.md", "index.md"),
        ("b.md", "docs/guides/a.md", "guides/a.md", "b.md"),
        ("../docs/a.md", "benchmarks/RESULTS.md", "evidence/benchmarks.md", "../a.md"),
        ("https://keras.io", "docs/a.md", "a.md", "https://keras.io"),
        (
            "../recipes/mnist.py",
            "docs/a.md",
            "a.md",
            "../recipes/mnist.py",
        ),  # no page: MkDocs warns
    ],
)
def test_links_of_the_site(hooks, link, source, place, new):
    assert hooks.rewrite_links(f"[a]({link}#b)", source, place) == f"[a]({new}#b)"


def test_pages_from_elsewhere_exist(hooks):
    assert all((hooks.ROOT / source).exists() for source in hooks.PAGES)
    assert not any((DOCS / place).exists() for place in hooks.PAGES.values())
