"""`build(hp, rectifier)` from a user's Python file."""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_leaky.study.errors import InputError


def load_build(path: Path) -> Callable[..., Any]:
    """Runs a file as `import` would, and returns its function `build`.

    An error inside the file keeps its traceback. The file is not run again in worker processes: it
    travels to them as it is here, with the modules beside it that it imports.

    Raises:
        InputError: There is no such file, or no `build(hp, rectifier)` in it.
    """
    if not path.is_file():
        what = "which is not a regular file" if path.exists() else "which does not exist"
        raise InputError(f"`FILE` must be a Python file. Received: {path}, {what}")
    name = path.stem
    if not name.isidentifier() or name in sys.modules or importlib.util.find_spec(name) is not None:
        name = "keras_leaky_user_file"  # `import` would mean another module
    before = set(sys.modules)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"`FILE` must be a Python file, FILE.py. Received: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # as `python FILE.py` does
    sys.modules[name] = module
    spec.loader.exec_module(module)
    pickle_by_value(module, *_modules_beside(path, set(sys.modules) - before))
    build = getattr(module, "build", None)
    if not callable(build):
        raise InputError(
            f"{path} must define build(hp, rectifier), which returns a compiled Keras model. "
            f"Received: {'no `build`' if build is None else f'build = {build!r}'}"
        )
    try:
        inspect.signature(build).bind("hp", "rectifier")
    except TypeError as error:
        own = inspect.signature(build)
        raise InputError(
            f"`build` in {path} must take (hp, rectifier). Received: build{own}"
        ) from error
    return build


def build_once(build: Callable[..., Any]) -> Any:
    """Builds the baseline's model for inspection; `Study` reports its errors."""
    import keras_tuner

    from keras_leaky.study.arms import Arm, ArmModel

    return ArmModel(build, Arm("relu")).build(keras_tuner.HyperParameters())


def _modules_beside(path: Path, names: set[str]) -> list[ModuleType]:
    """The modules with these names that lie in the folder of a file."""
    folder = path.parent.resolve()
    modules = [sys.modules[name] for name in names]
    files = [(module, getattr(module, "__file__", None)) for module in modules]
    return [m for m, file in files if file and folder in Path(file).resolve().parents]


def pickle_by_value(*modules: ModuleType) -> None:
    """Sends definitions of these modules to workers by value: workers cannot import them."""
    try:
        import cloudpickle
    except ImportError:  # comes with Dask, without which there are no workers
        return
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
