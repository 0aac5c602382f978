"""Who may import whom, and what importing the pack costs."""

import ast
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_leaky

ROOT = Path(__file__).parents[1]
FILES = sorted(
    p for folder in ("keras_leaky", "recipes", "benchmarks") for p in (ROOT / folder).rglob("*.py")
)
PACK_MODULES = [
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for p in FILES
    if p.is_relative_to(ROOT / "keras_leaky")
]

# The parts of the pack, and which other parts each may import.
MAY_IMPORT = {
    "ops": set(),
    "layers": {"ops"},
    "rectifiers": {"layers", "ops"},
    "initializers": {"rectifiers", "layers"},
    "diagnostics": {"rectifiers", "layers", "ops"},
    "surgery": {"initializers", "rectifiers", "layers"},
    "saving": {"layers"},
    "storage": set(),
    "_quiet_start": set(),
    "tuning": {"rectifiers", "layers", "storage", "_quiet_start"},
    "study": {
        *("rectifiers", "layers", "initializers", "diagnostics", "surgery", "saving", "storage"),
        *("tuning", "_quiet_start"),
        *("import_parts", "is_command_line"),  # of keras_leaky/__init__.py
    },
    # keras_leaky/__init__.py: all but tuning, which costs the import of keras_tuner; study, which
    # costs it too, on first use.
    "__init__": {"ops", "initializers", "layers", "diagnostics", "surgery", "saving", "study"},
}
# Public, though not among the names of the package above: tuning and storage, because `import
# keras_leaky` must not import them, slopes in variables, because they are no layer, the table of
# rectifiers, because it is for those who add one, and what command lines of studies share.
PUBLIC_MODULES = {
    "keras_leaky.tuning",
    "keras_leaky.storage",
    "keras_leaky.layers.slope",
    "keras_leaky.rectifiers",
    "keras_leaky.study",
    "keras_leaky.study.command_line",
    "keras_leaky.study.data_files",
    "keras_leaky.study.environment",
    "keras_leaky.study.flags",
    "keras_leaky.study.npz",
    "keras_leaky.study.precision",
    "keras_leaky.study.statistics",
}
# Modules of the recipes that others may import.
SHARED_RECIPES = {
    *("atlas", "atlas_nets", "comparison_claims", "datasets", "download", "dying_relu", "flags"),
    *("image_search", "nets", "survival", "survival_claims", "survival_nets", "tables"),
}
# What of other parts that is private the study may import.
PRIVATE_FOR_STUDY = {("tuning", "_lanes"), ("layers", "_nested")}
# Third parties other than Keras and NumPy, and the parts of the pack that may import them.
ONLY_IN = {
    "tensorflow": {"ops", "tuning", "study", "_quiet_start"},
    "torch": {"ops"},
    "jax": {"ops", "tuning"},
    "h5py": {"saving", "tuning"},  # a dependency of Keras
    "keras_tuner": {"tuning", "study"},
    "dask": {"tuning"},
    "distributed": {"tuning", "study"},
    "cloudpickle": {"tuning", "study"},
    "filelock": {"storage"},
    "matplotlib": {"diagnostics"},
    "scipy": {"study"},
    "statsmodels": {"study"},
    "sklearn": {"study"},
    "optuna": {"study"},
    "pandas": {"study"},
    "jinja2": {"study"},
    "rich": {"study"},
    "tyro": {"study"},
}

# What only `storage` may call, as it alone writes durably and locks: functions of os, methods of a
# path with one argument, and classes of locks.
ONLY_IN_STORAGE = {"os": {"replace", "rename", "fsync"}, "path": {"replace", "rename"}}
LOCKS = {"FileLock", "SoftFileLock", "UnixFileLock", "flock", "lockf"}


def imports_of(path):
    """(line, module, name or None) of every import of a file, also those inside functions."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, module, alias.name


def problems_of(path):
    top, *rest = path.relative_to(ROOT).with_suffix("").parts
    part = rest[0]
    for line, module, name in imports_of(path):
        imported = f"{module}.{name}" if name else module
        problem = problem_of(top, part, module, name)
        if problem:
            yield f"{path.relative_to(ROOT)}:{line} imports {imported}: {problem}"


def problem_of(top, part, module, name):
    parts = (*module.split("."), *([name] if name else []))
    if parts[:2] in (("keras", "src"), ("keras_tuner", "src")):
        return "private to Keras"
    if top == "keras_leaky":
        if parts[0] == "recipes":
            return "the pack does not know the recipes"
        if parts[0] == "keras_leaky":
            if parts == ("keras_leaky",) and part == "study":
                return None  # a command line has it register its classes
            private = [name for name in parts[2:] if name.startswith("_")]
            if part == "study" != parts[1] and private and parts[1:3] not in PRIVATE_FOR_STUDY:
                return f"private to {parts[1]}"
            if parts[1:2] == (part,) or set(parts[1:2]) & MAY_IMPORT[part]:
                return None
            return f"{part} may import {sorted(MAY_IMPORT[part]) or 'nothing of ours'}"
        known = parts[0] in {"keras", "numpy"} or parts[0] in sys.stdlib_module_names
        if not known and part not in ONLY_IN.get(parts[0], ()):
            return f"not for {part}"
    elif parts[0] == "tests":
        if top != "benchmarks" or parts[1:2] != ("faults",):
            return "of tests only tests.faults is for others, and for benchmarks alone"
    elif parts[0] == "benchmarks":
        if top != "benchmarks":
            return "only tests know the benchmarks"
    elif parts[0] == "recipes":
        if parts[1:2] != (part,) and not set(parts[1:2]) & SHARED_RECIPES:
            return f"of the recipes only {sorted(SHARED_RECIPES)} are for others"
    elif parts[0] == "keras_leaky" and not is_public(module, name):
        return "not a public name"
    return None


def is_public(module, name):
    """Whether `import module` or `from module import name` reaches only what an `__all__` lists."""
    names = [*module.split(".")[1:], *([name] if name else [])]
    parent = "keras_leaky"
    for name in names:
        is_module = f"{parent}.{name}" in PUBLIC_MODULES
        if not is_module and name not in importlib.import_module(parent).__all__:
            return False
        parent = f"{parent}.{name}"
    return True


def test_import_directions():
    assert FILES
    assert not [problem for path in FILES for problem in problems_of(path)]


@pytest.mark.parametrize(
    ("top", "part", "module", "name"),
    [
        ("keras_leaky", "layers", "keras_leaky.initializers", "gain"),
        ("keras_leaky", "layers", "keras_leaky", "initializers"),
        ("keras_leaky", "layers", "keras_leaky.rectifiers", "TABLE"),
        ("keras_leaky", "rectifiers", "keras_leaky.initializers", "gain"),
        ("keras_leaky", "initializers", "keras_leaky.ops", None),
        ("keras_leaky", "ops", "keras_leaky", "layers"),
        ("keras_leaky", "__init__", "keras_leaky", "tuning"),
        ("keras_leaky", "layers", "tensorflow", None),
        ("keras_leaky", "layers", "keras.src.layers", "Layer"),
        ("keras_leaky", "layers", "keras", "src"),
        ("keras_leaky", "initializers", "scipy", "special"),
        ("keras_leaky", "surgery", "matplotlib", "pyplot"),
        ("keras_leaky", "tuning", "recipes.datasets", "load"),
        ("keras_leaky", "study", "recipes", "nets"),
        ("keras_leaky", "study", "keras_leaky.tuning._project.reading", "Record"),
        ("keras_leaky", "study", "keras_leaky.tuning", "_keras_tuner"),
        ("recipes", "mnist", "keras_leaky.study._folder", "StudyFolder"),
        ("recipes", "mnist", "keras_leaky.study.study", "Study"),
        ("benchmarks", "parallel", "keras_leaky.tuning._lanes.scheduler", "run_jobs"),
        ("recipes", "mnist", "keras_leaky.layers.elu", "ELU"),
        ("recipes", "mnist", "keras_leaky.layers", "_arguments"),
        ("recipes", "nets", "recipes.mnist", "main"),
        ("recipes", "nets", "keras.src", None),
        ("recipes", "nets", "tests.faults.kills", "find_workers"),
        ("recipes", "nets", "benchmarks.measuring", None),
        ("keras_leaky", "tuning", "tests.faults", "kills"),
        ("benchmarks", "faults", "tests.recipes.conftest", "data"),
        ("benchmarks", "faults", "tests", "conftest"),
    ],
)
def test_a_wrong_import_is_seen(top, part, module, name):
    assert problem_of(top, part, module, name)


def test_benchmarks_may_import_the_rig_of_faults():
    assert not problem_of("benchmarks", "faults", "tests.faults", "kills")
    assert not problem_of("benchmarks", "faults", "tests.faults.recipe_commands", "run_here")


def test_of_what_is_private_a_study_may_import_the_lanes():
    assert not problem_of("keras_leaky", "study", "keras_leaky.tuning._lanes.scheduler", "Job")
    assert not problem_of("keras_leaky", "study", "keras_leaky.layers._nested", "layers_of")


def imports_of_test_modules(path):
    """Every import of a module test_*, also in strings: code for other processes, and names."""
    for line, module, name in imports_of(path):
        if any(part.startswith("test_") for part in (*module.split("."), name or "")):
            yield f"{path.name}:{line}"
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        is_string = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_string and _IMPORT_IN_STRING.search(node.value):
            yield f"{path.name}:{node.lineno}"


_IMPORT_IN_STRING = re.compile(
    r"^\s*(from|import)\b.*\btest_|^tests\.([\w.]+\.)?test_\w+$", re.MULTILINE
)


def test_test_modules_do_not_import_each_other():
    """What several of them use stands in a conftest or in a module that is no test_*."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert files
    assert not [found for path in files for found in imports_of_test_modules(path)]


@pytest.mark.parametrize(
    "code",
    [
        "from tests.ops.test_elu import X",
        "def f():\n    import tests.ops.test_elu",
        "from tests.ops import test_elu",
        "import importlib\nimportlib.import_module('tests.ops.test_elu')",
        "CODE = '''\nimport sys\nfrom tests.ops.test_elu import X\n'''",
    ],
)
def test_an_import_of_a_test_module_is_seen(code, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "file.py"
    path.write_text(code)
    assert [*imports_of_test_modules(path)]


def storing_calls_of(tree):
    """(line, name) of everything in a syntax tree that only `storage` may use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            names = {alias.name for alias in node.names} & ONLY_IN_STORAGE["os"]
            yield from ((node.lineno, name) for name in names)
        elif isinstance(node, ast.Name) and node.id in LOCKS:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            is_os = isinstance(node.value, ast.Name) and node.value.id == "os"
            if node.attr in LOCKS or (is_os and node.attr in ONLY_IN_STORAGE["os"]):
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # Those of a text have two arguments, those of dataclasses and dates keywords.
            is_of_path = len(node.args) == 1 and not node.keywords
            if is_of_path and node.func.attr in ONLY_IN_STORAGE["path"]:
                yield node.lineno, node.func.attr


def test_storage_alone_writes_durably_and_locks():
    found = {}
    for path in FILES:
        name = str(path.relative_to(ROOT))
        if not name.startswith("keras_leaky/storage/"):
            found[name] = [*storing_calls_of(ast.parse(path.read_text()))]
    assert not {name: calls for name, calls in found.items() if calls}


@pytest.mark.parametrize(
    "code",
    [
        "os.replace(a, b)",
        "move = os.rename",
        "from os import path, fsync",
        "os.fsync(file.fileno())",
        "Path(a).replace(b)",
        "temporary.rename(path)",
        "filelock.FileLock(path)",
        "from filelock import FileLock; FileLock(path)",
        "fcntl.flock(file, fcntl.LOCK_EX)",
    ],
)
def test_a_second_store_is_seen(code):
    assert [*storing_calls_of(ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        "text.replace('a', 'b')",
        "dataclasses.replace(row, n=1)",
        "day.replace(hour=0)",
        "os.stat(a)",
    ],
)
def test_what_is_no_store_is_let_be(code):
    assert not [*storing_calls_of(ast.parse(code))]


def test_importing_the_pack_brings_in_nothing_that_keras_does_not():
    code = (
        "import sys, keras; before = set(sys.modules); import keras_leaky; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = {module for module in done.stdout.split() if not module.startswith("keras_leaky")}
    assert not {module for module in new if module.split(".")[0] not in sys.stdlib_module_names}
    assert "keras_leaky.tuning" not in done.stdout.split()


def test_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert keras_leaky.__version__ == project["version"]


@pytest.mark.parametrize("module", PACK_MODULES)
def test_examples_in_docstrings(module):
    if module.endswith("_jax"):
        pytest.importorskip("jax")
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("folder", ["layers", "ops", "initializers", "diagnostics"])
def test_every_public_name_has_a_full_docstring_with_an_example(folder):
    for name in getattr(keras_leaky, folder).__all__:
        public = getattr(getattr(keras_leaky, folder), name)
        if isinstance(public, type) and issubclass(public, Exception):
            continue
        doc = public.__doc__
        sections = ["Args:", "Example:", "References:"]
        if folder != "ops":
            sections.append("Raises:")
        if folder == "layers":
            sections += ["Input shape:", "Output shape:", "Weights:"]
        missing = [part for part in (*sections, ">>> ") if part not in (doc or "")]
        assert not missing, f"the docstring of {folder}.{name} lacks {missing}"


# Every public function and class in them is annotated: the whole pack.
ANNOTATED = (
    *("diagnostics", "initializers", "layers", "ops", "rectifiers.py", "saving", "storage"),
    *("study", "surgery", "tuning"),
)


def public_functions(body):
    """The definitions of public functions, those of public classes with whether they are bound."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for function, _ in public_functions(node.body):
                decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
                yield function, "staticmethod" not in decorators
        is_special = getattr(node, "name", "").startswith("__")
        is_private = getattr(node, "name", "_").startswith("_") and not is_special
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_private:
            yield node, False


def missing_annotations(path):
    for function, is_bound in public_functions(ast.parse(path.read_text(), str(path)).body):
        arguments = function.args
        named = [*arguments.posonlyargs, *arguments.args][is_bound:]
        given = [*named, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        missing = [a.arg for a in given if a is not None and a.annotation is None]
        missing += [] if function.returns else ["return"]
        if missing:
            yield f"{path.name}:{function.lineno} {function.name}: {', '.join(missing)}"


@pytest.mark.parametrize("part", ANNOTATED)
def test_what_is_public_is_annotated(part):
    paths = [path for path in FILES if path.is_relative_to(ROOT / "keras_leaky" / part)]
    public = [path for path in paths if path.name == "__init__.py" or path.name[0] != "_"]
    assert public
    assert not [problem for path in public for problem in missing_annotations(path)]


def test_a_missing_annotation_is_seen(tmp_path):
    path = tmp_path / "file.py"
    path.write_text(
        "def f(x: int, *y, z=1, **kwargs: int): ...\n"
        "def _f(x): ...\n"
        "class A:\n"
        "    def __init__(self, x): ...\n"
        "    @staticmethod\n"
        "    def g(x) -> int: ...\n"
        "    def _h(self, x): ...\n"
        "class _B:\n"
        "    def i(self, x): ...\n"
    )
    assert [*missing_annotations(path)] == [
        "file.py:1 f: z, y, return",
        "file.py:4 __init__: x, return",
        "file.py:6 g: x",
    ]


def test_examples_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    parts = [
        (rng.integers(0, 256, (200, 28, 28)).astype("uint8"), rng.permutation(200) % 10)
        for _ in range(2)
    ]
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: parts)  # a download
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    model = keras.saving.load_model("model.keras")
    assert model.layers[1].negative_slope == model.layers[0].kernel_initializer.alpha == 0.1
